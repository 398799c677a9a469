"""Where the colour scales of errors and uncertainty end."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from medtranslate.metrics import Values
from medtranslate.report.drawing import round_ticks
from medtranslate.report.pictures import Pictures

SUREST, TIMES = 25, 5
"""The quarter of the head that is surest is brain; in its limits a lesion of five times as much is bright."""


def error_limit(pictures: Pictures) -> float:
    """Choose the end of the error maps' colour scale.

    It is a round number above 99.5 % of the errors in the mask, or the whole data range if that is less.
    """
    errors = np.abs(pictures.prediction - pictures.reference)[pictures.mask]
    low, high = pictures.data_range
    return min(round_ticks(0.0, float(np.percentile(errors, 99.5)) or 1.0)[-1], high - low)


def uncertainty_limit(maps: Iterable[Values]) -> float:
    """Choose the end of the scale of uncertainty; 0 without any.

    It is a round number above 99.5 % of the values, or above `TIMES` the quantile of `SUREST` %, if that is
    less and not 0: limits at the skull are a hundred times those of the brain, which would be black.
    """
    ends = [0.0]
    for values in maps:
        if values.size:
            usual, highest = (float(value) for value in np.percentile(values, (SUREST, 99.5)))
            ends.append(min(highest, TIMES * usual or highest))
    return round_ticks(0.0, max(ends))[-1] if max(ends) else 0.0
