from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from medtranslate.metrics import agreement

REFERENCE = np.array([-1000, -300, -200, 0, 50, 200, 201, 1500], np.float32).reshape(2, 2, 2)
EVERYWHERE = np.ones((2, 2, 2), bool)


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
