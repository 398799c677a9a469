from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate import phantom
from medtranslate.metrics.units import suspect_unit

Values = NDArray[np.float32]

WRONG: dict[str, Callable[[Values], Values]] = {
    "HU + 1024": lambda hu: hu + 1024,
    "HU + 1000": lambda hu: hu + 1000,
    "0 to 1": lambda hu: (hu.clip(-1000, 2000) + 1000) / 3000,
    "-1 to 1": lambda hu: hu.clip(-1000, 1000) / 1000,
    "0 to 255": lambda hu: (hu.clip(-1000, 1500) + 1000) / 2500 * 255,
    "0 to 255 of a brain window": lambda hu: (hu.clip(-20, 100) + 20) / 120 * 255,
    "-1 to 1 of a brain window": lambda hu: (hu.clip(-20, 100) - 40) / 60,
    "thousandths": lambda hu: hu / 1000,
}


@pytest.fixture(scope="module", params=range(5))
def head(request: pytest.FixtureRequest) -> tuple[Values, Values, NDArray[np.bool_]]:
    """A true CT, a prediction of it, and the body."""
    truth = phantom.study(910_000 + request.param, size=48, spacing=5.0).ct.values
    noise = np.random.default_rng(request.param).normal(0, 20, truth.shape)
    made = (ndimage.gaussian_filter(truth, 0.7) + noise).astype(np.float32)
    return truth, made, ndimage.binary_fill_holes(truth > -400)


@pytest.mark.parametrize("name", WRONG)
def test_predictions_in_another_unit_are_suspected_and_brought_back(
    head: tuple[Values, Values, NDArray[np.bool_]], name: str
) -> None:
    truth, made, body = head
    wrong = WRONG[name](made).astype(np.float32)
    found = suspect_unit(wrong, truth, body)
    assert found is not None
    if "window" not in name:
        back = wrong * found.slope + found.offset
        assert np.abs(back - truth)[body].mean() < 1.3 * np.abs(made - truth)[body].mean() + 30
    if name.startswith("HU"):
        assert (found.slope, found.offset) == (1, -float(name[5:]))
        assert f"as of {name}" in found.text


def test_predictions_in_hu_are_not_suspected_however_bad(
    head: tuple[Values, Values, NDArray[np.bool_]],
) -> None:
    truth, made, body = head
    right = {
        "the truth": truth,
        "a good one": made,
        "blurred": ndimage.gaussian_filter(truth, 2),
        "80 HU too high": made + 80,
        "90 HU too low": made - 90,
        "without bone": made.clip(None, 150),
        "noisy": truth + np.random.default_rng(1).normal(0, 200, truth.shape),
        "without dense bone": made.clip(-1000, 1500),
        "of low contrast": 0.8 * made,
        "at another place": np.roll(made, 3, 0),
        "in a brain window": made.clip(-20, 100),
        "in a soft tissue window": made.clip(-160, 240),
        "in a window of 80 HU": made.clip(0, 80),
        "in a bone window": made.clip(-500, 1300),
        "water": np.where(body, 40.0, -1000.0),
        "air outside": np.where(body, made, -1024.0),
        "zero outside": np.where(body, made, 0.0),
        "bone and air exchanged": np.where(body, -made, -1000.0),
        "stretched": 1.2 * made,
        "steps of 50 HU": (made / 50).round() * 50,
    }
    assert len(right) == 20
    suspected = {
        name: found.text
        for name, values in right.items()
        if (found := suspect_unit(np.asarray(values, np.float32), truth, body))
    }
    assert suspected == {}


def test_a_reference_that_is_no_whole_ct_says_nothing(
    head: tuple[Values, Values, NDArray[np.bool_]],
) -> None:
    truth, made, body = head
    assert suspect_unit(made + 1024, truth.clip(-20, 100), body) is None
    assert suspect_unit(made + 1024, truth, np.zeros_like(body)) is None
    assert suspect_unit(np.zeros_like(made), truth, body) is None
