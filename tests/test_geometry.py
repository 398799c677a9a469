from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medtranslate.errors import GeometryRefused
from medtranslate.geometry import SliceGeometry, check_affine, spacing, stack_slices, swap_lps_ras

AXIAL = [1, 0, 0, 0, 1, 0]
SIZES = st.floats(0.1, 10)
ROTATIONS = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed).as_matrix())


def names(count: int) -> list[str]:
    return [f"slice-{index}.dcm" for index in range(count)]


def heights(*values: float) -> list[list[float]]:
    return [[0, 0, value] for value in values]


@given(ROTATIONS, st.tuples(SIZES, SIZES, SIZES), st.permutations(range(7)))
def test_a_regular_stack_in_any_order_is_placed_where_its_headers_say(rotation, sizes, shuffle):
    row, column, normal = rotation.T
    start = np.array([-120.0, 80.0, 33.0])
    positions = np.array([start + index * sizes[2] * normal for index in shuffle])
    stack = stack_slices(positions, [*row, *column], sizes[:2], names(7))
    assert np.array_equal(np.array(shuffle)[stack.order], np.arange(7))
    lps = swap_lps_ras(stack.affine)
    for index in range(7):
        # PS3.3 C.7.6.2.1.1: column index along the row's direction, row index along the column's.
        expected = start + 3 * sizes[1] * row + 5 * sizes[0] * column + index * sizes[2] * normal
        assert np.allclose(lps @ [3, 5, index, 1], [*expected, 1], atol=1e-9)
    assert np.allclose(spacing(stack.affine), [sizes[1], sizes[0], sizes[2]])


def test_lps_and_ras_differ_in_the_sign_of_x_and_y():
    assert np.array_equal(swap_lps_ras(np.eye(4)), np.diag([-1, -1, 1, 1]))
    assert np.array_equal(
        swap_lps_ras(swap_lps_ras(np.arange(16).reshape(4, 4))), np.arange(16).reshape(4, 4)
    )


def test_positions_rounded_by_a_scanner_are_regular():
    stack = stack_slices(heights(0, 1.251, 2.5, 3.749, 5), AXIAL, (1, 1), names(5))
    assert spacing(stack.affine)[2] == 1.25


def test_a_lone_slice_gets_a_nominal_distance():
    stack = stack_slices(heights(4), AXIAL, (1, 1), names(1), single_gap=5)
    assert np.array_equal(swap_lps_ras(stack.affine)[:3, 2:], [[0, 0], [0, 0], [5, 4]])


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        (heights(0, 5, 5, 10), r"slice-1.dcm and slice-2.dcm lie at the same position .*; keep one of them$"),
        (heights(0, 0, 5, 5, 10, 10), r"same position .*, and so do 2 other pairs: .*time or direction"),
        (heights(0, 5, 10, 20, 25), r"1 of 6 slices missing: 10.00 mm between slice-2.dcm and slice-3.dcm"),
        (heights(20, 15, 10, 0, -5), r"1 of 6 slices missing: 10.00 mm between slice-3.dcm and slice-2.dcm"),
        (heights(0, 5, 10, 31, 36), r"3 of 8 slices missing: 21.00 mm"),
    ],
)
def test_slices_that_lie_together_or_are_missing_are_refused_with_files_and_numbers(positions, said):
    with pytest.raises(GeometryRefused, match=said):
        stack_slices(positions, AXIAL, (1, 1), names(len(positions)))


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        (heights(0, 5, 10, 12, 17), "gaps of 2.00 to 5.00 mm"),
        (
            [[0, index * np.tan(np.radians(18.5)), index] for index in range(5)],
            "tilted by 18.5 degrees, gaps of 1.00 mm",
        ),
        (
            [[0, 0.2 * (index == 2), 5 * index] for index in range(5)],
            "gaps of 5.00 mm, up to 0.20 mm off a straight line",
        ),
        (heights(*np.cumsum(5 + 0.004 * np.arange(20))), "gaps of 5.00 to 5.08 mm"),
    ],
)
def test_slices_that_are_no_regular_grid_each_keep_their_own_place(positions, said):
    shuffle = np.random.default_rng(1).permutation(len(positions))
    stack = stack_slices(np.array(positions)[shuffle], AXIAL, (0.5, 0.25), names(len(positions)))
    assert np.array_equal(swap_lps_ras_points(stack.slices.positions), positions)
    assert np.array_equal(swap_lps_ras_points(stack.slices.orientations[2]), [[1, 0, 0], [0, 1, 0]])
    assert (stack.slices.pixel_mm, str(stack.slices)) == ((0.5, 0.25), said)
    # The nominal affine is true at both ends.
    ends = stack.affine[:3, 2:] @ np.array([[0, len(positions) - 1], [1, 1]])
    assert np.allclose(ends.T, stack.slices.positions[[0, -1]])


def swap_lps_ras_points(points):
    return points * [-1, -1, 1]


@pytest.mark.parametrize(
    ("heights_mm", "thicknesses", "missing"),
    [
        ([0, 2.5, 5, 10, 15, 20], [2.5, 2.5, 2.5, 5, 5, 5], False),  # thin at the skull base, thick above
        ([0, 2.5, 5, 7.5, 12.5, 15], [5] * 6, True),
        ([0, 2.5, 5, 7.5, 12.5, 15], None, True),
        (
            [0, 0.6, 1.2, 2.4, 3.0],
            [1.2] * 5,
            True,
        ),  # overlapping: the slices still touch where one is missing
        ([0, 5, 10, 20], [4] * 4, True),  # apart from each other as they should be
        ([0, 7, 14, 28, 35, 39, 43, 47], [7, 7, 7, 7, 7, 4, 4, 4], True),
    ],
)
def test_a_missing_slice_is_told_from_uneven_ones_by_their_thickness(heights_mm, thicknesses, missing):
    expected = pytest.raises(GeometryRefused, match="1 of") if missing else nullcontext()
    with expected:
        stack = stack_slices(
            heights(*heights_mm), AXIAL, (1, 1), names(len(heights_mm)), thicknesses=thicknesses
        )
        assert stack.slices is not None


def test_a_jitter_of_a_few_micrometres_is_a_regular_grid():
    jitter = np.random.default_rng(0).uniform(-0.002, 0.002, (20, 3))
    stack = stack_slices(np.array(heights(*range(20))) + jitter, AXIAL, (1, 1), names(20))
    assert stack.slices is None


@pytest.mark.parametrize(
    ("positions", "orientations"),
    [
        (heights(0, 1), np.tile(np.eye(3)[:2], (3, 1, 1))),
        (heights(1, 0), np.tile(np.eye(3)[:2], (2, 1, 1))),
        (heights(0, np.nan), np.tile(np.eye(3)[:2], (2, 1, 1))),
        (heights(0, 1), np.ones((2, 2, 3))),
    ],
)
def test_a_slice_geometry_is_checked_when_it_is_made(positions, orientations):
    with pytest.raises((ValueError, GeometryRefused)):
        SliceGeometry(np.array(positions, float), orientations, (1, 1))


@pytest.mark.parametrize("orientation", [[1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0.9, 0], [0] * 6, [np.nan] * 6])
def test_direction_cosines_have_to_be_orthogonal_unit_vectors(orientation):
    with pytest.raises(GeometryRefused, match="ImageOrientationPatient"):
        stack_slices(heights(0, 1), orientation, (1, 1), names(2))


@given(ROTATIONS, st.tuples(SIZES, SIZES, SIZES))
def test_any_rotated_and_scaled_affine_is_accepted(rotation, sizes):
    affine = np.eye(4)
    affine[:3, :3] = rotation * sizes
    assert np.array_equal(check_affine(affine, "x.nii"), affine)
    assert np.allclose(spacing(affine), sizes)


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([1, 1, 0, 1]),
        np.diag([1, np.inf, 1, 1]),
        np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.zeros((4, 4)),
    ],
)
def test_an_affine_without_volume_is_refused_and_names_the_file(affine):
    with pytest.raises(GeometryRefused, match=r"x\.nii"):
        check_affine(affine, "x.nii")
