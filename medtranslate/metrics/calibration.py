"""Maps the uncertainty of posterior samples to the expected error.

The standard deviation of samples shows where a translation is uncertain, not by how much. A curve fitted on
data with known truth maps it to an error: a calibrated deviation is the root mean square error of voxels of
equal deviation and about equal value. So the variance of the errors at any calibrated deviation is its
square, which is the definition of Levi et al. ("Evaluating and calibrating uncertainty prediction in
regression tasks", Sensors 22(15), 2022). Like theirs, the curve is a table of bins. It is monotone; otherwise
it overfits the heads of the fit.

Each range of values of the translation has a curve of its own: at the edge of bone, where errors are large, a
deviation means more than inside the brain.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from medtranslate.records import Calibration, Curve

BINS = 16
"""Points of a fitted curve, each of an equal number of voxels."""

CURVES = 8
"""Ranges of values that have a curve, each of an equal number of voxels where few share a value."""

Numbers = NDArray[np.floating]


def fit_calibration(made: Numbers, spread: Numbers, errors: Numbers, on: str) -> Calibration:
    """Fit the curves to voxels with known errors.

    Args:
        made: [N], values of the translation; N is at least `BINS`.
        spread: [N], standard deviations over samples, in the same unit.
        errors: [N], absolute, in the same unit.
        on: data of the fit, in words.
    """
    ends = np.unique(np.quantile(made, np.linspace(0, 1, CURVES + 1)[1:-1]))
    ranges = np.searchsorted(ends, made, side="right")
    parts = [np.flatnonzero(ranges == index) for index in range(len(ends) + 1)]
    kept = [part for part in parts if len(part) >= BINS] or [np.arange(len(made))]
    return Calibration(
        curves=tuple(_fit_curve(made[part], spread[part], errors[part]) for part in kept), on=on
    )


def _fit_curve(made: Numbers, spread: Numbers, errors: Numbers) -> Curve:
    """Fit a curve: mean squares of equal bins, made monotone by isotonic regression.

    Barlow et al., "Statistical inference under order restrictions", 1972.
    """
    from scipy.optimize import isotonic_regression  # slow to load

    bins = np.array_split(np.argsort(spread, kind="stable"), BINS)
    squares = [float(np.mean(np.square(errors[part], dtype=np.float64))) for part in bins]
    risen = isotonic_regression(squares, weights=[len(part) for part in bins]).x
    return Curve(
        value=float(np.median(made)),
        spread=_rounded(float(np.median(spread[part])) for part in bins),
        error=_rounded(np.sqrt(risen)),
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Round to five digits: people read the file, and no error is known more exactly."""
    return tuple(float(f"{value:.5g}") for value in values)


def calibrated(made: Numbers, spread: Numbers, known: Calibration) -> Numbers:
    """Map the standard deviation of samples to that of errors.

    Args:
        made: values of the translation, [N] on the range [-1, 1].
        spread: [N], on the same range.
    """
    found = np.stack([np.interp(spread, curve.spread, curve.error) for curve in known.curves])
    places = np.interp(made, [curve.value for curve in known.curves], np.arange(len(found)))
    lower = places.astype(np.intp)
    upper = np.minimum(lower + 1, len(found) - 1)
    voxels, share = np.arange(len(made)), places - lower
    mixed: Numbers = (1 - share) * found[lower, voxels] + share * found[upper, voxels]
    return mixed
