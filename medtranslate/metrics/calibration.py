"""Maps the uncertainty of a model to an error limit, within which `LIMIT_SHARE` of the errors lie.

Limits that hold their nominal share of the errors are calibrated, by the definition of Kuleshov, Fenner and
Ermon ("Accurate uncertainties for deep learning using calibrated regression", ICML 2018). Errors have heavy
tails: a few voxels at the skull are wrong by 1000 HU. They rule a root mean square, but not a quantile.

The standard deviation of samples shows where a translation is uncertain, not by how much. Curves are fitted
to it on data with known truth, tables of bins. They are monotone; otherwise they overfit the heads of the
fit. Each range of values of the translation has a curve of its own: at the edge of bone, where errors are
large, a deviation means more than inside the brain. Limits that a network estimates are in proportion
already, and a factor is fitted to them.

What bone encloses has curves, or a factor, of its own: in the neck a missed vertebra is an error of 500 HU,
which says nothing of the brain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from medtranslate.metrics.arrays import Voxels
from medtranslate.records import Calibration, Curve

BINS = 16
"""Points of a fitted curve, each of an equal number of voxels."""

CURVES = 16
"""Ranges of values that have a curve, each of an equal number of voxels where few share a value."""

LEAST_VOXELS = BINS * CURVES
"""Voxels that bone encloses, and others, from which on both have curves of their own."""

LEAST_LIMIT = 1e-4
"""Limits below this, of 2, count as this much; in air they may be 0."""

LIMIT_SHARE = 0.9
"""Share of the errors that lie within an error limit.

Limits of 90 % rank lesions that `head-ct` loses (`benchmarks.quality.lesions`) and other brain as
the spread of the samples does. Those of 68 % rank worse, because the curve inside the brain is nearly level,
and so do those of 95 %, which errors at the skull rule.
"""

Numbers = NDArray[np.floating]


def fit_calibration(
    made: Numbers,
    spread: Numbers,
    errors: Numbers,
    on: str,
    share: float = LIMIT_SHARE,
    enclosed: Voxels | None = None,
) -> Calibration:
    """Fit the curves to voxels with known errors.

    Args:
        made: [N], values of the translation; N is at least `BINS`.
        spread: [N], standard deviations over samples, or limits of a network, in the same unit.
        errors: [N], absolute, in the same unit.
        on: data of the fit, in words.
        share: of the errors that lie within the limit.
        enclosed: [N], whether bone encloses a voxel (`metrics.enclosed`); with less than `LEAST_VOXELS` on
            either side, or without it, one set of curves is fitted.
    """
    parts = _parts(len(made), enclosed)
    rest, *own = (_fit_curves(made[part], spread[part], errors[part], share) for part in parts)
    return Calibration(curves=rest, enclosed=own[0] if own else (), on=on, share=share)


def fit_factors(
    spread: Numbers, errors: Numbers, on: str, share: float = LIMIT_SHARE, enclosed: Voxels | None = None
) -> Calibration:
    """Fit a factor to limits that a network estimates, and another to those of voxels that bone encloses.

    Such limits are of the right proportions, so their order stays, and voxels of unlike value share a factor.
    It is the quantile of the errors in units of the limits: split conformal inference with local weights (Lei
    et al., "Distribution-free predictive inference for regression", JASA 113, 2018).

    Args:
        spread: [N], limits on the range [-1, 1].
        errors: [N], absolute, on the same range.
        on, share, enclosed: as of `fit_calibration`.
    """
    sizes = errors / np.maximum(spread, LEAST_LIMIT)
    rest, *own = ((_line(float(np.quantile(sizes[part], share))),) for part in _parts(len(spread), enclosed))
    return Calibration(curves=rest, enclosed=own[0] if own else (), on=on, share=share)


def _parts(count: int, enclosed: Voxels | None) -> list[NDArray[np.intp]]:
    """Part voxels into those outside bone and those that it encloses, if there are enough of both."""
    if enclosed is None or min(enclosed.sum(), (~enclosed).sum()) < LEAST_VOXELS:
        return [np.arange(count)]
    return [np.flatnonzero(~enclosed), np.flatnonzero(enclosed)]


def _line(factor: float) -> Curve:
    """Make the curve of a factor; no error of the range [-1, 1] is larger than 2."""
    last = min(2.0, 2.0 / factor) if factor else 2.0
    return Curve(value=0.0, spread=_rounded((0.0, last)), error=_rounded((0.0, last * factor)))


def _fit_curves(made: Numbers, spread: Numbers, errors: Numbers, share: float) -> tuple[Curve, ...]:
    """Fit a curve to each range of values."""
    ends = np.unique(np.quantile(made, np.linspace(0, 1, CURVES + 1)[1:-1]))
    ranges = np.searchsorted(ends, made, side="right")
    parts = [np.flatnonzero(ranges == index) for index in range(len(ends) + 1)]
    kept = [part for part in parts if len(part) >= BINS] or [np.arange(len(made))]
    return tuple(_fit_curve(made[part], spread[part], errors[part], share) for part in kept)


def _fit_curve(made: Numbers, spread: Numbers, errors: Numbers, share: float) -> Curve:
    """Fit a curve to bins of equal numbers of voxels."""
    bins = np.array_split(np.argsort(spread, kind="stable"), BINS)
    return Curve(
        value=float(np.median(made)),
        spread=_rounded(float(np.median(spread[part])) for part in bins),
        error=_rounded(rising_quantiles([errors[part] for part in bins], share)),
    )


def rising_quantiles(bins: Sequence[Numbers], share: float) -> list[float]:
    """Find the quantile of each bin; neighbours whose quantiles fall are pooled until none do.

    The algorithm of pooled adjacent violators (Barlow et al., "Statistical inference under order
    restrictions", 1972), which holds for quantiles as well (Robertson and Wright, "Algorithms in order
    restricted statistical inference and the Cauchy mean value property", Annals of Statistics 8, 1980).
    """
    blocks: list[tuple[int, Numbers, float]] = []
    for errors in bins:
        block = (1, errors, float(np.quantile(errors, share)))
        while blocks and blocks[-1][2] > block[2]:
            count, before, _ = blocks.pop()
            joined = np.concatenate([before, block[1]])
            block = (count + block[0], joined, float(np.quantile(joined, share)))
        blocks.append(block)
    return [level for count, _, level in blocks for _ in range(count)]


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Round to five digits: people read the file, and no error is known more exactly."""
    return tuple(float(f"{value:.5g}") for value in values)


def calibrated(made: Numbers, spread: Numbers, known: Calibration, enclosed: Voxels | None = None) -> Numbers:
    """Map the standard deviation of samples to the error limit.

    Args:
        made: values of the translation, [N] on the range [-1, 1].
        spread: [N], on the same range.
        enclosed: [N], whether bone encloses a voxel; without it none does.
    """
    limit = _on_curves(made, spread, known.curves)
    if enclosed is not None and known.enclosed:
        limit[enclosed] = _on_curves(made[enclosed], spread[enclosed], known.enclosed)
    return limit


def _on_curves(made: Numbers, spread: Numbers, curves: Sequence[Curve]) -> Numbers:
    found = np.stack([np.interp(spread, curve.spread, curve.error) for curve in curves])
    places = np.interp(made, [curve.value for curve in curves], np.arange(len(found)))
    lower = places.astype(np.intp)
    upper = np.minimum(lower + 1, len(found) - 1)
    voxels, share = np.arange(len(made)), places - lower
    mixed: Numbers = (1 - share) * found[lower, voxels] + share * found[upper, voxels]
    return mixed
