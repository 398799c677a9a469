"""Affines between array indices and millimetres, in LPS and RAS.

An affine maps an array index (i, j, k, 1) to millimetres. DICOM uses LPS (x grows to the patient's
left, y to posterior, z to superior; PS3.3 C.7.6.2.1.1), NIfTI and MONAI use RAS. Inside this
package every affine is RAS+; DICOM headers are converted when they are read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtranslate.errors import GeometryRefused

Floats = NDArray[np.float64]

COSINE = 1e-3
"""Tolerance of direction cosines: their length, their angle, and their difference between slices."""

ROUNDED = 0.01
"""Tolerance of the length and the product of direction cosines that were rounded to two decimals: each is
off by up to 0.005."""

_SINE_OF_FLAT = 1e-3
_LARGEST_MM, _SMALLEST_MM = 1e7, 1e-6
"""Bounds of an affine's numbers and of a voxel's size; within them products do not overflow."""
_FLIP = np.array([-1.0, -1.0, 1.0])


def swap_lps_ras(affine: ArrayLike) -> Floats:
    """Turn the world axes of an affine [4, 4] from LPS to RAS, or back (its own inverse)."""
    return np.diag([*_FLIP, 1.0]) @ np.asarray(affine, dtype=np.float64)


def spacing(affine: ArrayLike) -> Floats:
    """Compute the voxel size [3] in mm along the array's axes: the lengths of the affine's columns."""
    lengths: Floats = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)
    return lengths


def check_affine(affine: ArrayLike, where: str) -> Floats:
    """Check that an affine [4, 4] maps a grid to a volume, and return it.

    Args:
        where: name for the message, such as the file.

    Raises:
        GeometryRefused: it is not finite, is huge, has a zero column or lies (nearly) in a plane.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or (matrix[3] != [0, 0, 0, 1]).any():
        raise GeometryRefused(f"{where}: the affine is not a finite 4 x 4 matrix; mend the header")
    if np.abs(matrix).max() > _LARGEST_MM:
        raise GeometryRefused(
            f"{where}: the affine holds {np.abs(matrix).max():.3g} mm, which is over {_LARGEST_MM:g} mm;"
            " mend the header"
        )
    lengths = spacing(matrix)
    # The determinant over the product of the lengths is 1 for orthogonal axes, 0 for axes in a plane.
    flat = (lengths < _SMALLEST_MM).any() or abs(
        np.linalg.det(matrix[:3, :3])
    ) < _SINE_OF_FLAT * lengths.prod()
    if flat:
        sizes = " x ".join(f"{length:g}" for length in lengths)
        raise GeometryRefused(
            f"{where}: the affine has no volume (voxels of {sizes} mm, or axes in one plane); mend the header"
        )
    return matrix


def slice_normal(orientation: ArrayLike, where: str) -> Floats:
    """Compute the unit normal [3] of a slice: direction along a row cross direction down a column.

    Args:
        orientation: ImageOrientationPatient, six direction cosines (PS3.3 C.7.6.2.1.1).
        where: name for the message, such as the file.

    Raises:
        GeometryRefused: the cosines are not two orthogonal unit vectors within `ROUNDED`.
    """
    row, column = slice_directions(orientation, where)
    normal = np.cross(row, column)
    unit: Floats = normal / np.linalg.norm(normal)
    return unit


def slice_directions(orientation: ArrayLike, where: str) -> Floats:
    """Return directions [2, 3] along a row and down a column; beyond `COSINE` they are orthonormalised.

    Args:
        orientation: ImageOrientationPatient, six direction cosines (PS3.3 C.7.6.2.1.1).
        where: name for the message, such as the file.

    Raises:
        GeometryRefused: the cosines are not two orthogonal unit vectors within `ROUNDED`.
    """
    directions: Floats = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    row, column = directions
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    error = max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(row @ column)))
    if error <= COSINE:
        return directions
    if not error <= ROUNDED:
        raise GeometryRefused(
            f"{where}: ImageOrientationPatient is not two orthogonal unit vectors"
            f" (lengths {lengths[0]:.4f} and {lengths[1]:.4f}, product {row @ column:.4f}); mend the header"
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    return np.stack([row, column / np.linalg.norm(column)])
