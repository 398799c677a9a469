"""Does the spread of samples say where the error is? Beside `metrics.coverage`, which knows its size.

Arrays are the scored pixels of all slices, [n]: standard deviations and absolute errors in one unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]

STEPS = 50
"""Shares of the pixels that are left out, from none to nearly all."""


def sparsification(spread: Numbers, errors: Numbers) -> float:
    """Area under the sparsification error: 0 where spread ranks errors as they are, 1 where it is no help.

    The least certain pixels are left out, share by share; the error of those left is held against that of
    leaving out the largest errors (Ilg et al., "Uncertainty Estimates and Multi-Hypotheses Networks for
    Optical Flow", 2018). Divided by the same area for an order that knows nothing, whose error stays.
    """
    left = np.linspace(1.0, 1.0 / STEPS, STEPS)
    counts = np.maximum(1, np.rint(left * len(errors)).astype(int))

    def curve(order: NDArray[np.intp]) -> Numbers:
        means: Numbers = (np.cumsum(errors[order]) / np.arange(1, len(errors) + 1))[counts - 1]
        return means

    best = curve(np.argsort(errors, kind="stable"))
    ours = curve(np.argsort(spread, kind="stable"))
    blind = float((errors.mean() - best).mean())
    return float((ours - best).mean()) / blind if blind else 0.0


def interval_width(spread: Numbers, errors: Numbers, share: float = 0.9) -> float:
    """Mean half width of intervals as wide as `spread` times one number, chosen so that `share` hold.

    Equal coverage makes predictors of width comparable: the narrower is the better. A constant `spread` gives
    the quantile of the errors.
    """
    factors = errors / np.maximum(spread, 1e-9)
    return float(np.quantile(factors, share) * spread.mean())


def binned_spread(values: Numbers, errors: Numbers, bins: int = 16) -> Numbers:
    """The mean error of pixels with about the same intensity, for each pixel: what needs no samples.

    Args:
        values: of the translation.
    """
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    places = np.searchsorted(edges, values)
    sums = np.bincount(places, errors, bins) / np.maximum(np.bincount(places, minlength=bins), 1)
    return sums[places]
