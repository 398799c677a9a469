"""Affines whose axes are not at right angles: how they are told, and the grid that comes nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from medtranslate.errors import GeometryRefused
from medtranslate.geometry import TILT_DEGREES, Floats, spacing


def shear(affine: ArrayLike) -> float:
    """Largest angle in degrees by which two axes of the array miss a right angle."""
    directions = np.asarray(affine, dtype=np.float64)[:3, :3] / spacing(affine)
    cosines = np.abs(directions.T @ directions)[np.triu_indices(3, 1)]
    return float(np.degrees(np.arcsin(min(1.0, cosines.max()))))


def describe_shear(affine: ArrayLike) -> str:
    """Describe the shear of an affine; empty if it is within `TILT_DEGREES`."""
    angle = shear(affine)
    return f"sheared by {angle:.1f} degrees" if angle > TILT_DEGREES else ""


def require_right_angles(affine: ArrayLike, what: str) -> None:
    """Refuse an affine whose axes are not at right angles, where a format has only directions for them.

    Args:
        what: what the message names, such as the file.

    Raises:
        GeometryRefused: it is sheared by more than `TILT_DEGREES`.
    """
    if sheared := describe_shear(affine):
        raise GeometryRefused(
            f"{what}: the volume is {sheared}, which this format cannot say; resample it with --regrid, or"
            " write .nii.gz or .nrrd"
        )


def right_angled(affine: ArrayLike) -> tuple[Floats, Floats]:
    """Find the nearest directions with right angles that keep the first axis, and voxel sizes along them.

    The second direction stays in the plane of the first two axes (Gram and Schmidt), so that a stack whose
    slices are moved against each other keeps its slices, and the third size is the distance between them.

    Returns:
        Unit directions, RAS+, one in each row, and sizes in mm; their product is a voxel's volume.
    """
    axes, triangle = np.linalg.qr(np.asarray(affine, dtype=np.float64)[:3, :3])
    sizes = np.diag(triangle)
    return (axes * np.sign(sizes)).T, np.abs(sizes)


def corners(shape: Sequence[int]) -> Floats:
    """Array indices [8, 4] of a volume's corner voxels, with a 1 behind each for affines."""
    ends = [(0, length - 1) for length in shape]
    return np.array([(i, j, k, 1) for i in ends[0] for j in ends[1] for k in ends[2]], dtype=np.float64)


@np.errstate(over="ignore", invalid="ignore")
def farthest(first: ArrayLike, second: ArrayLike, shape: Sequence[int]) -> float:
    """Largest distance in mm between where two affines place a voxel of a volume; NaN if one holds NaN."""
    apart = corners(shape) @ (np.asarray(first, np.float64) - np.asarray(second, np.float64)).T
    return float(np.linalg.norm(apart[:, :3], axis=1).max())
