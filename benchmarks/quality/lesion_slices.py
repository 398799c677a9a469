"""Slices of heads with and without a lesion, whose truth is known: one CT, and MR in several contrasts.

A slice is painted once. A lesion then takes the place of the brain under it, so nothing else changes between
the slice with a lesion and the slice without one, and fluid and bone beside the lesion stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.quality.label_heads import MADE, NOISE, intensities
from medtranslate.config.types import Contrast
from medtranslate.io import Volume
from medtranslate.io.volume import Meta
from medtranslate.metrics import Values
from medtranslate.phantom import HELD_OUT, LABEL, TISSUES, LabelMap, draw_head, rician
from medtranslate.phantom.canvas import Plane
from medtranslate.phantom.label_cuts import draw_cut, paint_cut
from medtranslate.phantom.paint import paint
from medtranslate.phantom.tissues import ct_values

SIZE = 256
PIXEL_MM = 0.95
"""Of digital heads; the pixels of a map's cut follow from its head."""

HEIGHTS = (-12.0, 45.0)
"""Millimetres above the middle of a digital head between which its slices lie."""

BLUR = 0.5
"""Standard deviation of the Gaussian that blurs CT and MR, in pixels."""

LEAST_BRAIN = 5000.0
"""Square millimetres of brain in a slice."""

_BRAIN = ("grey matter", "white matter", "deep nuclei", "pallidum", "brainstem", "cerebellar cortex")


@dataclass(frozen=True)
class Kind:
    """A kind of lesion.

    Attributes:
        tissue: of `TISSUES`.
        radius: least and largest, in mm.
        depth: distances of its centre from the inside of the skull, in mm.
    """

    tissue: str
    radius: tuple[float, float]
    depth: tuple[float, float] = (12.0, np.inf)


KINDS: dict[str, Kind] = {
    "tumour": Kind("tumour", (6.0, 18.0)),
    "oedema": Kind("oedema", (6.0, 18.0)),
    "haemorrhage": Kind("haemorrhage", (5.0, 18.0)),
    "infarct": Kind("infarct", (6.0, 20.0)),
    "calcification": Kind("calcification", (3.0, 6.0)),
    "cyst": Kind("csf", (6.0, 18.0)),
    "fluid at skull": Kind("csf", (14.0, 28.0), (3.0, 9.0)),
}


@dataclass(frozen=True, eq=False)
class Slice:
    """A slice without a lesion, [X, Y].

    Attributes:
        images: CT in HU, then MR in the contrasts of `MADE` without noise, [5, X, Y].
        brain: part of the images that brain contributes, [5, X, Y].
        brain_share, fluid_share: share of each pixel that is brain or fluid.
        tissues: value of each tissue in each image, [5, tissues].
        affine: to RAS+ millimetres, [4, 4].
        seed: of the noise.
    """

    images: Values
    brain: Values
    brain_share: Values
    fluid_share: Values
    tissues: Values
    affine: NDArray[np.float64]
    seed: int

    @property
    def pixel(self) -> tuple[float, float]:
        """Return the sides of a pixel in mm."""
        return float(abs(self.affine[0, 0])), float(abs(self.affine[1, 1]))

    @property
    def truth(self) -> Values:
        """Return the CT in HU."""
        return _blurred(self.images[0])

    def mr(self, contrast: Contrast) -> Volume:
        """Add noise to the MR of a contrast; it is the same whether there is a lesion or not."""
        which = MADE.index(contrast)
        noisy = rician(
            _blurred(self.images[1 + which]), np.random.default_rng([self.seed, which]), NOISE["mr"]
        )
        return Volume(noisy[:, :, None], self.affine, Meta(modality="mr"))

    def depth(self) -> Values:
        """Compute the distance [X, Y] from the inside of the skull in mm; 0 outside."""
        # Falx and vessels are closed over.
        found = ndimage.binary_closing(self.brain_share + self.fluid_share > 0.5, iterations=3)
        found = ndimage.binary_opening(ndimage.binary_fill_holes(found), iterations=3)
        distance: Values = ndimage.distance_transform_edt(found, sampling=self.pixel).astype(np.float32)
        return distance


Paint = Callable[[Values, np.random.Generator], tuple[Values, NDArray[np.float64]]]
"""Paints the images [channels, X, Y] of a slice from the values of tissues; returns its affine, too."""


def cut_slices(head: LabelMap, count: int, seed: int, iron: float = 0.0) -> Iterator[Slice]:
    """Cut slices from a label map, each of the head turned, stretched and bent anew.

    Args:
        iron: of the deep nuclei, from 0 to 1.
    """
    yield from _slices(lambda number: partial(_cut, head), count, seed, iron)


def digital_slices(count: int, seed: int, iron: float = 0.0) -> Iterator[Slice]:
    """Paint slices of digital heads that no model was trained on."""
    yield from _slices(lambda number: partial(_digital, HELD_OUT + 1000 * seed + number), count, seed, iron)


def _slices(paints: Callable[[int], Paint], count: int, seed: int, iron: float) -> Iterator[Slice]:
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        made = _slice(paints(number), rng, iron)
        while (made.brain_share > 0.5).sum() * np.prod(made.pixel) < LEAST_BRAIN:
            made = _slice(paints(number), rng, iron)
        yield made


def _slice(paints: Paint, rng: np.random.Generator, iron: float) -> Slice:
    """Paint a slice, what brain contributes to it, and the shares of brain and fluid, all at once."""
    tissues = np.stack([ct_values(rng), *(intensities(contrast, rng, iron) for contrast in MADE)])
    brain, fluid = (
        np.isin(np.arange(len(TISSUES)), [LABEL[name] for name in names]).astype(np.float32)
        for names in (_BRAIN, ("csf",))
    )
    painted, affine = paints(np.concatenate([tissues, tissues * brain, brain[None], fluid[None]]), rng)
    images, of_brain, (brain_share, fluid_share) = np.split(painted, [len(tissues), 2 * len(tissues)])
    return Slice(images, of_brain, brain_share, fluid_share, tissues, affine, int(rng.integers(2**31)))


def _cut(head: LabelMap, values: Values, rng: np.random.Generator) -> tuple[Values, NDArray[np.float64]]:
    cut = draw_cut(head, rng, SIZE, lesions=False)
    images, *_ = paint_cut(head, cut, values, rng)
    rows, columns = (float(np.linalg.norm(step)) for step in (cut.plane.rows, cut.plane.columns))
    # Rows run to the back, columns to the left.
    return images.transpose(0, 2, 1), np.diag([-columns, -rows, 3.0, 1.0])


def _digital(seed: int, values: Values, rng: np.random.Generator) -> tuple[Values, NDArray[np.float64]]:
    half = (SIZE - 1) / 2 * PIXEL_MM
    corner = np.array([-half, -15.0 - half, rng.uniform(*HEIGHTS)], np.float32)
    step = np.eye(3, dtype=np.float32) * PIXEL_MM
    head = replace(draw_head(seed), lesions=())
    canvas = paint(head, Plane(corner, step[0], step[1], (SIZE, SIZE)), values, 1.5)
    return canvas.images, np.diag([PIXEL_MM, PIXEL_MM, 3.0, 1.0])


def draw_cover(kind: Kind, plain: Slice, rng: np.random.Generator) -> Values:
    """Draw a rough ellipse in the brain: the share of each pixel [X, Y] that a lesion covers."""
    depth = plain.depth()
    free = (plain.brain_share > 0.9) & (depth > kind.depth[0]) & (depth < kind.depth[1])
    if not free.any():
        return np.zeros(depth.shape, np.float32)
    centre = rng.choice(np.argwhere(free))
    radius, flat, angle = rng.uniform(*kind.radius), rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
    x, y = ((np.indices(depth.shape).T - centre) * plain.pixel).T
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    rough = ndimage.gaussian_filter(rng.standard_normal(depth.shape), 0.3 * radius / np.array(plain.pixel))
    edge = 1.0 + 0.12 * rough / rough.std()
    away = (np.hypot(along, across / flat) - radius * edge) / plain.pixel[0]
    cover: Values = (0.5 - away).clip(0, 1).astype(np.float32)
    return cover


def with_lesion(plain: Slice, tissue: str, cover: Values) -> Slice:
    """Put a tissue in the place of the brain under `cover`."""
    values = plain.tissues[:, LABEL[tissue], None, None]
    return replace(plain, images=plain.images + cover * (plain.brain_share * values - plain.brain))


def _blurred(image: Values) -> Values:
    made: Values = ndimage.gaussian_filter(image, BLUR)
    return made
