"""Distances between the surfaces of two segmentations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medtranslate.metrics.arrays import Voxels


def hausdorff_95(ours: Voxels, theirs: Voxels, spacing_mm: tuple[float, float, float]) -> float | None:
    """Compute the 95 % Hausdorff distance of two segmentations in mm; None if one of them is empty.

    The surface of a segmentation is its voxels with a face towards the outside, the edge of the grid
    included. Of the distances from each surface voxel to the nearest of the other surface the 95th
    percentile is taken, and of both directions the larger (Taha and Hanbury, "Metrics for evaluating 3D
    medical image segmentation", BMC Medical Imaging 15, 2015).

    Args:
        ours: [X, Y, Z].
        theirs: [X, Y, Z], on the same grid.
        spacing_mm: along x, y and z.
    """
    from scipy.spatial import KDTree  # slow to load

    places = [np.argwhere(_surface(mask)) * np.asarray(spacing_mm) for mask in (ours, theirs)]
    if not all(map(len, places)):
        return None
    trees = [KDTree(points, balanced_tree=False, compact_nodes=False) for points in places]
    ways = [tree.query(points)[0] for tree, points in zip(trees[::-1], places, strict=True)]
    return float(max(np.percentile(distances, 95) for distances in ways))


def _surface(mask: Voxels) -> Voxels:
    """Select the voxels that the mask loses by erosion with the 6-neighbourhood."""
    surface: npt.NDArray[np.bool_] = mask & ~ndimage.binary_erosion(mask)
    return surface
