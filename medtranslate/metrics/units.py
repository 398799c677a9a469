"""Detection of CT predictions that are not in HU: a constant offset, another scale, no air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtranslate.metrics.arrays import BONE_HU
from medtranslate.metrics.masks import BODY_HU

LEAST_OFFSET = 200.0
"""Least offset in HU that counts as a wrong unit; calibration and beam hardening cause less than 100."""
REMAINDER, USUAL_REMAINDER = 0.25, 0.5
"""Largest rest of the MAE without an offset that explains it, as a share; the second is for `SHIFTS`."""
SHIFTS = (1000.0, 1024.0)
"""Offsets of stored values: CT numbers without sign, and the usual RescaleIntercept of DICOM."""
NEAR = 75.0
"""HU within which an offset counts as one of `SHIFTS`."""
RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""Usual ranges of networks and pictures."""
SCALE = 4.0
"""Ratio of spans, either way, from which a prediction is on another scale."""
ALIKE = 0.5
"""Least correlation with the reference of a prediction that shows the same head."""

LEAST_WINDOW = 30.0
"""Narrowest window of a CT in HU."""
RISE, APART = 0.15, 0.25
"""Slope against the reference, and median distance from it as a share of the window, of HU in a window."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Suspicion:
    """Evidence of a wrong unit.

    Attributes:
        text: one sentence.
        slope: factor that would bring the prediction to HU; 1 for an offset alone.
        offset: HU to add after that.
    """

    text: str
    slope: float
    offset: float


def suspect_unit(prediction: Image, reference: Image, mask: NDArray[np.bool_]) -> Suspicion | None:
    """Look for a prediction of CT in another unit than its reference in HU.

    A prediction that is clipped to a window of HU is not suspected here.

    Args:
        prediction: [X, Y, Z], supposedly in HU.
        reference: [X, Y, Z] in HU.
        mask: [X, Y, Z], the scored voxels.

    Returns:
        The first evidence; None if there is none, or if the reference does not reach from air to bone.
    """
    low, high = float(reference.min()), float(reference.max())
    if low > BODY_HU or high < BONE_HU or not mask.any():
        return None
    compared = mask | (reference < BODY_HU)
    ours, truth = prediction[compared].astype(np.float64), reference[compared].astype(np.float64)
    if float(ours.min()) == float(ours.max()):
        return None
    return _range(ours, truth) or _offset(prediction[mask], reference[mask]) or _scale(ours, truth)


def _range(ours: NDArray[np.float64], truth: NDArray[np.float64]) -> Suspicion | None:
    """Detect values that fill one of `RANGES`."""
    low, high = float(ours.min()), float(ours.max())
    for lower, upper in RANGES:
        slack = 0.02 * (upper - lower)
        filled = lower - slack <= low and high <= upper + slack and high - low > 0.4 * (upper - lower)
        if filled and not _is_window(ours, truth):
            text = f"its values reach from {low:.4g} to {high:.4g}, as on a scale of {lower:g} to {upper:g}"
            theirs = f"the reference's from {truth.min():.0f} to {truth.max():.0f} HU"
            return Suspicion(f"{text}, and {theirs}", *_fit(ours, truth))
    return None


def _offset(ours: Image, truth: Image) -> Suspicion | None:
    """Detect a constant offset that explains nearly all of the error."""
    errors = ours.astype(np.float64) - truth
    middle, mae = float(np.median(errors)), float(np.abs(errors).mean())
    left = float(np.abs(errors - middle).mean())
    shift = min(SHIFTS, key=lambda known: abs(middle - known))
    usual = abs(middle - shift) <= NEAR
    if abs(middle) < LEAST_OFFSET or left > (USUAL_REMAINDER if usual else REMAINDER) * mae:
        return None
    text = (
        f"it lies {middle:+.0f} HU from the reference; its MAE is {left:.0f} without that, not {mae:.0f} HU"
    )
    if not usual:
        return Suspicion(text, 1.0, -round(middle))
    return Suspicion(f"{text}, as of HU + {shift:g}", 1.0, -shift)


def _scale(ours: NDArray[np.float64], truth: NDArray[np.float64]) -> Suspicion | None:
    """Detect a span far from the reference's, in a prediction that shows the same head."""
    spans = [float(np.ptp(np.quantile(values, (0.02, 0.98)))) for values in (ours, truth)]
    if not spans[0] or not spans[1] or 1 / SCALE < spans[0] / spans[1] < SCALE:
        return None
    if float(np.corrcoef(ours, truth)[0, 1]) < ALIKE or _is_window(ours, truth):
        return None
    text = f"its values span {spans[0]:.4g}, the reference's {spans[1]:.0f} HU, though both show the same"
    return Suspicion(text, *_fit(ours, truth))


def _is_window(ours: NDArray[np.float64], truth: NDArray[np.float64]) -> bool:
    """Return True for HU clipped to a window: inside it, they rise with the reference and lie near it."""
    low, high = float(ours.min()), float(ours.max())
    inside = (truth > low) & (truth < high)
    if high - low < LEAST_WINDOW or not inside.any() or np.ptp(truth[inside]) == 0:
        return False
    rise = float(np.polyfit(truth[inside], ours[inside], 1)[0])
    apart = abs(float(np.median(ours[inside] - truth[inside])))
    return RISE < rise < 1 / RISE and apart < APART * (high - low)


def _fit(ours: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    """Fit slope and offset of a line from the prediction's values to HU, by least squares."""
    slope, offset = np.polyfit(ours, truth, 1)
    return float(slope), float(offset)
