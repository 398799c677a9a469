from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from medtranslate.metrics import coverage, histograms, seams

MASK = np.ones((4, 5, 6), bool)


@given(
    hnp.arrays(np.float32, (4, 5, 6), elements=st.floats(-1000, 3000, width=32)),
    hnp.arrays(np.float32, (4, 5, 6), elements=st.integers(-1000, 3000).map(float)),
    hnp.arrays(np.bool_, (4, 5, 6)),
)
def test_every_scored_voxel_is_counted_once(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.bool_]
) -> None:
    found = histograms({"prediction": a, "reference": b}, mask)
    assert (found is None) == (not mask.any())
    if found:
        assert found.edges == sorted(set(found.edges))
        for name, image in (("prediction", a), ("reference", b)):
            assert len(found.counts[name]) == len(found.edges) - 1 <= 129
            expected = np.histogram(image[mask], found.edges)[0]
            assert found.counts[name] == expected.tolist()
            assert found.below[name] + sum(found.counts[name]) + found.above[name] == mask.sum()


def test_whole_numbers_make_no_comb() -> None:
    greys = np.arange(120, dtype=np.float32).reshape(4, 5, 6) * 2 - 50
    found = histograms({"prediction": greys + 0.3, "reference": greys // 2}, MASK)
    assert found is not None
    widths = np.diff(found.edges)
    assert (widths == widths[0]).all()
    assert widths[0] == int(widths[0])
    inside = [count for count in found.counts["reference"] if count]
    assert max(inside[1:-1]) == min(inside[1:-1])


def test_tails_are_counted_apart() -> None:
    values = np.zeros((40, 50, 2), np.float32)
    values[0, 0] = 9000.0
    values[1:] = np.random.default_rng(0).uniform(-10, 10, (39, 50, 2))
    found = histograms({"prediction": values}, np.ones(values.shape, bool))
    assert found is not None
    assert found.edges[-1] < 20
    assert found.above["prediction"] >= 2


def test_seams_are_jumps_and_not_slopes() -> None:
    ramp = np.broadcast_to(np.arange(6, dtype=np.float32) * 7, (4, 5, 6))
    assert seams(ramp, MASK, (0.0, 100.0)) == 0.0
    zigzag = np.broadcast_to(np.array([0, 10] * 3, np.float32), (4, 5, 6))
    assert seams(zigzag, MASK, (0.0, 100.0)) == pytest.approx(0.2)
    first = MASK.copy()
    first[..., 1:] = False
    assert seams(zigzag, first, (0.0, 100.0)) is None
    assert seams(zigzag[..., :2], MASK[..., :2], (0.0, 100.0)) is None


def test_coverage_of_normal_errors_is_the_expected_one() -> None:
    rng = np.random.default_rng(0)
    deviation = rng.uniform(1, 5, (40, 40, 40)).astype(np.float32)
    errors = np.abs(rng.normal(0, deviation)).astype(np.float32)
    everywhere = np.ones(deviation.shape, bool)
    found = coverage(deviation, errors, everywhere)
    assert found is not None
    assert (found.within_1_sd, found.within_2_sd) == pytest.approx(found.expected, abs=0.005)
    assert found.rms_ratio == pytest.approx(1.0, abs=0.01)
    assert 0.2 < (found.correlation or 0) < 0.9
    tight = coverage(deviation / 3, errors, everywhere)
    assert tight is not None
    assert tight.within_2_sd < 0.55
    assert tight.rms_ratio == pytest.approx(3.0, abs=0.03)


def test_coverage_of_error_limits_expects_their_share() -> None:
    rng = np.random.default_rng(0)
    errors = np.abs(rng.standard_normal((40, 40, 40))).astype(np.float32)
    limit = np.full(errors.shape, 1.6449, np.float32)
    found = coverage(limit, errors, np.ones(errors.shape, bool), 0.9)
    assert found is not None
    assert (found.share, found.expected) == (0.9, (0.9, 0.999))
    assert (found.within_1_sd, found.within_2_sd) == pytest.approx(found.expected, abs=0.005)


def test_coverage_where_there_is_nothing_to_say() -> None:
    deviation = np.ones((4, 5, 6), np.float32)
    assert coverage(deviation, deviation, ~MASK) is None
    found = coverage(deviation, 3 * deviation, MASK)
    assert found is not None
    assert (found.within_1_sd, found.within_2_sd, found.correlation) == (0.0, 0.0, None)
    nothing = coverage(0 * deviation, deviation, MASK)
    assert nothing is not None
    assert nothing.rms_ratio is None
