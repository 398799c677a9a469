from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from medtranslate.metrics import calibrated, fit_calibration, fit_factors
from medtranslate.records import Calibration, Curve


def test_nine_of_ten_errors_of_voxels_of_any_spread_and_value_lie_within_the_limit() -> None:
    rng = np.random.default_rng(0)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        made, spread = rng.uniform(-1, 1, count), rng.uniform(0, 1, count)
        return made, spread, np.abs(rng.standard_normal(count)) * (0.2 + 4 * spread**2) * (1.5 + made)

    known = fit_calibration(*drawn(200_000), "drawn numbers")
    made, spread, errors = drawn(100_000)
    limit = calibrated(made, spread, known)
    for order in (made, spread):
        for part in np.array_split(np.argsort(order), 10):
            assert np.mean(errors[part] <= limit[part]) == pytest.approx(0.9, abs=0.03)
    assert np.mean(errors <= limit) == pytest.approx(0.9, abs=0.005)
    assert (known.on, known.share) == ("drawn numbers", 0.9)


def test_what_bone_encloses_has_limits_of_its_own() -> None:
    """The same uncertainty stands for other errors in the brain than in the neck; both shares are right."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> tuple[np.ndarray, ...]:
        made, spread, enclosed = rng.uniform(-1, 1, count), rng.uniform(0, 1, count), rng.random(count) < 0.3
        return made, spread, np.where(enclosed, 1, 9) * rng.exponential(size=count) * spread, enclosed

    made, spread, errors, enclosed = drawn(100_000)
    known = fit_calibration(made, spread, errors, "", enclosed=enclosed)
    made, spread, errors, enclosed = drawn(50_000)
    within = errors <= calibrated(made, spread, known, enclosed)
    assert within[enclosed].mean() == pytest.approx(0.9, abs=0.01)
    assert within[~enclosed].mean() == pytest.approx(0.9, abs=0.01)
    # Who cannot say what bone encloses has the limits of the rest.
    apart = calibrated(made, spread, known)
    assert (errors <= apart)[~enclosed].mean() == pytest.approx(0.9, abs=0.01)
    assert (errors <= apart)[enclosed].mean() > 0.99


def test_a_factor_keeps_the_order_of_limits_and_holds_their_share() -> None:
    """Limits of half the size outside bone, and of twice the size within, are mended; none is 0."""
    rng = np.random.default_rng(0)
    spread = rng.uniform(0, 0.4, 100_000) * (rng.random(100_000) < 0.9)
    enclosed = rng.random(100_000) < 0.3
    true = np.maximum(spread, 1e-4) * np.where(enclosed, 0.5, 2)
    errors = true * rng.exponential(size=100_000) / np.log(10)
    known = fit_factors(spread, errors, "heads", 0.9, enclosed)
    assert [len(curves) for curves in (known.curves, known.enclosed)] == [1, 1]
    limit = calibrated(np.zeros(100_000), spread, known, enclosed)
    seen = spread > 1e-4
    np.testing.assert_allclose(limit[seen], true[seen], rtol=0.03)
    # No error is larger than 2, so no limit is.
    largest = calibrated(np.zeros(2), np.full(2, 2.0), known, np.array([False, True]))
    assert largest == pytest.approx([2.0, 1.0], rel=0.03)


@pytest.mark.parametrize("count", [0, 255, 3745, 4000])
def test_too_few_voxels_within_bone_or_outside_have_no_curves_of_their_own(count: int) -> None:
    errors = np.random.default_rng(0).exponential(size=4000)
    made = spread = np.linspace(0, 1, 4000)
    known = fit_calibration(made, spread, errors, "", enclosed=np.arange(4000) < count)
    assert known == fit_calibration(made, spread, errors, "")
    factors = fit_factors(spread, errors, "", enclosed=np.arange(4000) < count)
    assert factors == fit_factors(spread, errors, "")


def test_another_share_is_held_as_well() -> None:
    rng = np.random.default_rng(0)
    spread, errors = rng.uniform(0, 1, 8000), rng.exponential(size=8000)
    known = fit_calibration(np.zeros(8000), spread, errors, "", 0.68)
    assert known.share == 0.68
    assert np.mean(errors <= calibrated(np.zeros(8000), spread, known)) == pytest.approx(0.68, abs=0.02)


def test_few_huge_errors_do_not_rule_the_limit() -> None:
    rng = np.random.default_rng(0)
    spread, errors = rng.uniform(0, 1, 4000), rng.uniform(0, 10, 4000)
    usual = fit_calibration(np.zeros(4000), spread, errors, "")
    errors[::50] = 1000.0
    tailed = fit_calibration(np.zeros(4000), spread, errors, "")
    limits = [calibrated(np.zeros(9), np.linspace(0, 1, 9), known) for known in (usual, tailed)]
    assert limits[1].max() < 11
    assert limits[1] == pytest.approx(limits[0], rel=0.05)


def test_errors_that_fall_with_the_spread_leave_a_constant() -> None:
    errors = np.linspace(9, 1, 400)
    (curve,) = fit_calibration(np.zeros(400), np.linspace(0, 1, 400), errors, "").curves
    assert curve.error == pytest.approx([np.quantile(errors, 0.9)] * len(curve.error))


def test_a_spread_of_one_value_gives_one_deviation() -> None:
    known = fit_calibration(np.linspace(0, 1, 64), np.zeros(64), np.full(64, 3.0), "")
    assert calibrated(np.array([0.0, 1.0]), np.array([0.0, 1.0]), known).tolist() == [3.0, 3.0]


def test_values_that_half_of_the_voxels_share_have_one_curve() -> None:
    made = np.r_[np.full(500, -1.0), np.linspace(0, 1, 500)]
    errors = np.r_[np.full(500, 1.0), np.full(500, 5.0)]
    known = fit_calibration(made, np.linspace(0, 1, 1000), errors, "")
    assert [curve.value for curve in known.curves].count(-1.0) == 1
    found = calibrated(np.array([-1.0, 0.5]), np.array([0.5, 0.5]), known)
    assert found.tolist() == pytest.approx([1.0, 5.0])


@given(
    hnp.arrays(np.float32, st.integers(16, 200), elements=st.floats(0, 1, width=32)),
    st.integers(0, 2**32 - 1),
)
def test_no_deviation_is_below_that_of_a_smaller_spread(spread: np.ndarray, seed: int) -> None:
    errors = np.random.default_rng(seed).exponential(size=len(spread))
    known = fit_calibration(spread[::-1], spread, errors, "")
    at = np.linspace(-0.1, 1.1, 50)
    deviation = calibrated(np.full(50, spread.mean()), at, known)
    assert (np.diff(deviation) >= 0).all()
    assert errors.min() * (1 - 1e-4) <= deviation.min() <= deviation.max() <= errors.max() * (1 + 1e-4)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ({"spread": [], "error": []}, "at least 1"),
        ({"spread": [0.1, 0.2], "error": [0.1]}, "as many are needed"),
        ({"spread": [0.2, 0.1], "error": [0.1, 0.2]}, "spread falls"),
        ({"spread": [0.1, 0.2], "error": [0.2, 0.1]}, "error falls"),
        ({"spread": [0.1], "error": [-0.1]}, "greater than or equal"),
        ({"spread": [0.1], "error": [float("inf")]}, "finite"),
        ({"spread": [0.1] * 1025, "error": [0.1] * 1025}, "at most 1024"),
    ],
)
def test_what_is_no_rising_curve_is_refused(points: dict[str, list[float]], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Curve(value=0.0, **points)  # type: ignore[arg-type]


def test_curves_of_falling_values_are_refused() -> None:
    curves = tuple(Curve(value=value, spread=(0.1,), error=(0.1,)) for value in (0.5, 0.5))
    for known in ({"curves": curves}, {"curves": curves[:1], "enclosed": curves}):
        with pytest.raises(ValidationError, match="have to rise"):
            Calibration(on="", **known)
