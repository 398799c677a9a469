"""Slices stacked along their normal: order, regularity of the grid, and missing slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtranslate.errors import GeometryRefused
from medtranslate.geometry.affines import _FLIP, Floats, slice_directions, slice_normal, spacing, swap_lps_ras

POSITION_MM = 0.01
"""Least tolerance of a slice's position; headers round to about 0.001 mm."""
POSITION_SHARE = 0.01
"""Tolerance of a slice's position as a share of the distance between slices."""
TILT_DEGREES = 0.1
"""Largest angle between the normal and the line through the slice positions."""
_ALMOST_AT_ONE_PLACE = 0.05
"""Share of the gap; two slices that are closer cannot both belong to one volume."""


@dataclass(frozen=True, eq=False)
class SliceGeometry:
    """Place of each slice of a tilted or uneven series, which one affine cannot describe.

    It travels in a volume's meta as `slices`. Rows follow the array's last axis as it was
    read, which is along the normal.

    Attributes:
        positions: centre of each slice's first pixel, RAS+ mm, [N, 3].
        orientations: unit vectors along a row and down a column, RAS+, [N, 2, 3].
        pixel_mm: distance between rows, then between columns.
    """

    positions: Floats
    orientations: Floats
    pixel_mm: tuple[float, float]

    def __post_init__(self) -> None:
        count = len(self.positions)
        if self.positions.shape != (count, 3) or self.orientations.shape != (count, 2, 3) or not count:
            raise ValueError(f"{self.positions.shape} positions, {self.orientations.shape} orientations")
        for orientation in self.orientations:
            slice_normal(orientation, "slice")
        if not (np.isfinite(self.positions).all() and (self.gaps > 0).all() and min(self.pixel_mm) > 0):
            raise ValueError("slices have to lie apart, in the order of their normal, with pixels of a size")
        for rows in (self.positions, self.orientations):
            rows.setflags(write=False)

    @property
    def normal(self) -> Floats:
        """Unit normal [3] of the first slice, RAS+."""
        return slice_normal(self.orientations[0], "slice")

    @property
    def gaps(self) -> Floats:
        """Distances [N - 1] in mm along the normal."""
        gaps: Floats = np.diff(self.positions @ self.normal)
        return gaps

    @property
    def tilt(self) -> float:
        """Angle in degrees between the normal and the line from the first slice to the last."""
        line = self.positions[-1] - self.positions[0]
        return float(np.degrees(np.arccos(np.clip(line @ self.normal / np.linalg.norm(line), -1, 1))))

    @property
    def scatter(self) -> float:
        """Largest distance in mm, within its own plane, of a slice from the line of first to last."""
        line = self.positions[-1] - self.positions[0]
        heights = (self.positions - self.positions[0]) @ self.normal
        offsets = self.positions - self.positions[0] - heights[:, None] * line / (line @ self.normal)
        return float(np.linalg.norm(offsets, axis=1).max())

    def __str__(self) -> str:
        """Describe tilt, gaps and scatter in words, for tables and messages."""
        ends = dict.fromkeys(f"{gap:.2f}" for gap in (self.gaps.min(), self.gaps.max()))
        said = [f"gaps of {' to '.join(ends)} mm"]
        if self.tilt > TILT_DEGREES:
            said.insert(0, f"tilted by {self.tilt:.1f} degrees")
        if self.scatter > POSITION_MM:
            said.append(f"up to {self.scatter:.2f} mm off a straight line")
        return ", ".join(said)


def require_grid(slices: SliceGeometry | None, what: str) -> None:
    """Refuse slices that are not a regular grid.

    Args:
        slices: slices of a volume; None for a regular grid.
        what: name for the message, such as the file.

    Raises:
        GeometryRefused: the slices are tilted or uneven.
    """
    if slices is not None:
        raise GeometryRefused(
            f"{what}: its slices are no regular grid ({slices}), which is needed here;"
            " resample it with --regrid (of convert, or of translate to a file)"
        )


def slices_of(affine: ArrayLike, count: int) -> SliceGeometry:
    """Describe the slices along the last axis of a regular grid, which has to be right-handed.

    Raises:
        GeometryRefused: rows and columns are not orthogonal.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    row, column, _ = spacing(matrix)
    positions = matrix[:3, 3] + np.arange(count)[:, None] * matrix[:3, 2]
    directions = (matrix[:3, :2] / (row, column)).T
    return SliceGeometry(positions, np.tile(directions, (count, 1, 1)), (float(column), float(row)))


@dataclass(frozen=True)
class Stack:
    """Parallel slices in the order of their normal.

    Attributes:
        order: indices of the slices as given, ordered along the normal.
        affine: (column, row, slice in that order) to RAS+ mm, [4, 4]. Its third column is the mean step
            from slice to slice, so for uneven slices it is exact only at the first and the last.
        slices: place of each slice, if they are tilted or uneven; None for a regular grid.
    """

    order: NDArray[np.intp]
    affine: Floats
    slices: SliceGeometry | None = None


def stack_slices(
    positions: ArrayLike,
    orientation: ArrayLike,
    pixel_spacing: Sequence[float],
    names: Sequence[str],
    single_gap: float = 1.0,
    thicknesses: ArrayLike | None = None,
) -> Stack:
    """Order slices along their normal and describe them by one affine, or one by one.

    They are a regular grid if each lies within max(`POSITION_MM`, `POSITION_SHARE` of the distance) of
    its place, and the line through them within `TILT_DEGREES` of the normal.

    To separate a hole from uneven gaps, each gap is measured in thicknesses of the slices at its two ends:
    protocols that image the skull base in thin slices and the brain in thick ones change both together.
    At twice the median of that measure or more, a slice is missing.

    Args:
        positions: ImagePositionPatient of each slice, [N, 3], mm in LPS: centre of the first pixel.
        orientation: ImageOrientationPatient of each slice, [N, 6], or one [6] for all.
        pixel_spacing: PixelSpacing: mm between rows, then between columns (PS3.3 10.7.1.3).
        names: names of the slices, for messages.
        single_gap: slice distance in mm of a single slice.
        thicknesses: SliceThickness of each slice in mm; None if one is unknown.

    Raises:
        GeometryRefused: two slices at one position, or a missing slice.
    """
    points = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    count = len(points)
    given = np.reshape(np.asarray(orientation, np.float64), (-1, 2, 3))
    directions = np.broadcast_to(
        [slice_directions(one, name) for one, name in zip(given, names, strict=False)], (count, 2, 3)
    )
    normal = slice_normal(directions[0], names[0])
    order = np.argsort(points @ normal, kind="stable")
    points, directions = points[order], directions[order]
    step = single_gap * normal
    if count > 1:
        thick = np.ones(count) if thicknesses is None else np.asarray(thicknesses, np.float64)[order]
        _check_gaps(points @ normal, thick, [names[index] for index in order])
        step = (points[-1] - points[0]) / (count - 1)
    row, column = directions[0]
    affine = np.eye(4)
    affine[:3] = np.stack([row * pixel_spacing[1], column * pixel_spacing[0], step, points[0]], axis=1)
    slices = SliceGeometry(points * _FLIP, directions * _FLIP, (pixel_spacing[0], pixel_spacing[1]))
    return Stack(order, swap_lps_ras(affine), None if count == 1 or _is_regular(slices) else slices)


def _check_gaps(heights: Floats, thick: Floats, names: Sequence[str]) -> None:
    gaps = np.diff(heights)
    closest = int(gaps.argmin())
    if gaps[closest] < POSITION_MM:
        more = int((gaps < POSITION_MM).sum()) - 1
        mixed = (
            f", and so do {more} other pairs: they differ in what no header tells apart, such as time or"
            " direction; export one of each"
        )
        raise GeometryRefused(
            f"{names[closest]} and {names[closest + 1]} lie at the same position"
            f" ({gaps[closest]:.4f} mm apart){mixed if more else '; keep one of them'}"
        )
    # If two stacks alternate, half of the gaps are small and the rest large.
    usual = float(np.quantile(gaps, 0.9, method="lower"))
    if gaps[closest] < _ALMOST_AT_ONE_PLACE * usual:
        raise GeometryRefused(
            f"{names[closest]} and {names[closest + 1]} lie almost at the same position"
            f" ({gaps[closest]:.4f} mm apart, usual is {usual:.2f} mm); keep one of them, or separate the"
            " series that they are of"
        )
    relative = gaps * 2 / (thick[:-1] + thick[1:])
    times = relative / np.median(relative)
    holes = np.flatnonzero(times > 2 * (1 - POSITION_SHARE))
    if holes.size == 0:
        return
    missing, first = int((np.rint(times[holes]) - 1).sum()), int(holes[0])
    raise GeometryRefused(
        f"{missing} of {len(heights) + missing} slices missing: {gaps[first]:.2f} mm between {names[first]}"
        f" and {names[first + 1]}, usual is {np.median(gaps):.2f} mm; export the series again"
    )


def _is_regular(slices: SliceGeometry) -> bool:
    gaps, places = slices.gaps, slices.positions @ slices.normal
    usual = float(np.median(gaps))
    even = np.linspace(places[0], places[-1], len(places))
    worst = max(slices.scatter, abs(places - even).max(), abs(gaps - usual).max())
    return bool(worst <= max(POSITION_MM, POSITION_SHARE * usual) and slices.tilt <= TILT_DEGREES)
