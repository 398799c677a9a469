"""Seams: jumps of the values from slice to slice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from medtranslate.transforms import VISIBLE


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
