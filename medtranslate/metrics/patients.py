"""Statistics over patients: the pairs of a patient are averaged first, and a patient counts once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from medtranslate.records import Estimate

RESAMPLES = 2000
"""Resamples of a bootstrap interval."""
COVERED = 95.0
"""Per cent of the resampled means inside the interval."""
FEW = 10
"""Number of patients below which a percentile interval is too narrow: of 7, its width is that of n instead of
n - 1 degrees of freedom (Hesterberg, "What teachers should know about the bootstrap", Am. Stat. 69, 2015)."""
_SEED = 0
_AT_ONCE = 2**20


def by_patient(values: Mapping[str, float], subjects: Mapping[str, str]) -> dict[str, float]:
    """Average values of pairs, {pair: value}, over each patient; values that are not finite are left out.

    Args:
        values: by the name of the pair.
        subjects: patient of each pair; pairs without one are left out.
    """
    gathered: dict[str, list[float]] = {}
    for pair, value in values.items():
        if pair in subjects and math.isfinite(value):
            gathered.setdefault(subjects[pair], []).append(value)
    return {subject: float(np.mean(own)) for subject, own in gathered.items()}


def estimate(values: Sequence[float]) -> Estimate | None:
    """Compute mean, standard deviation and percentile bootstrap interval; None without a value.

    The interval is that of Efron, "Bootstrap methods: another look at the jackknife", Ann. Stat. 7, 1979:
    percentiles of the means of `RESAMPLES` resamples with replacement, by a generator with a fixed seed.

    Args:
        values: one for each patient, all finite.
    """
    if not values:
        return None
    patients, mean = np.asarray(values, np.float64), float(np.mean(values))
    if len(patients) == 1:
        return Estimate(patients=1, mean=mean)
    generator, count = np.random.default_rng(_SEED), len(patients)
    rows = max(1, _AT_ONCE // count)
    means = [
        patients[generator.integers(count, size=(min(rows, RESAMPLES - start), count))].mean(axis=1)
        for start in range(0, RESAMPLES, rows)
    ]
    rest = (100 - COVERED) / 2
    low, high = np.percentile(np.concatenate(means), (rest, 100 - rest))
    return Estimate(
        patients=count, mean=mean, sd=float(patients.std(ddof=1)), interval=(float(low), float(high))
    )
