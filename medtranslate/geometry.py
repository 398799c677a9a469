"""Where voxels lie: LPS and RAS, affines, and slices stacked along their normal.

An affine maps an array index (i, j, k, 1) to millimetres. DICOM speaks LPS (x grows to the patient's
left, y to posterior, z to superior; PS3.3 C.7.6.2.1.1), NIfTI and MONAI speak RAS. Inside this
package every affine is RAS+; DICOM headers are turned at the door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtranslate.errors import GeometryRefused

Floats = NDArray[np.float64]

POSITION_MM = 0.01
"""Least tolerance of a slice's position; headers round to about 0.001 mm."""
POSITION_SHARE = 0.01
"""Tolerance of a slice's position as a share of the distance between slices."""
COSINE = 1e-3
"""Tolerance of direction cosines: their length, their angle, and their sameness between slices."""
TILT_DEGREES = 0.1
"""Largest angle between the normal and the line through the slice positions."""

_SINE_OF_FLAT = 1e-3


def swap_lps_ras(affine: ArrayLike) -> Floats:
    """The affine [4, 4] with its world axes turned from LPS to RAS, or back (its own inverse)."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(affine, dtype=np.float64)


def spacing(affine: ArrayLike) -> Floats:
    """Voxel size [3] in mm along the array's axes: the lengths of the affine's columns."""
    lengths: Floats = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)
    return lengths


def check_affine(affine: ArrayLike, where: str) -> Floats:
    """The affine [4, 4], if it maps a grid to a volume.

    Args:
        where: what the message names, such as the file.

    Raises:
        GeometryRefused: it is not finite, has a zero column or lies (nearly) in a plane.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or (matrix[3] != [0, 0, 0, 1]).any():
        raise GeometryRefused(f"{where}: the affine is not a finite 4 x 4 matrix; mend the header")
    lengths = spacing(matrix)
    # The determinant over the product of the lengths is 1 for orthogonal axes, 0 for axes in a plane.
    flat = (lengths <= 0).any() or abs(np.linalg.det(matrix[:3, :3])) < _SINE_OF_FLAT * lengths.prod()
    if flat:
        sizes = " x ".join(f"{length:g}" for length in lengths)
        raise GeometryRefused(
            f"{where}: the affine has no volume (voxels of {sizes} mm, or axes in one plane); mend the header"
        )
    return matrix


def slice_normal(orientation: ArrayLike, where: str) -> Floats:
    """Unit normal [3] in LPS of a slice: direction along a row cross direction down a column.

    Args:
        orientation: ImageOrientationPatient, six direction cosines (PS3.3 C.7.6.2.1.1).
        where: what the message names, such as the file.

    Raises:
        GeometryRefused: the cosines are not two orthogonal unit vectors within `COSINE`.
    """
    row, column = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    errors = np.abs(np.array([lengths[0] - 1, lengths[1] - 1, row @ column]))
    if not (errors <= COSINE).all():
        raise GeometryRefused(
            f"{where}: ImageOrientationPatient is not two orthogonal unit vectors"
            f" (lengths {lengths[0]:.4f} and {lengths[1]:.4f}, product {row @ column:.4f}); mend the header"
        )
    normal = np.cross(row, column)
    unit: Floats = normal / np.linalg.norm(normal)
    return unit


@dataclass(frozen=True)
class Stack:
    """Parallel slices as one regular grid.

    Attributes:
        order: indices of the slices as given, ordered along the normal.
        affine: (column, row, slice in that order) to RAS+ mm, [4, 4].
    """

    order: NDArray[np.intp]
    affine: Floats


def stack_slices(
    positions: ArrayLike,
    orientation: ArrayLike,
    pixel_spacing: Sequence[float],
    names: Sequence[str],
    single_gap: float = 1.0,
) -> Stack:
    """Order slices along their normal and describe them by one affine, if they are a regular grid.

    The third column of the affine is the mean step from slice to slice, so that each slice lies where
    its header says, and its direction is the normal within `TILT_DEGREES`.

    Args:
        positions: ImagePositionPatient of each slice, [N, 3], mm in LPS: centre of the first pixel.
        orientation: ImageOrientationPatient, the same for all.
        pixel_spacing: PixelSpacing: mm between rows, then between columns (PS3.3 10.7.1.3).
        names: of the slices, for messages.
        single_gap: slice distance in mm that a lone slice is given.

    Raises:
        GeometryRefused: two slices at one position, a missing slice, uneven gaps, or a tilted stack.
    """
    points = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    normal = slice_normal(orientation, names[0])
    heights = points @ normal
    order = np.argsort(heights, kind="stable")
    points, heights = points[order], heights[order]
    if len(points) > 1:
        _check_gaps(heights, [names[index] for index in order])
        step = (points[-1] - points[0]) / (len(points) - 1)
        _check_line(points, step, normal, [names[index] for index in order])
    else:
        step = single_gap * normal
    row, column = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    affine = np.eye(4)
    affine[:3] = np.stack([row * pixel_spacing[1], column * pixel_spacing[0], step, points[0]], axis=1)
    return Stack(order, swap_lps_ras(affine))


def _check_gaps(heights: Floats, names: Sequence[str]) -> None:
    gaps = np.diff(heights)
    closest = int(gaps.argmin())
    if gaps[closest] < POSITION_MM:
        raise GeometryRefused(
            f"{names[closest]} and {names[closest + 1]} lie at the same position"
            f" ({gaps[closest]:.4f} mm apart); keep one of them"
        )
    usual = float(np.median(gaps))
    tolerance = max(POSITION_MM, POSITION_SHARE * usual)
    odd = np.flatnonzero(abs(gaps - usual) > tolerance)
    if odd.size == 0:
        return
    wholes = np.rint(gaps[odd] / usual)
    missing = int((wholes - 1).sum())
    between = f"between {names[odd[0]]} and {names[odd[0] + 1]}"
    if (wholes >= 2).all() and (abs(gaps[odd] - wholes * usual) <= wholes * tolerance).all():
        raise GeometryRefused(
            f"{missing} of {len(heights) + missing} slices missing: {gaps[odd[0]]:.2f} mm {between},"
            f" usual is {usual:.2f} mm; export the series again"
        )
    raise GeometryRefused(
        f"uneven gaps of {gaps.min():.2f} to {gaps.max():.2f} mm (first {between}): not supported yet;"
        " regrid the series to even gaps first"
    )


def _check_line(points: Floats, step: Floats, normal: Floats, names: Sequence[str]) -> None:
    distance = float(np.linalg.norm(step))
    tilt = float(np.degrees(np.arccos(np.clip(step @ normal / distance, -1, 1))))
    if tilt > TILT_DEGREES:
        raise GeometryRefused(
            f"{names[0]} and the slices after it are tilted by {tilt:.1f} degrees against their stack"
            " (gantry tilt): not supported yet; regrid the series first"
        )
    offsets = np.linalg.norm(points - (points[0] + np.arange(len(points))[:, None] * step), axis=1)
    worst = int(offsets.argmax())
    if offsets[worst] > max(POSITION_MM, POSITION_SHARE * distance):
        raise GeometryRefused(
            f"{names[worst]}: lies {offsets[worst]:.2f} mm off the regular grid of its series:"
            " not supported yet; regrid the series first"
        )
