"""Bias, histogram distance, and coverage of the predicted uncertainty."""

from __future__ import annotations

import numpy as np

from medtranslate.metrics.arrays import Values, Voxels
from medtranslate.metrics.scores import difference
from medtranslate.records import Agreement, Coverage

SHARE_OF_ONE = 0.6827
"""Share of normal errors within one standard deviation."""


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


def coverage(deviation: Values, errors: Values, mask: Voxels, share: float | None = None) -> Coverage | None:
    """Compare standard deviations or error limits with absolute errors; None for an empty mask.

    Of normal errors with these deviations, 68.27 % lie within one of them and 95.45 % within two. Shares
    within intervals are compared with their nominal probability as by Kuleshov, Fenner and Ermon, "Accurate
    uncertainties for deep learning using calibrated regression", ICML 2018.

    Args:
        deviation: [X, Y, Z], not negative, in the unit of `errors`.
        errors: [X, Y, Z], absolute.
        mask: [X, Y, Z].
        share: of the errors that lie within the values of `deviation`, if they are error limits.
    """
    from scipy.stats import norm, spearmanr  # slow to load

    if not mask.any():
        return None
    spread, found = deviation[mask], errors[mask]
    varies = np.ptp(spread) > 0 and np.ptp(found) > 0
    sizes = [float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) for values in (found, spread)]
    one = SHARE_OF_ONE if share is None else share
    return Coverage(
        share=share,
        expected=(one, round(float(1 - 2 * norm.sf(2 * norm.ppf((1 + one) / 2))), 4)),
        within_1_sd=float(np.mean(found <= spread)),
        within_2_sd=float(np.mean(found <= 2 * spread)),
        mean_sd=float(np.mean(spread, dtype=np.float64)),
        rms_ratio=sizes[0] / sizes[1] if sizes[1] else None,
        correlation=float(spearmanr(spread, found).statistic) if varies else None,
    )
