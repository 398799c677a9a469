"""Illustrations of a page: grey pictures, error maps and curves, as data of a template."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medtranslate.metrics import Range, Values, Voxels
from medtranslate.report.pictures import Pictures, Shown

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

LONGEST_SIDE = 288
"""Most pixels of a picture's longer side, which limits the size of a page."""
DIFFERENCES = 6
"""Slices of a volume whose differences are drawn."""
MARGIN = 0.06
"""Air around the mask's bounding box in a picture, as a fraction of the frame."""

FAIR_SHARE = 0.2
"""Least area of the mask in a slice that shows a head, as a share of the largest."""


@dataclass(frozen=True)
class Cut:
    """Plane through a volume [X, Y, Z] in the layout LPS.

    Attributes:
        axis: its normal: 0 for a sagittal, 1 for a coronal, 2 for an axial plane.
        index: place along that axis.
    """

    axis: int
    index: int

    @property
    def name(self) -> str:
        """Name of the plane."""
        return ("sagittal", "coronal", "axial")[self.axis]

    @property
    def sides(self) -> tuple[int, int]:
        """Axes of its columns and rows."""
        return ((1, 2), (0, 2), (0, 1))[self.axis]

    @property
    def left(self) -> str:
        """Side of the patient at the picture's left edge."""
        return "AR"[self.sides[0] == 0]

    def of(self, volume: npt.NDArray[Any], mask: Voxels) -> npt.NDArray[Any]:
        """Cut the plane [columns, rows] of a volume, cropped to the mask with a margin; the top is up."""
        columns, rows = (_extent(mask, axis) for axis in self.sides)
        plane: npt.NDArray[Any] = np.take(volume, self.index, self.axis)[columns, rows]
        return plane if self.axis == 2 else plane[:, ::-1]


@dataclass(frozen=True)
class Plane:
    """Plane of a comparison; each picture is a PNG as a data URI, `source` may be absent."""

    source: str | None
    prediction: str
    reference: str
    error: str


@dataclass(frozen=True)
class Curve:
    """Polyline in a box of `width` x `height`, in its own pixels with y downward."""

    width: int
    height: int
    points: str
    mean: float
    worst: tuple[float, float]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def error_colours(steps: int = 9) -> list[str]:
    """List the colours of the error maps' scale from zero to its end, as hex."""
    from matplotlib.colors import to_hex

    return [to_hex(_error_map()(k / (steps - 1))) for k in range(steps)]


def draw_plane(pictures: Pictures, cut: Cut, limit: float) -> Plane:
    """Draw a plane with `compare_plane`, as data URIs."""
    drawn = {name: encode_png(image) for name, image in compare_plane(pictures, cut, limit).items()}
    return Plane(drawn.get("source"), drawn["prediction"], drawn["reference"], drawn["error"])


def compare_plane(
    pictures: Pictures, cut: Cut, limit: float, uncertainty_limit: float | None = None
) -> dict[str, Image.Image]:
    """Draw source, prediction, reference, error and uncertainty of a plane, if present, by name.

    The scale of the error ends at `limit`, that of the uncertainty at `uncertainty_limit` or also at `limit`.
    The error is black outside the mask. All are cropped to the mask with a margin (`size_mm`). The patient's
    right is on the left; in a sagittal plane, the front is.
    """
    inside, fake, real = (
        cut.of(volume, pictures.mask) for volume in (pictures.mask, pictures.prediction, pictures.reference)
    )
    errors = np.where(inside, np.abs(fake - real), 0.0) / limit
    planes = (
        {}
        if pictures.source is None
        else {"source": _grey(cut.of(pictures.source, pictures.mask), pictures.source_range)}
    )
    planes |= {
        "prediction": _grey(fake, pictures.data_range),
        "reference": _grey(real, pictures.data_range),
        "error": _heat(errors),
    }
    if pictures.uncertainty is not None:
        planes["uncertainty"] = _heat(
            cut.of(pictures.uncertainty, pictures.mask) / (uncertainty_limit or limit)
        )
    return {name: square_pixels(plane, _spacing(pictures, cut)) for name, plane in planes.items()}


def draw_shown(shown: Shown, cut: Cut, limit: float) -> list[str]:
    """Draw a plane with `show_plane`, as data URIs."""
    return [encode_png(image) for image in show_plane(shown, cut, limit)]


def show_plane(shown: Shown, cut: Cut, limit: float) -> list[Image.Image]:
    """Draw source, translation and, if present, uncertainty of a plane, cropped as in `compare_plane`."""
    planes = [
        _grey(cut.of(shown.source, shown.mask), shown.source_range),
        _grey(cut.of(shown.translation, shown.mask), shown.range),
    ]
    if shown.uncertainty is not None:
        planes.append(_heat(cut.of(shown.uncertainty, shown.mask) / limit))
    return [square_pixels(plane, _spacing(shown, cut)) for plane in planes]


def size_mm(pictures: Pictures | Shown, cut: Cut) -> tuple[float, float]:
    """Return width and height of a picture of a plane."""
    shape, spacing = pictures.mask.shape, pictures.spacing_mm
    width, height = (
        len(range(shape[axis])[_extent(pictures.mask, axis)]) * spacing[axis] for axis in cut.sides
    )
    return width, height


def draw_differences(pictures: Pictures, folder: Path, name: str) -> None:
    """Write PNG strips: original, intermediate image, result, and difference from the original.

    A picture has one strip, `NAME.png`; a volume has several, `NAME-INDEX.png`. The difference is black at
    zero and pale yellow from a quarter of the range on, so strips can be compared with each other.
    """
    if not pictures.mask.any():
        return
    low, high = pictures.data_range
    several = pictures.mask.shape[2] > 1
    for index in spread_planes(pictures.mask, DIFFERENCES):
        errors = np.abs(pictures.prediction - pictures.reference)[..., index] * pictures.mask[..., index]
        planes = [
            _grey(pictures.reference[..., index], pictures.data_range),
            *([] if pictures.source is None else [_grey(pictures.source[..., index], pictures.source_range)]),
            _grey(pictures.prediction[..., index], pictures.data_range),
        ]
        drawn = [*(np.stack([plane] * 3, axis=-1) for plane in planes), _heat(errors / (high - low) * 4)]
        strip = square_pixels(np.concatenate(drawn), pictures.spacing_mm, LONGEST_SIDE * len(drawn))
        strip.save(folder / (f"{name}-{index:03}.png" if several else f"{name}.png"))


def middle_cuts(mask: Voxels) -> list[Cut]:
    """Choose a coronal and a sagittal plane through the middle of the mask; none for a single slice."""
    if mask.shape[2] < 2 or not mask.any():
        return []
    others = {1: (0, 2), 0: (1, 2)}
    return [Cut(axis, int(np.mean(np.flatnonzero(mask.any(axis=rest))))) for axis, rest in others.items()]


def spread_planes(mask: Voxels, count: int) -> list[int]:
    """Choose up to `count` slices, evenly spaced over those with enough of the mask."""
    area = mask.sum(axis=(0, 1))
    full = np.flatnonzero(area >= FAIR_SHARE * area.max())
    return [
        int(k) for k in full[np.unique(np.linspace(0, len(full) - 1, count + 2).round().astype(int)[1:-1])]
    ]


def draw_curve(
    x: Sequence[float], y: Sequence[float], *, highest_is_worst: bool, most: float | None = None
) -> Curve:
    """Draw a curve of scores per slice, scaled to its box, with round ticks.

    Args:
        x: position of each slice, ascending.
        y: its score.
        highest_is_worst: the worst slice has the highest score.
        most: largest possible score, where the axis ends.
    """
    width, height = 420, 150
    rows = round_ticks(min(0.0, *y) if highest_is_worst else min(y), max(y), most=most)
    across = np.interp(x, (x[0], x[-1]), (0, width))
    down = np.interp(y, (rows[0], rows[-1]), (height, 0))
    worst = int(np.argmax(y) if highest_is_worst else np.argmin(y))
    columns = [tick for tick in round_ticks(x[0], x[-1], 6) if x[0] <= tick <= x[-1]]
    return Curve(
        width=width,
        height=height,
        points=" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True)),
        mean=float(np.mean(down)),
        worst=(float(across[worst]), float(down[worst])),
        x_ticks=[(float(np.interp(t, (x[0], x[-1]), (0, width))), f"{t:g}") for t in columns],
        y_ticks=[(float(np.interp(t, (rows[0], rows[-1]), (height, 0))), f"{t:g}") for t in rows],
    )


def round_ticks(low: float, high: float, count: int = 4, most: float | None = None) -> list[float]:
    """Choose round numbers that enclose low and high; from 0 to 1 or beyond if these are equal.

    Args:
        most: largest possible value, such as 1 for SSIM; ticks beyond it are replaced by it.
    """
    if low == high:
        low, high = min(low, 0.0), max(high, 1.0)
    from matplotlib.ticker import MaxNLocator

    ticks = [round(float(tick), 10) for tick in MaxNLocator(count).tick_values(low, high)]
    if most is None or ticks[-1] <= most or high > most:
        return ticks
    return [*(tick for tick in ticks if tick < most), most]


def _extent(mask: Voxels, axis: int) -> slice:
    """Find the extent of the mask along an axis, with a margin; it is the same for all pictures."""
    used = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
    air = round(MARGIN * mask.shape[axis])
    return slice(max(0, int(used[0]) - air), int(used[-1]) + 1 + air)


def _spacing(pictures: Pictures | Shown, cut: Cut) -> tuple[float, float]:
    columns, rows = cut.sides
    return pictures.spacing_mm[columns], pictures.spacing_mm[rows]


def _grey(plane: Values, ends: Range) -> npt.NDArray[np.uint8]:
    grey: npt.NDArray[np.uint8] = np.interp(plane, ends, (0, 255)).round().astype(np.uint8)
    return grey


def _error_map() -> Colormap:
    import matplotlib  # takes as long to import as a CSV to write, and only pictures need it

    return matplotlib.colormaps["inferno"]


def _heat(shares: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Map shares of an error scale to colours [X, Y, 3]."""
    colours: npt.NDArray[np.uint8] = (_error_map()(shares)[..., :3] * 255).round().astype(np.uint8)
    return colours


def square_pixels(
    plane: npt.NDArray[np.uint8], spacing_mm: Sequence[float], longest: int = LONGEST_SIDE
) -> Image.Image:
    """Draw [X, Y] or [X, Y, 3] with square pixels and rows along Y; the spacing is that along X and Y."""
    size_mm = plane.shape[0] * spacing_mm[0], plane.shape[1] * spacing_mm[1]
    per_mm = min(longest / max(size_mm), 1 / min(spacing_mm[:2]))
    picture = Image.fromarray(np.ascontiguousarray(plane.swapaxes(0, 1)))
    return picture.resize((max(1, round(size_mm[0] * per_mm)), max(1, round(size_mm[1] * per_mm))))


def encode_png(picture: Image.Image) -> str:
    """Encode a picture as a data URI."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
