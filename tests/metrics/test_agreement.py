from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from medtranslate.metrics import WHOLE_CT, Range, agreement, tissue_scores

REFERENCE = np.array([-1000, -300, -200, 0, 50, 200, 201, 1500], np.float32).reshape(2, 2, 2)
EVERYWHERE = np.ones((2, 2, 2), bool)


def test_tissues_are_told_by_the_reference() -> None:
    prediction = REFERENCE + np.array([10, 30, 1, 2, 3, 4, -100, -300], np.float32).reshape(2, 2, 2)
    found = tissue_scores(prediction, REFERENCE, EVERYWHERE)
    assert {name: (tissue.mae, tissue.share) for name, tissue in found.items()} == {
        "air": (20.0, 0.25),
        "soft tissue": (2.5, 0.5),
        "bone": (200.0, 0.25),
    }
    # 201 - 100 is bone no more, 200 + 4 has become bone: one of two and two agree.
    assert [tissue.dice for tissue in found.values()] == [None, None, 0.5]


def test_a_tissue_that_is_not_there_has_no_score() -> None:
    soft = np.full((2, 2, 2), 40, np.float32)
    found = tissue_scores(soft, soft, EVERYWHERE)
    assert (found["soft tissue"].mae, found["air"].mae, found["bone"].mae, found["bone"].dice) == (
        *(0.0, None, None),
        None,
    )
    assert all(tissue.representable for tissue in found.values())


@pytest.mark.parametrize(
    ("sayable", "said", "dice"),
    [
        ((-20.0, 100.0), [], None),
        ((-200.0, 200.0), ["soft tissue"], None),
        ((-1024.0, 200.0), ["air", "soft tissue"], None),
        ((-1000.0, 1000.0), ["soft tissue"], 1.0),
        (WHOLE_CT, ["air", "soft tissue", "bone"], 1.0),
    ],
)
def test_what_a_model_cannot_say_has_no_number(sayable: Range, said: list[str], dice: float | None) -> None:
    clipped = REFERENCE.clip(*sayable)
    found = tissue_scores(clipped, clipped, EVERYWHERE, sayable)
    assert [name for name, tissue in found.items() if tissue.representable] == said
    assert [name for name, tissue in found.items() if tissue.mae is not None] == said
    assert found["bone"].dice == dice


def test_bias_and_limits_of_agreement() -> None:
    errors = np.array([1, -3, 5, 7, 0, 2, 2, 2], np.float32).reshape(2, 2, 2)
    found = agreement(REFERENCE + errors, REFERENCE, EVERYWHERE)
    assert found is not None
    assert found.bias == 2.0
    # Squared deviations 1 + 25 + 9 + 25 + 4 = 64 over eight voxels: a spread of the square root of 8.
    assert found.limits == pytest.approx((2 - 1.96 * 8**0.5, 2 + 1.96 * 8**0.5))


@given(
    hnp.arrays(np.float32, (3, 4, 2), elements=st.floats(-1000, 3000, width=32)),
    hnp.arrays(np.float32, (3, 4, 2), elements=st.floats(-1000, 3000, width=32)),
    hnp.arrays(np.bool_, (3, 4, 2)),
)
def test_the_histograms_distance_is_that_of_scipy(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.bool_]
) -> None:
    found = agreement(a, b, mask)
    assert (found is None) == (not mask.any())
    if found:
        expected = wasserstein_distance(a[mask], b[mask])
        assert found.wasserstein == pytest.approx(expected, rel=1e-5, abs=1e-5)
        assert found.limits[0] <= found.bias <= found.limits[1]
