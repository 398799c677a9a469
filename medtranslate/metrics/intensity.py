"""Scale of an MR, whose values have no unit of their own."""

from __future__ import annotations

import numpy as np

from medtranslate.errors import InputRefused
from medtranslate.metrics.arrays import Range, Values

SAMPLE = 200_000
"""Voxels that a percentile is taken of: exact to a fraction of the noise, and quick to sort."""


def foreground_top(values: Values, percentile: float, where: str = "image") -> float:
    """Percentile of an MR's foreground, that is of its voxels above the mean.

    Raises:
        InputRefused: the image is constant or has no positive value.
    """
    places = np.arange(0, values.size, max(1, values.size // SAMPLE))
    sample = values[np.unravel_index(places, values.shape)]
    foreground = sample[sample > sample.mean()]
    top = float(np.percentile(foreground, percentile)) if foreground.size else 0.0
    if top <= 0.0:
        raise InputRefused(
            f"{where}: MR values from {float(values.min()):g} to {float(values.max()):g} show no foreground;"
            " give an image with positive contrast"
        )
    return top


def onto_range(values: Values, top: float, target: Range) -> Values:
    """Map 0 to `top` linearly onto a range; values outside saturate.

    In two steps, over [-1, 1], as a model's own MR comes about: the same numbers to the last bit.
    """
    low, high = target
    unit = (values * np.float32(2.0 / top) - np.float32(1.0)).clip(-1.0, 1.0)
    made: Values = (unit + np.float32(1.0)) * np.float32((high - low) / 2.0) + np.float32(low)
    return made
