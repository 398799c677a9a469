"""Measures how well the spread of samples says where errors are.

Arrays are the scored pixels of all slices, [n]: standard deviations and absolute errors in one unit.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from medtranslate.networks import Told, VariationalGenerator

Numbers = NDArray[np.floating]

STEPS = 50
"""Shares of the pixels that are left out, from none to nearly all."""


@torch.no_grad()
def sampled(generator: VariationalGenerator | Told, source: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Translate slices [B, 1, S, S], and return the standard deviation of samples too, on the CPU."""
    torch.manual_seed(0)
    posterior = generator.encode(source.to(next(generator.parameters()).device))
    drawn = torch.stack([generator.decode(posterior.draw()).float().cpu() for _ in range(samples)])
    return generator.decode(posterior.mean).float().cpu(), drawn.std(dim=0)


def sparsification(spread: Numbers, errors: Numbers) -> float:
    """Measure the area under the sparsification error: 0 where spread ranks as errors do, 1 for no help.

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
    """Return the mean half width of intervals as wide as `spread` times one number, so that `share` hold.

    Equal coverage makes predictors of width comparable: the narrower is the better. A constant `spread` gives
    the quantile of the errors.
    """
    factors = errors / np.maximum(spread, 1e-9)
    return float(np.quantile(factors, share) * spread.mean())


def binned_spread(values: Numbers, errors: Numbers, at: Numbers | None = None, bins: int = 16) -> Numbers:
    """Return for each pixel the mean error of pixels with about its intensity, which needs no samples.

    Args:
        values: of the translation.
        at: values of the pixels that are asked for, if others.
    """
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    places = np.searchsorted(edges, values)
    sums = np.bincount(places, errors, bins) / np.maximum(np.bincount(places, minlength=bins), 1)
    return sums[places if at is None else np.searchsorted(edges, at)]


def temperature(spread: Numbers, errors: Numbers, share: float = 0.9) -> float:
    """Find the factor on `spread` with which normal intervals of probability `share` hold as many errors."""
    return float(np.quantile(errors / np.maximum(spread, 1e-9), share) / norm.ppf((1 + share) / 2))


def held(spread: Numbers, errors: Numbers, share: float) -> float:
    """Count the share of errors inside the normal intervals of probability `share`."""
    return float(np.mean(errors <= norm.ppf((1 + share) / 2) * spread))
