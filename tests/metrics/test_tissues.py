from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from skimage.metrics import mean_squared_error

from medtranslate.metrics import WHOLE_CT, Range, bone_limit, tissue_scores

REFERENCE = np.array([-1000, -300, -200, 0, 50, 200, 201, 1500], np.float32).reshape(2, 2, 2)
EVERYWHERE = np.ones((2, 2, 2), bool)
BODY = REFERENCE > -500


def test_tissues_are_told_by_the_reference() -> None:
    prediction = REFERENCE + np.array([10, 30, 1, 2, 3, 4, -100, -300], np.float32).reshape(2, 2, 2)
    found = tissue_scores(prediction, REFERENCE, EVERYWHERE, BODY)
    assert {name: (tissue.mae, tissue.me, tissue.share) for name, tissue in found.items()} == {
        "body": (440 / 7, -360 / 7, 0.875),
        "air": (20.0, 20.0, 0.25),
        "soft tissue": (2.5, 2.5, 0.5),
        "bone": (200.0, -200.0, 0.25),
    }
    assert found["bone"].rmse == pytest.approx(math.sqrt((100**2 + 300**2) / 2))
    # 201 - 100 is bone no more, 200 + 4 has become bone: one of two and two agree.
    assert [tissue.dice for tissue in found.values()] == [None, None, None, 0.5]


def test_a_tissue_that_is_not_there_has_no_score() -> None:
    soft = np.full((2, 2, 2), 40, np.float32)
    found = tissue_scores(soft, soft, EVERYWHERE, EVERYWHERE)
    assert found["soft tissue"].mae == 0.0
    for name in ("air", "bone"):
        tissue = found[name]
        assert (tissue.mae, tissue.me, tissue.rmse, tissue.dice, tissue.share) == (
            None,
            None,
            None,
            None,
            0.0,
        )


@pytest.mark.parametrize(
    ("sayable", "named", "saturated", "bone"),
    [
        ((-20.0, 100.0), ["body", "fluid", "brain", "bone"], ["body", "bone"], 88.0),
        ((-160.0, 240.0), ["body", "fluid", "brain", "bone"], ["body", "bone"], 200.0),
        ((-1000.0, 2000.0), ["body", "air", "soft tissue", "bone"], ["body", "air", "bone"], 200.0),
        ((0.0, 40.0), ["body", "fluid"], ["body"], None),
        ((300.0, 2000.0), ["body"], ["body"], None),
        (WHOLE_CT, ["body", "air", "soft tissue", "bone"], [], 200.0),
    ],
)
def test_a_window_names_what_it_shows(
    sayable: Range, named: list[str], saturated: list[str], bone: float | None
) -> None:
    found = tissue_scores(REFERENCE.clip(*sayable), REFERENCE, EVERYWHERE, BODY, sayable)
    assert list(found) == named
    assert [name for name, tissue in found.items() if tissue.saturated] == saturated
    assert bone_limit(sayable) == bone
    assert all(tissue.representable and tissue.mae in (0.0, None) for tissue in found.values())


def test_a_window_counts_bone_as_its_upper_end() -> None:
    prediction = np.array([-20, -20, -20, 4, 40, 90, 100, 60], np.float32).reshape(2, 2, 2)
    bone = tissue_scores(prediction, REFERENCE, EVERYWHERE, BODY, (-20.0, 100.0))["bone"]
    # 200, 201 and 1500 HU are 100 in the window; of them 90 and 100 are bone in the prediction, 60 is not.
    assert (bone.mae, bone.me, bone.dice) == (pytest.approx(50 / 3), pytest.approx(-50 / 3), 0.8)
    brain = tissue_scores(prediction, REFERENCE, EVERYWHERE, BODY, (-20.0, 100.0))["brain"]
    assert (brain.mae, brain.range_hu) == (10.0, (20.0, 50.0))


VOLUMES = hnp.arrays(np.float32, (3, 4, 2), elements=st.floats(-1500, 3500, width=32))


@given(VOLUMES, VOLUMES, hnp.arrays(np.bool_, (3, 4, 2)))
def test_errors_are_those_of_others(
    prediction: NDArray[np.float32], reference: NDArray[np.float32], mask: NDArray[np.bool_]
) -> None:
    found = tissue_scores(prediction, reference, mask, np.ones_like(mask))
    shares = [tissue.share for name, tissue in found.items() if name != "body"]
    assert sum(shares) == pytest.approx(1.0 if mask.any() else 0.0)
    for name, low, high in (("body", -np.inf, np.inf), ("bone", 200, np.inf), ("air", -np.inf, -200)):
        inside = mask & (reference > low) & (reference < high)
        if inside.any():
            ours, theirs = (volume[inside].astype(np.float64) for volume in (prediction, reference))
            tissue = found[name]
            assert tissue.mae == pytest.approx(fmean(map(abs, ours - theirs)))
            assert tissue.rmse == pytest.approx(math.sqrt(mean_squared_error(theirs, ours)))
            assert abs(tissue.me or 0.0) <= (tissue.mae or 0.0) + 1e-9
            assert (tissue.mae or 0.0) <= (tissue.rmse or 0.0) * (1 + 1e-9)
