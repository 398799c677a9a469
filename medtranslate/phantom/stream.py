"""A stream of slices: planes of random heads, painted or cut from label maps, with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.config import PlaneName, StreamContrast
from medtranslate.phantom.canvas import Plane, field
from medtranslate.phantom.cut_planes import AXES, draw_axial_plane, draw_head_plane
from medtranslate.phantom.head import draw_head, draw_waves
from medtranslate.phantom.label_cuts import LESIONS, draw_cut, paint_cut
from medtranslate.phantom.label_maps import LabelMap
from medtranslate.phantom.paint import paint
from medtranslate.phantom.scanner import ct_noise, rician, surface_gain, thick_rows
from medtranslate.phantom.tissues import LABEL, NUCLEI, TISSUES, Floats, ct_values, mr_values
from medtranslate.phantom.told import TOLD, brightness

_LEAST_HEAD = 0.03
"""Share of a slice that shows the head, at least; a turned plane may pass above the vertex."""

_CT_BLUR, _MR_BLUR = (0.3, 1.3), (0.0, 0.9)
"""Sigmas in pixels of 256 of what a scanner adds to the partial volume. A CT kernel for the brain halves the
contrast at some 3.5 line pairs a cm, which is a sigma of 0.53 mm; resampled pictures are softer."""

_ALONE = 0.5
"""Share of the cuts that stand for their own neighbours, as pictures do."""

_APART = (0.8, 1.5)
"""From a slice to its neighbour, in thicknesses: slices may overlap, or have gaps between them."""

_ENDING, _END = 0.5, (0.5, 1.0)
"""Share of the coronal and sagittal cuts that end above the lower edge, and where they do."""

_SEEN_HU = 0.0
"""HU of what counts as seen there: a brain window shows no fat."""

_NOWHERE = np.zeros(3)
"""The step to a neighbour that is not painted."""

_IS_NUCLEUS, _IS_LESION = (
    np.isin([tissue.name for tissue in TISSUES], names).astype(np.float32) for names in (NUCLEI, [*LESIONS])
)
"""1 for nuclei of the deep brain, whose iron looks like blood, and for the tissues of lesions, painted like
a value of theirs; collections of fluid are CSF."""


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices of random heads, [count, 1, size, size]; axial ones run front to back and right to left.

    Neighbours are further channels of `ct` and MR: those below a slice from the nearest on, and those above
    it likewise.

    Attributes:
        ct: HU.
        mr: arbitrary units, air near 0, the brightest tissue near 1000.
        head: True inside the head, its air included.
        lesion: share of each pixel that lesions cover, or deep nuclei, which look alike; without
            neighbours; in painted heads also normal calcifications.
        wanted: a second MR in another contrast, None by default.
        told: brightness of the tissues of `TOLD` in each MR, [count, contrasts, 7] in [-1, 1].
        whole: [count], True where the slice lies in the square about the whole head.
    """

    ct: torch.Tensor
    mr: torch.Tensor
    head: torch.Tensor
    lesion: torch.Tensor
    wanted: torch.Tensor | None = None
    told: torch.Tensor | None = None
    whole: torch.Tensor | None = None


def slices(  # noqa: PLR0913  # An option for each thing that a slice may have or lack.
    seed: int,
    count: int,
    size: int,
    *,
    contrast: StreamContrast = "both",
    wanted: StreamContrast | None = None,
    lesions: bool = True,
    skull_base: bool = True,
    maps: Sequence[LabelMap] = (),
    neighbours: int = 0,
    volumes: float = 0.0,
) -> Slices:
    """Draw slices, each of a new head at a random place; axial ones, but for `volumes`.

    Heads, planes and CT depend on the seed alone, so calls with other contrasts show the same slices.

    Args:
        seed: seed of all random numbers; item i of a seed does not depend on `count`.
        count: number of slices.
        size: pixels along both sides.
        contrast: contrast of the MR: a sequence; "physics" (clinical sequences at random), "random" (per
            tissue) or "both" (half and half).
        wanted: contrast of a second MR of the same slices. Cuts of a head that has an MR of its own show it
            there.
        lesions: False omits them from the same heads and the same planes.
        skull_base: False omits the base of the skull, the orbits and the sinuses; the vault
            stays closed below the brain.
        maps: heads to cut the slices from, one at random for each, in place of painted heads.
        neighbours: slices below, and above, to draw beside each. Painted heads have them in thin volumes
            alone; elsewhere a slice stands for them.
        volumes: share of the slices that are shown as in thin volumes: axial, coronal or sagittal, in the
            square about the whole head, with their neighbours.
    """
    asked = _Asked(size, neighbours, volumes, lesions)
    contrasts = (contrast,) if wanted is None else (contrast, wanted)
    images = np.empty((1 + len(contrasts), count, 1 + 2 * neighbours, size, size), np.float32)
    inside = np.empty((count, 1, size, size), np.bool_)
    lesion = np.empty((count, 1, size, size), np.float32)
    told = np.empty((count, len(contrasts), len(TOLD)), np.float32)
    whole = np.zeros(count, np.bool_)
    for index in range(count):
        rng = np.random.default_rng([seed, index, 2])
        draw = partial(_cut, maps) if maps else partial(_painted, skull_base)
        streams = [np.random.default_rng([seed, index, 3 + which]) for which in range(len(contrasts))]
        values = [mr_values(stream, contrast) for stream, contrast in zip(streams, contrasts, strict=True)]
        drawn = draw(asked, rng, values)
        images[:, index] = _with_noise(drawn, rng, streams)
        inside[index, 0], lesion[index, 0] = drawn.inside, drawn.lesion
        if drawn.rows is not None:
            images[:, index], lesion[index] = drawn.rows @ images[:, index], drawn.rows @ lesion[index]
            inside[index] = drawn.rows @ inside[index].astype(np.float32) > 0.5
        whole[index] = drawn.whole
        told[index] = brightness(np.stack(values))
        if drawn.told is not None:
            told[index, -1] = drawn.told
    ct, mr, *second = map(torch.from_numpy, images)
    heads, lesions_of, told_of, framed = map(torch.from_numpy, (inside, lesion, told, whole))
    return Slices(ct, mr, heads, lesions_of, second[0] if second else None, told_of, framed)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """CT and MRs [1 + contrasts, slices, size, size] without noise, and head and lesions in the first slice.

    `grain` is the noise of the CT in HU; `told` is the brightness of the tissues of `TOLD` in the last MR,
    if it is real; `whole` is as in `Slices`; `rows` mixes the rows (`scanner.thick_rows`), after the noise.
    """

    images: Floats
    inside: NDArray[np.bool_]
    lesion: Floats
    plane: Plane
    grain: float
    told: Floats | None = None
    whole: bool = False
    rows: Floats | None = None


@dataclass(frozen=True)
class _Asked:
    """What `slices` is asked for, whatever the heads come from."""

    size: int
    neighbours: int
    volumes: float
    lesions: bool

    def plane(self, rng: np.random.Generator) -> tuple[bool, PlaneName]:
        """Draw whether a slice is shown as in a thin volume, and its plane."""
        whole = self.volumes > 0 and rng.random() < self.volumes
        return whole, (*AXES,)[rng.integers(len(AXES))] if whole else "axial"

    @property
    def beside(self) -> list[int]:
        """List the neighbours: the nearest below first, then those above."""
        return [sign * step for sign in (-1, 1) for step in range(1, self.neighbours + 1)]


def _painted(skull_base: bool, asked: _Asked, rng: np.random.Generator, values: Sequence[Floats]) -> _Drawn:
    """Paint a slice of a new head, and perhaps its neighbours."""
    head, size = draw_head(int(rng.integers(2**62))), asked.size
    whole, name = asked.plane(rng)
    plane, across = (
        draw_head_plane(rng, head, size, name) if whole else (draw_axial_plane(rng, head, size), _NOWHERE)
    )
    if not asked.lesions:
        head = replace(head, lesions=())
    if not skull_base:
        head = replace(head, parts={group: head.parts[group] for group in ("face", "deep")})
    softness, grain = rng.uniform(0.9, 2.2), rng.uniform(1.0, 5.0)
    tissues = np.stack([ct_values(rng), *values, _IS_LESION + _IS_NUCLEUS])
    canvas = paint(head, plane, tissues, softness)
    while whole and _seen(canvas.images[0]) < _LEAST_HEAD * size**2:
        plane, across = draw_head_plane(rng, head, size, name)
        canvas = paint(head, plane, tissues, softness)
    steps = asked.beside if whole else []
    beside = [replace(plane, origin=(plane.origin + step * across).astype(np.float32)) for step in steps]
    stack = np.stack([canvas.images, *(paint(head, each, tissues, softness).images for each in beside)], 1)
    drawn = _Drawn(stack[:-1], canvas.head | (canvas.labels > 0), stack[-1, 0], plane, grain, whole=whole)
    return drawn if name == "axial" else _ended(drawn, rng, tissues[:-1, LABEL["air"]])


def _cut(
    maps: Sequence[LabelMap], asked: _Asked, rng: np.random.Generator, values: Sequence[Floats]
) -> _Drawn:
    """Cut a slice, and perhaps its neighbours, from a map; CT and MR are blurred by different widths."""
    head, tissues = maps[int(rng.integers(len(maps)))], np.stack([_IS_NUCLEUS, ct_values(rng), *values])
    whole, plane = asked.plane(rng)
    size = asked.size
    seen, own = 0, head.mr is not None and len(values) > 1
    while seen < _LEAST_HEAD * size**2:
        cut = draw_cut(head, rng, size, lesions=asked.lesions, name=plane, of_series=not whole)
        (nuclei, *images), inside, lesion = paint_cut(head, cut, tissues, rng, own=own)
        seen = _seen(images[0])
    alone = not asked.neighbours or (not whole and rng.random() < _ALONE)
    apart = 0.0 if alone else rng.uniform(*_APART)
    away = [] if alone else [apart * step for step in asked.beside]
    beside = [paint_cut(head, cut, tissues, rng, away=each, own=own)[0][1:] for each in away]
    stack = np.stack([images, *beside], axis=1)
    for image, (sharp, soft) in zip(stack, (_CT_BLUR, *(_MR_BLUR,) * len(values)), strict=True):
        width = rng.uniform(sharp, soft) * size / 256
        ndimage.gaussian_filter(image, (0, width, width), output=image)
    stack[1] *= surface_gain(rng, inside, picture=not whole)
    drawn = _Drawn(
        stack, inside, lesion + nuclei, cut.plane, rng.uniform(1.0, 5.0), head.told if own else None, whole
    )
    return drawn if plane == "axial" else _ended(drawn, rng, tissues[1:, LABEL["air"]])


def _ended(drawn: _Drawn, rng: np.random.Generator, air: Floats) -> _Drawn:
    """Let some coronal or sagittal slices end above the lower edge, but none without a head.

    Their rows are those of a thin volume or of a thick one.

    Args:
        air: value of air in each image.
    """
    size = drawn.plane.shape[0]
    end = int(size * rng.uniform(*_END)) if rng.random() < _ENDING else size
    if _seen(drawn.images[0, 0, :end]) > _LEAST_HEAD * size**2:
        drawn.images[:, :, end:] = air[:, None, None, None]
        for shown in (drawn.inside, drawn.lesion):
            shown[end:] = 0
    return replace(drawn, rows=thick_rows(rng, size, float(np.linalg.norm(drawn.plane.rows))))


def _seen(ct: Floats) -> int:
    """Count the pixels that show more than fat."""
    return int(ndimage.binary_opening(ct > _SEEN_HU, np.ones((5, 5), np.bool_)).sum())


def _with_noise(drawn: _Drawn, rng: np.random.Generator, streams: Sequence[np.random.Generator]) -> Floats:
    """Add noise to slices, and texture and the coils' shading to their MRs."""
    images, plane = drawn.images, drawn.plane
    for ct in images[0]:
        ct += ct_noise(rng, plane.shape, drawn.grain)
    texture = field(draw_waves(rng, 16, 6, 60, 1.0), plane)
    for stream, mr in zip(streams, images[1:], strict=True):
        bias = field(draw_waves(stream, 5, 120, 400, stream.uniform(0.0, 0.12)), plane)
        mr[:] = rician(
            mr * (1.0 + stream.uniform(0.0, 0.05) * texture + bias), stream, stream.uniform(2.0, 30.0)
        )
    return images
