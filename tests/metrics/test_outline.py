from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from medtranslate.metrics import enclosed, outline, with_rim
from medtranslate.metrics.outline import core_of, filled, grown, shrunk

Voxels = npt.NDArray[np.bool_]

steps = st.tuples(*[st.integers(0, 5)] * 3)
masks = arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)))


def ball(shape: tuple[int, int, int], radius: float) -> Voxels:
    middle = (np.array(shape) - 1) / 2
    return np.asarray(np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - middle, axis=-1) <= radius)


def box(reach: tuple[int, int, int]) -> Voxels:
    return np.ones([2 * step + 1 for step in reach], dtype=bool)


@given(masks, steps)
def test_growing_and_shrinking_are_scipys_with_a_box(mask: Voxels, reach: tuple[int, int, int]):
    assert np.array_equal(grown(mask, reach), ndimage.binary_dilation(mask, box(reach)))
    assert np.array_equal(shrunk(mask, reach), ndimage.binary_erosion(mask, box(reach), border_value=1))
    assert np.array_equal(core_of(mask, reach), ndimage.binary_erosion(mask, box(reach)))


@given(masks)
def test_filling_adds_at_least_what_scipy_fills(mask: Voxels):
    plain = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    assert not (plain & ~filled(mask)).any()
    assert not (mask & ~filled(mask)).any()


@given(masks)
def test_bone_encloses_all_that_it_surrounds(bone: Voxels):
    found = enclosed(bone)
    surrounded = np.stack([ndimage.binary_fill_holes(plane) for plane in bone])
    assert not (surrounded & ~found).any()
    for turned in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        assert np.array_equal(enclosed(bone[turned]), found[turned])


def test_a_gap_in_the_skull_opens_nothing_and_the_scalp_stays_outside():
    head, ring = ball((2, 80, 80), 34), ball((2, 80, 80), 30) & ~ball((2, 80, 80), 26)
    assert np.array_equal(enclosed(ring), ball((2, 80, 80), 30))
    ring[0, 30:50, :40] = False
    found = enclosed(ring)
    assert found[ball((2, 80, 80), 26)].all()
    assert not (found & head & ~ball((2, 80, 80), 30))[1].any()


def test_a_head_is_filled_through_its_dark_skull_and_sinuses():
    head = ball((9, 80, 80), 34)
    visible = head & ~(ball((9, 80, 80), 31) & ~ball((9, 80, 80), 26))
    visible[:, 38:44, 20:30] = False
    assert np.array_equal(outline(visible, (5.0, 1.0, 1.0)), head)


def test_a_head_cut_by_the_field_of_view_is_filled_up_to_the_cut():
    ring = ball((3, 80, 80), 34) & ~ball((3, 80, 80), 28)
    cut = ring[:, 20:, :]
    found = outline(cut, (5.0, 1.0, 1.0))
    assert np.array_equal(found, ball((3, 80, 80), 34)[:, 20:, :])


def test_noise_and_what_lies_apart_are_no_head():
    head = ball((5, 80, 80), 20)
    seen = head | (np.random.default_rng(0).random(head.shape) > 0.97) & ~grown(head, (0, 9, 9))
    seen[:, :4, :30] = True
    assert np.array_equal(outline(seen, (5.0, 1.0, 1.0)), head)


def test_a_head_near_the_top_of_a_volume_does_not_grow_onto_it():
    head = np.zeros((20, 40, 40), dtype=bool)
    head[:16, 10:30, 10:30] = True
    assert not outline(head, (1.0, 1.0, 1.0))[16:].any()


def test_of_nothing_there_is_no_outline():
    assert not outline(np.zeros((2, 9, 9), dtype=bool), (1.0, 1.0, 1.0)).any()


@pytest.mark.parametrize(("spacing", "rim"), [((5.0, 1.0, 1.0), (0, 2, 2)), ((1.0, 0.5, 0.5), (2, 4, 4))])
def test_the_rim_is_measured_in_millimetres(spacing: tuple[float, float, float], rim: tuple[int, int, int]):
    head = np.zeros((9, 21, 21), dtype=bool)
    head[4, 10, 10] = True
    assert np.array_equal(with_rim(head, spacing), grown(head, rim))
