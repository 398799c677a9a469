"""Smoothing along the slices: only where a translation jumps more than its source, and never the air."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medtranslate.checkpoint import load_model
from medtranslate.io.layout import to_axial
from medtranslate.modality import OTHER
from medtranslate.phantom import study
from medtranslate.translation import seams, translate_volume
from medtranslate.translation.air import find_outline
from medtranslate.translation.framed import Framed, frame
from medtranslate.translation.seams import LIMIT, SMOOTHED_MM, THIN_MM, steady, without_lone
from medtranslate.translation.sides import agree


def flicker(by: float, count: int = 24) -> np.ndarray:
    """Slices whose values rise along the head, and jump up and down by `by`."""
    slices = np.linspace(-0.4, 0.4, count, dtype=np.float32)[:, None, None] + np.zeros((1, 5, 5), np.float32)
    slices[::2] += np.float32(by)
    return slices


def nothing() -> None:
    pass


def test_slices_that_jump_no_more_than_the_source_stay_as_they_are():
    slices = flicker(0.05)
    before = slices.copy()
    limit = seams(slices)
    assert steady(slices, limit, 1.0, nothing) == {"source": limit, "output": limit}
    assert np.array_equal(slices, before)


@pytest.mark.parametrize("slice_mm", [0.5, 1.0, 1.25])
def test_a_flicker_ends_and_the_slope_stays(slice_mm):
    slices = flicker(0.2)
    found = steady(slices, 0.01, slice_mm, nothing)
    assert found["unsmoothed"] == pytest.approx(0.2, rel=1e-4)
    assert found["output"] == pytest.approx(seams(slices))
    assert found["output"] <= LIMIT * 0.01
    middle = slices[6:-6, 2, 2]
    assert np.allclose(np.diff(middle), 0.8 / 23, atol=0.02)


@given(st.floats(0.3, 6.0), st.integers(0, 2**32 - 1))
def test_smoothing_reaches_no_further_than_a_millimetre(slice_mm, seed):
    """One bright slice spreads with a standard deviation of at most `SMOOTHED_MM`; no value is invented."""
    slices = np.full((61, 3, 3), -0.5, np.float32)
    slices[30] = np.random.default_rng(seed).uniform(0, 1, (3, 3))
    bright = slices[30] + 0.5
    lowest, highest = slices.min(), slices.max()
    steady(slices, 0.0, slice_mm, nothing)
    share = (slices + 0.5) / bright
    away = (np.arange(61) - 30.0)[:, None, None] * slice_mm
    assert np.allclose(share.sum(0), 1, atol=1e-4)
    assert np.all(np.sqrt((share * away**2).sum(0)) <= SMOOTHED_MM * 1.001)
    assert slices.min() >= lowest - 1e-6
    assert slices.max() <= highest + 1e-6


def test_thick_slices_hardly_change():
    slices = flicker(0.2)
    found = steady(slices, 0.01, 5.0, nothing)
    assert found["output"] > 0.9 * found["unsmoothed"]


@given(st.integers(3, 9), st.integers(0, 2**32 - 1))
def test_a_value_of_one_slice_alone_gives_way_to_the_median_of_three(count, seed):
    slices = np.random.default_rng(seed).uniform(-1, 1, (count, 2, 3)).astype(np.float32)
    before, expected = slices.copy(), ndimage.median_filter(slices, (3, 1, 1))
    without_lone(slices)
    assert np.array_equal(slices[1:-1], expected[1:-1])
    assert np.array_equal(slices[[0, -1]], before[[0, -1]])


@pytest.mark.parametrize(
    ("to", "slice_mm", "lone"), [("ct", THIN_MM, False), ("ct", 2.0, True), ("mr", 1.0, True)]
)
def test_bone_in_one_thin_slice_alone_is_taken_out_of_a_ct(small_model, to, slice_mm, lone):
    model, given_ = load_model(str(small_model)), study(910_003, size=64, spacing=3.0)
    source = given_.mr if to == "ct" else given_.ct
    source = replace(source, affine=source.affine @ np.diag([1, 1, slice_mm / 3.0, 1]))
    seen = frame(source, OTHER[to], model)
    made = seen.blank(0.0)
    middle = len(made) // 2
    made[middle] = 0.8
    agree(seen, made)
    assert (made[middle].max() == pytest.approx(0.8)) == lone


def test_slices_of_a_micron_end_after_a_few_passes():
    passes = []
    steady(flicker(0.2), 0.0, 0.001, lambda: passes.append(1))
    assert len(passes) <= 8


def test_a_volume_is_smoothed_within_the_head_alone(small_model, monkeypatch):
    model = load_model(str(small_model))
    monkeypatch.setattr(Framed, "seams", lambda seen: 0.0)
    source = study(910_003, size=96, spacing=2.0).mr
    made, record = translate_volume(source, model, "ct")
    assert record.seams["output"] < record.seams["unsmoothed"]
    monkeypatch.undo()
    plain, before = translate_volume(source, model, "ct")
    assert record.seams["unsmoothed"] == pytest.approx(before.seams["output"])
    outside = ~outline_of(source, model)
    assert np.all(to_axial(made).values[outside] == plain.values.min())
    assert not np.array_equal(made.values, plain.values)


def outline_of(source, model):
    """Voxels [X, Y, Z] in which a translation keeps its values."""
    seen = frame(source, "mr", model)
    found = find_outline(seen)
    wide = np.kron(found.allowed, np.ones((1, *found.step), dtype=bool))
    return wide[:, : seen.shape[1], : seen.shape[2]].transpose(2, 1, 0)
