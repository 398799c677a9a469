from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from medtranslate.metrics import by_patient, estimate

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).gamma(4, 10, 40)
    found = estimate(list(values))
    assert found is not None
    assert found.interval is not None
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=9999).confidence_interval
    width = theirs.high - theirs.low
    assert found.interval == pytest.approx((theirs.low, theirs.high), abs=0.1 * width)
    assert (found.mean, found.sd) == pytest.approx((values.mean(), values.std(ddof=1)))


@given(VALUES)
def test_an_interval_lies_among_the_values_and_is_the_same_each_time(values: list[float]) -> None:
    found = estimate(values)
    assert found == estimate(values)
    assert found is not None
    if len(values) == 1:
        assert (found.sd, found.interval) == (None, None)
    else:
        low, high = found.interval or (np.nan, np.nan)
        near = 1e-9 * max(map(abs, values))
        assert min(values) - near <= low <= high <= max(values) + near


def test_a_patient_counts_once_and_what_is_not_finite_not_at_all() -> None:
    values = {"a1": 1.0, "a2": 3.0, "b1": 10.0, "b2": float("inf"), "c1": float("nan"), "stray": 99.0}
    of = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c"}
    assert by_patient(values, of) == {"a": 2.0, "b": 10.0}
    assert estimate([]) is None


def test_thousands_of_patients_take_little_memory_and_a_narrow_interval() -> None:
    found = estimate(list(np.random.default_rng(0).normal(50, 10, 5000)))
    assert found is not None
    low, high = found.interval or (0.0, 0.0)
    assert high - low == pytest.approx(2 * 1.96 * 10 / np.sqrt(5000), rel=0.1)
