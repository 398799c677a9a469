"""Statistics of the values themselves: histograms, and seams from slice to slice."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from medtranslate.metrics.arrays import Range, Values, Voxels
from medtranslate.records import Histograms

BINS = 128
"""Most bins of a histogram."""
TAIL = 0.001
"""Share of the voxels on either side that a histogram's edges may leave out."""


def histograms(images: Mapping[str, Values], mask: Voxels) -> Histograms | None:
    """Count values over the mask, on edges that the images share; None for an empty mask.

    The edges leave out at most `TAIL` of an image's voxels on either side. For an image of whole numbers
    every bin covers an equal number of them, so that binning adds no comb.

    Args:
        images: images by name, each [X, Y, Z], in one unit.
        mask: [X, Y, Z].
    """
    if not mask.any():
        return None
    ranked = {name: np.sort(image[mask]) for name, image in images.items()}
    cut = int(TAIL * (np.count_nonzero(mask) - 1))
    low = float(min(values[cut] for values in ranked.values()))
    high = float(max(values[-1 - cut] for values in ranked.values()))
    width = (high - low) / BINS or 1.0
    if any(np.array_equal(values, np.rint(values)) for values in ranked.values()):
        width, low = float(math.ceil(width)), math.floor(low) - 0.5
    edges = low + width * np.arange(max(1, math.ceil((high - low) / width - 1e-9)) + 1)
    places = {
        name: np.append(values.searchsorted(edges[:-1]), values.searchsorted(edges[-1], side="right"))
        for name, values in ranked.items()
    }
    return Histograms(
        edges=edges.tolist(),
        counts={name: np.diff(ends).tolist() for name, ends in places.items()},
        below={name: int(ends[0]) for name, ends in places.items()},
        above={name: ranked[name].size - int(ends[-1]) for name, ends in places.items()},
    )


def seams(volume: Values, mask: Voxels, data_range: Range) -> float | None:
    """Measure jumps between slices: mean |v(z-1) - 2 v(z) + v(z+1)| over the mask, as a share of the range.

    An even change from slice to slice gives zero; slices that were made one by one give more. Anatomy
    has seams, too, so compare the value with that of the reference.

    Args:
        volume: [X, Y, Z], axial slices along the last axis.
        mask: [X, Y, Z]; the outermost slices do not count.
        data_range: lowest and highest value.

    Returns:
        None if no voxel counts.
    """
    total, count = 0.0, 0
    for before, plane, after, voxels in zip(
        volume.T[:-2], volume.T[1:-1], volume.T[2:], mask.T[1:-1], strict=True
    ):
        jumps = before[voxels].astype(np.float64) - 2 * plane[voxels].astype(np.float64) + after[voxels]
        total, count = total + float(np.abs(jumps).sum()), count + jumps.size
    return total / count / (data_range[1] - data_range[0]) if count else None
