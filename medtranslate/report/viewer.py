"""Data of a page's viewer: volumes for its script, small enough for the page to open at once.

A volume is stored as whole numbers, `value = low + step * code`, deflated, in base64. The value under the
crosshair is that of a voxel, to half a step, without interpolation.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product, repeat

import numpy as np
from isal import isal_zlib

from medtranslate.geometry import Floats
from medtranslate.metrics import SOFT_TISSUE, Range, Values, Voxels, require_finite

MOST_TEXT = 23_000_000
"""Most characters of the volumes of a page; the page itself needs little."""
MOST_VOXELS = 16_000_000
"""Most voxels per volume, such as 512 x 512 x 61. A browser needs two bytes of memory for each."""
LEVELS = (4096, 1024, 512, 256)
"""Numbers of steps of a range, finest first: 4096 are 12 bits, 256 are the grey levels of a screen."""
COARSEST_HU = 5.0
"""Largest step of a CT, below the noise; larger ones would be visible in a brain window."""
SPREAD_LEVELS = 1024
"""Steps of a map of standard deviations, which is viewed rather than measured."""

HU_WINDOWS: dict[str, Range] = {
    "brain": (0.0, 80.0),
    "soft tissue": SOFT_TISSUE,
    "bone": (-500.0, 1500.0),
}
"""Ends of the usual windows of head CT (level 40, width 80; 40, 400; 500, 2000)."""
PERCENTILES: dict[str, Range] = {
    "grey and white matter": (20.0, 95.0),
    "dark tissue": (0.0, 60.0),
    "bright tissue": (50.0, 100.0),
}
"""Windows of images without a unit, as percentiles of the values in the mask."""


@dataclass(frozen=True)
class Image:
    """Volume of the viewer.

    Attributes:
        key: source, translation, reference, spread or mask.
        values: [X, Y, Z] in the layout LPS.
        window: values of black and white at first.
        windows: other windows to choose, by name.
    """

    key: str
    title: str
    unit: str
    values: Values
    window: Range = (0.0, 1.0)
    windows: Mapping[str, Range] | None = None


@dataclass(frozen=True)
class Packed:
    """Volume as text.

    Codes run along x first, then y, then z. Each code but the first is stored as its difference from the one
    before, modulo 256, or 65536 if `wide`, and folded to a number without sign (0, -1, 1, -2 to 0, 1, 2, 3).
    The low bytes of all come first, then the high bytes; they are deflated (zlib), in base64.
    """

    low: float
    step: float
    wide: bool
    text: str


@dataclass(frozen=True)
class Viewer:
    """Input of a page's script: `facts` as JSON, and the text of each volume by its key.

    `notes` describe in words where the data are coarser than the arrays.
    """

    facts: dict[str, object]
    texts: dict[str, str]
    notes: list[str]


@dataclass(frozen=True)
class Grid:
    """Place of the voxels of a viewer's volumes.

    Attributes:
        spacing_mm: voxel size along x, y and z.
        affine: array index to RAS+ mm; without it, sides and places have no names.
        regular: coronal and sagittal planes can be shown, and places named.
    """

    spacing_mm: tuple[float, float, float]
    affine: Floats | None = None
    regular: bool = True


def build_viewer(
    images: Sequence[Image],
    mask: Voxels,
    grid: Grid,
    *,
    error: Mapping[str, object] | None = None,
    slices: Mapping[int, float] | None = None,
    colours: Sequence[str] = (),
    digest: str | None = None,
) -> Viewer:
    """Build the viewer of volumes on one grid.

    Args:
        images: in the order of the panes.
        mask: the head or the scored voxels; the crosshair begins in its middle.
        grid: of all images.
        error: `limit` of its scale, `unit`, `of`, the text beside "MAE", and `clip`, the range of the clipped
            reference. If it is given, the script shows translation - reference.
        slices: MAE by axial slice.
        colours: of the error's scale, from zero to its end.
        digest: SHA-256 of the image (`image_digest`), for exported regions.

    Raises:
        InputRefused: a volume holds a value that is not finite.
    """
    for image in images:
        require_finite(image.values, image.title)
    packed, stride = _fit([*images, Image("mask", "Mask", "", mask.astype(np.float32))])
    steps = {image.key: packed[image.key] for image in images}
    middle = [int(np.mean(np.flatnonzero(mask.any(axis=rest)) if mask.any() else 0)) for rest in _OTHERS]
    facts: dict[str, object] = {
        "shape": [math.ceil(mask.shape[0] / stride), math.ceil(mask.shape[1] / stride), mask.shape[2]],
        "full": list(mask.shape),
        "digest": digest,
        "stride": [stride, stride, 1],
        "spacing": [grid.spacing_mm[0] * stride, grid.spacing_mm[1] * stride, grid.spacing_mm[2]],
        "sides": grid.affine is not None,
        "affine": grid.affine.tolist() if grid.affine is not None and grid.regular else None,
        "regular": grid.regular and mask.shape[2] > 1,
        "start": [middle[0] // stride, middle[1] // stride, middle[2]],
        "images": [_image_facts(image, steps[image.key]) for image in images],
        "error": error,
        "slices": {str(index): mae for index, mae in (slices or {}).items()},
        "colours": list(colours),
    }
    return Viewer(
        facts,
        {key: volume.text for key, volume in packed.items()},
        _notes(images, steps, stride, grid.regular),
    )


def _image_facts(image: Image, held: Packed) -> dict[str, object]:
    return {
        "key": image.key,
        "title": image.title,
        "unit": image.unit,
        "window": image.window,
        "windows": dict(image.windows or {}),
        "low": held.low,
        "step": held.step,
        "wide": held.wide,
    }


_OTHERS = ((1, 2), (0, 2), (0, 1))


def offered_windows(unit: str, values: Values, mask: Voxels, own: Range, name: str) -> dict[str, Range]:
    """List the windows that a reader can choose: the first one (`own`), then the usual.

    Args:
        unit: HU has fixed windows; other units have percentiles inside the mask.
        values: [X, Y, Z].
        mask: [X, Y, Z].
        own: ends of the first window.
        name: of that window.
    """
    whole = {"everything": (float(values.min()), float(values.max()))}
    if unit == "HU":
        return {name: own, **HU_WINDOWS, **whole}
    inside = values[mask] if mask.any() else values.ravel()
    windows = {title: np.percentile(inside, ends) for title, ends in PERCENTILES.items()}
    tissue = {title: (float(low), float(high)) for title, (low, high) in windows.items() if low < high}
    return {name: own, **tissue, **whole}


def pack(values: Values, levels: int = LEVELS[0], coarsest: float = math.inf) -> Packed:
    """Pack a volume as text.

    At the finest level, whole numbers stay exact if they span less than 65,536. Else the step is 1, 2 or 5
    times a power of ten, so that zero is kept.

    Args:
        values: [X, Y, Z].
        levels: most steps of the values' range.
        coarsest: largest step.
    """
    low, high = float(values.min()), float(values.max())
    step = min(coarsest, _round_step((high - low) / levels))
    if high - low < 65536 and np.array_equal(values, np.rint(values)):
        step = 1.0 if levels == LEVELS[0] else max(1.0, step)
    low = math.floor(low / step) * step
    codes = np.rint((values.T.astype(np.float64) - low) / step).astype(np.int32).ravel()
    wide = bool(codes.max() > 255)
    half = 32768 if wide else 128
    change = (np.diff(codes, prepend=0) + half) % (2 * half) - half
    folded = (change << 1) ^ (change >> 31)
    data = folded.astype(np.uint8).tobytes() + ((folded >> 8).astype(np.uint8).tobytes() if wide else b"")
    return Packed(low, step, wide, base64.b64encode(isal_zlib.compress(data, 3)).decode("ascii"))


def _fit(images: Sequence[Image]) -> tuple[dict[str, Packed], int]:
    """Pack the volumes within the bounds; return them with the necessary stride in plane."""
    size = images[0].values.size
    for levels, stride in _rungs():
        if size / stride**2 > MOST_VOXELS:
            continue
        fitted = {}
        for image in images:
            most = min(levels, SPREAD_LEVELS) if image.key == "spread" else levels
            coarsest = COARSEST_HU if image.unit == "HU" else math.inf
            fitted[image.key] = pack(image.values[::stride, ::stride], most, coarsest)
        if sum(len(packed.text) for packed in fitted.values()) <= MOST_TEXT:
            return fitted, stride
    raise AssertionError("unreachable: strides grow")


def _rungs() -> Iterator[tuple[int, int]]:
    """Yield (levels, stride in plane) from the finest down: first coarser steps, then fewer pixels."""
    coarser = product(range(2, 1000), LEVELS[1::2])
    return chain(zip(LEVELS, repeat(1)), ((levels, stride) for stride, levels in coarser))


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least `least`; 1 for 0."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    # Powers of ten are not exact in binary.
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _notes(images: Sequence[Image], steps: Mapping[str, Packed], stride: int, regular: bool) -> list[str]:
    listed = ", ".join(f"{image.title} {_amount(steps[image.key].step, image.unit)}" for image in images)
    notes = [f"Values are shown in steps of: {listed}."]
    if not regular:
        notes.append("The slices are tilted or lie at uneven distances: no other plane can be shown of them.")
    if stride > 1:
        ordinal = {2: "second", 3: "third"}.get(stride, f"{stride}th")
        notes.append(
            f"To keep the page small only every {ordinal} pixel along each row and column is shown; the"
            " scores are those of all pixels."
        )
    return notes


def _amount(step: float, unit: str) -> str:
    return f"{step:g} {unit.removesuffix('s') if step == 1 and unit == 'grey levels' else unit}"
