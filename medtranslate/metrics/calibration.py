"""From how far samples lie apart to how large errors are where they do.

Samples of a posterior say where a translation is unsure, and not by how much. A curve that was fitted where
the truth is known says that: a calibrated deviation is the root mean square error of voxels whose samples
lie as far apart. So of voxels of any deviation the errors' variance is its square, which is what Levi et al.
("Evaluating and calibrating uncertainty prediction in regression tasks", Sensors 22(15), 2022) call
calibrated. The curve is by bins, as theirs are, and may not fall with the spread: free to do so it learns
the heads that it is fitted on.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from medtranslate.records import Calibration

BINS = 16
"""Points of a curve that is fitted: each of as many voxels."""


def fit_calibration(spread: NDArray[np.floating], errors: NDArray[np.floating], on: str) -> Calibration:
    """The curve of voxels whose errors are known.

    Mean squares of equal bins are made to rise by isotonic regression (Barlow et al., "Statistical inference
    under order restrictions", 1972).

    Args:
        spread: [N], standard deviations over samples; N is at least `BINS`.
        errors: [N], absolute, in the same unit.
        on: what they are of, in words.
    """
    bins = np.array_split(np.argsort(spread, kind="stable"), BINS)
    squares = [float(np.mean(np.square(errors[part], dtype=np.float64))) for part in bins]
    risen = isotonic_regression(squares, weights=[len(part) for part in bins]).x
    return Calibration(
        spread=_rounded(np.median(spread[part]) for part in bins), error=_rounded(np.sqrt(risen)), on=on
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    """To five digits: people read the file, and no error is known as well."""
    return tuple(float(f"{value:.5g}") for value in values)


def calibrated(spread: NDArray[np.floating], known: Calibration) -> NDArray[np.floating]:
    """The deviations to expect of errors, given those over samples, where a range is [-1, 1]."""
    found: NDArray[np.floating] = np.interp(spread, known.spread, known.error)
    return found
