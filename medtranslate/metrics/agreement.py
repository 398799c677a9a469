"""Error by tissue, bias, histogram distance, and coverage of the predicted uncertainty."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from medtranslate.metrics.arrays import BONE_HU, Range, Values, Voxels, covers
from medtranslate.metrics.profiles import WHOLE_CT
from medtranslate.metrics.scores import difference, mae
from medtranslate.records import Agreement, Coverage, Tissue

AIR_HU = -200.0
"""Upper end of air, which includes lungs, sinuses and the rim around the body."""

TISSUES: dict[str, tuple[float | None, float | None]] = {
    "air": (None, AIR_HU),
    "soft tissue": (AIR_HU, BONE_HU),
    "bone": (BONE_HU, None),
}
"""Lower and upper HU, None for an open end. The limits belong to soft tissue."""


def agreement(prediction: Values, reference: Values, mask: Voxels) -> Agreement | None:
    """Compute bias, limits of agreement and histogram distance over the mask; None for an empty one.

    Limits of agreement are the bias -+ 1.96 standard deviations of the voxels' differences (Bland and Altman,
    "Statistical methods for assessing agreement between two methods of clinical measurement", Lancet 327,
    1986). The histogram distance is the first Wasserstein distance. Both sides have as many voxels, so it is
    the mean distance between values of equal rank.

    Args:
        prediction: [X, Y, Z].
        reference: [X, Y, Z], in the same unit.
        mask: [X, Y, Z].
    """
    if not mask.any():
        return None
    errors = difference(prediction, reference, mask)
    bias, spread = float(errors.mean()), 1.96 * float(errors.std())
    ranked = [np.sort(volume[mask]) for volume in (prediction, reference)]
    return Agreement(
        bias=bias,
        limits=(bias - spread, bias + spread),
        wasserstein=float(np.mean(np.abs(np.subtract(*ranked, dtype=np.float64)))),
        reference_mean=float(ranked[1].mean(dtype=np.float64)),
    )


def tissue_scores(
    prediction: Values, reference: Values, mask: Voxels, sayable: Range | None = None
) -> dict[str, Tissue]:
    """Compute the mean absolute error of each of `TISSUES`, by the reference's HU, and the overlap of bone.

    Args:
        prediction: [X, Y, Z] in HU.
        reference: [X, Y, Z] in HU.
        mask: [X, Y, Z].
        sayable: HU that the prediction can hold; None for all of them. A tissue with values outside (an open
            end extends to that of `WHOLE_CT`) is not representable and has no error.
    """
    tissues = {}
    for name, (low, high) in TISSUES.items():
        needed = WHOLE_CT[0] if low is None else low, WHOLE_CT[1] if high is None else high
        inside = mask & _between(reference, low, high)
        representable = sayable is None or covers(sayable, needed)
        tissues[name] = Tissue(
            range_hu=(low, high),
            share=float(inside.sum() / max(1, mask.sum())),
            mae=mae(prediction, reference, inside) if representable else None,
            representable=representable,
        )
    if sayable is None or sayable[0] <= BONE_HU < sayable[1]:
        ours, theirs = (mask & _between(volume, BONE_HU, None) for volume in (prediction, reference))
        tissues["bone"] = replace(tissues["bone"], dice=_dice(ours, theirs))
    return tissues


def coverage(deviation: Values, errors: Values, mask: Voxels) -> Coverage | None:
    """Compare standard deviations with absolute errors inside the mask; None for an empty one.

    Of normal errors with these deviations, 68.27 % lie within one of them and 95.45 % within two. Shares
    within intervals are compared with their nominal probability as by Kuleshov, Fenner and Ermon, "Accurate
    uncertainties for deep learning using calibrated regression", ICML 2018.

    Args:
        deviation: [X, Y, Z], not negative, in the unit of `errors`.
        errors: [X, Y, Z], absolute.
        mask: [X, Y, Z].
    """
    from scipy.stats import spearmanr  # slow to load

    if not mask.any():
        return None
    spread, found = deviation[mask], errors[mask]
    varies = np.ptp(spread) > 0 and np.ptp(found) > 0
    sizes = [float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) for values in (found, spread)]
    return Coverage(
        within_1_sd=float(np.mean(found <= spread)),
        within_2_sd=float(np.mean(found <= 2 * spread)),
        mean_sd=float(np.mean(spread, dtype=np.float64)),
        rms_ratio=sizes[0] / sizes[1] if sizes[1] else None,
        correlation=float(spearmanr(spread, found).statistic) if varies else None,
    )


def _between(volume: Values, low: float | None, high: float | None) -> Voxels:
    """Select the voxels of a tissue; the ends of a closed range belong to it, an open end does not."""
    if low is None:
        return volume < (math.inf if high is None else high)
    return volume > low if high is None else (volume >= low) & (volume <= high)


def _dice(ours: Voxels, theirs: Voxels) -> float | None:
    """Compute 2 |A and B| / (|A| + |B|); None if both are empty."""
    total = int(ours.sum() + theirs.sum())
    return 2 * int((ours & theirs).sum()) / total if total else None
