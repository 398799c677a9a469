"""Maps the uncertainty of posterior samples to the expected error.

The standard deviation of samples shows where a translation is uncertain, not by how much. A curve fitted on
data with known truth maps it to an error: a calibrated deviation is the root mean square error of voxels of
equal deviation. So the variance of the errors at any calibrated deviation is its square, which is the
definition of Levi et al. ("Evaluating and calibrating uncertainty prediction in regression tasks", Sensors
22(15), 2022). Like theirs, the curve is a table of bins. It is monotone; otherwise it overfits the heads of
the fit.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from medtranslate.records import Calibration

BINS = 16
"""Points of a fitted curve, each of an equal number of voxels."""


def fit_calibration(spread: NDArray[np.floating], errors: NDArray[np.floating], on: str) -> Calibration:
    """Fit the curve to voxels with known errors.

    Mean squares of equal bins are made monotone by isotonic regression (Barlow et al., "Statistical inference
    under order restrictions", 1972).

    Args:
        spread: [N], standard deviations over samples; N is at least `BINS`.
        errors: [N], absolute, in the same unit.
        on: data of the fit, in words.
    """
    from scipy.optimize import isotonic_regression  # slow to load

    bins = np.array_split(np.argsort(spread, kind="stable"), BINS)
    squares = [float(np.mean(np.square(errors[part], dtype=np.float64))) for part in bins]
    risen = isotonic_regression(squares, weights=[len(part) for part in bins]).x
    return Calibration(
        spread=_rounded(np.median(spread[part]) for part in bins), error=_rounded(np.sqrt(risen)), on=on
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Round to five digits: people read the file, and no error is known more exactly."""
    return tuple(float(f"{value:.5g}") for value in values)


def calibrated(spread: NDArray[np.floating], known: Calibration) -> NDArray[np.floating]:
    """Map the standard deviation of samples to that of errors, both on the range [-1, 1]."""
    found: NDArray[np.floating] = np.interp(spread, known.spread, known.error)
    return found
