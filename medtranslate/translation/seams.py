"""Seams: jumps of the values from slice to slice, and what lowers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from medtranslate.transforms import VISIBLE

LIMIT = 1.1
"""Seams of a translation over those of its source, above which it is smoothed."""

THIN_MM = 1.5
"""Slices up to this thickness share their bone: a value in one of them alone is an error of the network."""

SMOOTHED_MM = 1.0
"""Largest standard deviation of the smoothing, about a pixel of the networks' slices of a head."""


def seams(slices: Iterable[NDArray[np.float32]]) -> float:
    """Average the jump |v(z-1) - 2 v(z) + v(z+1)| over the visible voxels, as a share of the range.

    Args:
        slices: [Y, X] in [-1, 1], one after the other; three are held at a time.
    """
    total, count = 0.0, 0
    below = middle = None
    for above in slices:
        if below is not None and middle is not None:
            visible = middle > 2 * VISIBLE - 1
            jump = below - 2 * middle
            jump += above
            np.abs(jump, out=jump)
            total += float(jump.sum(where=visible, dtype=np.float64))
            count += int(np.count_nonzero(visible))
        below, middle = middle, above
    return total / count / 2 if count else 0.0


def without_lone(slices: NDArray[np.float32]) -> None:
    """Replace each value by the median of its own and those of the slices beside it, in place.

    Edges stay where two slices agree on them, other than in a mean.

    Args:
        slices: [Z, Y, X].
    """
    below = slices[0].copy()
    for number in range(1, len(slices) - 1):
        middle, above = slices[number].copy(), slices[number + 1]
        low, high = np.minimum(below, middle), np.maximum(below, middle)
        np.clip(above, low, high, out=slices[number])
        below = middle


def steady(
    slices: NDArray[np.float32], of_source: float, slice_mm: float, tidy: Callable[[], object]
) -> dict[str, float]:
    """Smooth slices along their axis, in place, until their seams are at most `LIMIT` times the source's.

    A network makes each slice by itself, so errors differ from slice to slice. Each pass adds a share of the
    second difference, and the variances of the passes add up, to at most `SMOOTHED_MM` squared, or two slices
    squared. Thick slices hardly change.

    Args:
        slices: [Z, Y, X] in [-1, 1].
        of_source: seams of the source.
        slice_mm: from slice to slice.
        tidy: called after each pass, to undo what must not change.

    Returns:
        Seams of the source and of the output, and "unsmoothed", those before, if the slices were smoothed.
    """
    first = jumps = seams(slices)
    left = min(SMOOTHED_MM / slice_mm, _SMOOTHED_SLICES) ** 2
    while jumps > LIMIT * of_source and left > 1e-3:
        share = min(_STABLE, left / 2)
        _mix(slices, share)
        tidy()
        jumps, left = seams(slices), left - 2 * share
    found = {"source": of_source, "output": jumps}
    return found if jumps == first else {**found, "unsmoothed": first}


_SMOOTHED_SLICES = 2.0
"""Largest standard deviation in slices, since a header may have slices of a micron."""

_STABLE = 0.25
"""Largest share of a neighbour in one pass; from here on a change from slice to slice never turns over."""


def _mix(slices: NDArray[np.float32], share: float) -> None:
    """Mix each slice with a share of both its neighbours."""
    below = slices[0].copy()
    for number in range(1, len(slices) - 1):
        middle = slices[number].copy()
        slices[number] += share * (below - 2 * middle + slices[number + 1])
        below = middle
