"""How smoothly a volume runs from slice to slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from medtranslate.transforms import VISIBLE

SLAB = 2**21
"""Voxels that are looked at in one go, so that no copy of a whole volume is made."""


def slabs(depth: int, plane: int, step: int = 1) -> Iterator[tuple[int, int]]:
    """First and past-the-last slices of slabs of about `SLAB` voxels, each of whole `step`s but the last."""
    thick = max(1, SLAB // (plane * step)) * step
    yield from ((start, min(start + thick, depth)) for start in range(0, depth, thick))


def jumps(slices: NDArray[np.float32]) -> tuple[float, int]:
    """Sum of |v(z-1) - 2 v(z) + v(z+1)| over the visible voxels of slices [Z, Y, X], and their number."""
    middle = slices[1:-1]
    visible = middle > 2 * VISIBLE - 1
    bent = slices[:-2] - 2 * middle
    bent += slices[2:]
    np.abs(bent, out=bent)
    return float(bent.sum(where=visible, dtype=np.float64)), int(np.count_nonzero(visible))


def seams(slices: NDArray[np.float32]) -> float:
    """Mean jump between neighbouring slices over visible voxels, as a share of the range.

    Args:
        slices: [Z, Y, X] in [-1, 1].
    """
    depth, plane = len(slices), slices[0].size
    return share([jumps(slices[max(0, start - 2) : stop]) for start, stop in slabs(depth, plane)])


def share(found: list[tuple[float, int]]) -> float:
    """The mean of all jumps, as a share of the range of two."""
    total, count = (sum(values) for values in zip(*found, strict=True))
    return total / count / 2 if count else 0.0
