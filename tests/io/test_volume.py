"""The volume itself: what cannot be changed, and its layout in any orientation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from scipy.spatial.transform import Rotation

from medtranslate.errors import Diverged, GeometryRefused
from medtranslate.geometry import SliceGeometry, slices_of
from medtranslate.io import Meta, Volume, write_volume
from medtranslate.io.layout import from_axial, onto_slices, to_axial, upright
from medtranslate.io.png import PICTURE_AFFINE

Orientation = tuple[tuple[int, ...], tuple[float, ...]]
ORIENTATIONS: list[Orientation] = list(product(permutations(range(3)), product((1.0, -1.0), repeat=3)))
"""Array axis of each of R, A and S, and its sign: 48."""


def test_a_volume_and_its_facts_cannot_be_changed(make_volume: Callable[..., Volume]) -> None:
    volume = make_volume()
    for owner, name in ((volume, "values"), (volume, "affine"), (volume.meta, "modality")):
        with pytest.raises(FrozenInstanceError):
            setattr(owner, name, None)
    picture = Volume(np.zeros((4, 3, 1)), PICTURE_AFFINE)
    with pytest.raises(ValueError, match="read-only"):
        picture.affine[0, 0] = 2
    affine = np.eye(4)
    volume = Volume(np.zeros((4, 3, 2)), affine)
    affine[0, 3] = 5
    assert volume.affine[0, 3] == 0


def test_values_and_affine_have_one_type_whatever_they_are_given_as() -> None:
    volume = Volume(np.arange(24, dtype=">i4").reshape(2, 3, 4), np.eye(4, dtype=np.float32))
    assert (volume.values.dtype, volume.affine.dtype) == (np.dtype("=f4"), np.dtype("=f8"))
    assert (volume.shape, volume.spacing, volume.name) == ((2, 3, 4), (1.0, 1.0, 1.0), "in memory")
    values = np.zeros((2, 3, 4), np.float32, order="F")
    assert np.shares_memory(Volume(values, np.eye(4)).values, values)


@pytest.mark.parametrize(("shape", "affine"), [((3, 4), (4, 4)), ((1, 3, 4, 5), (4, 4)), ((3, 4, 5), (3, 4))])
def test_other_than_three_axes_are_refused_with_the_file(shape: Any, affine: tuple[int, int]) -> None:
    with pytest.raises(GeometryRefused, match=r"/x/a.nii: a volume has three axes and an affine of 4 x 4"):
        Volume(np.zeros(shape), np.ones(affine), Meta(path=Path("/x/a.nii")))


@pytest.mark.parametrize("odd", [[np.nan], [np.inf], [np.inf, -np.inf, np.nan]])
def test_what_is_not_finite_is_counted_and_not_written(
    make_volume: Callable[..., Volume], tmp_path: Path, odd: list[float]
) -> None:
    values = make_volume().values.copy()
    values.flat[: len(odd)] = odd
    with pytest.raises(Diverged, match=f"{len(odd)} of 240 voxels"):
        write_volume(make_volume().with_values(values), tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []


def test_large_numbers_are_finite_and_written(make_volume: Callable[..., Volume], tmp_path: Path) -> None:
    write_volume(make_volume().with_values(np.full((8, 6, 5), 3e38)), tmp_path / "a.nii")
    assert nib.load(tmp_path / "a.nii").get_fdata(dtype=np.float32).max() == np.float32(3e38)


def test_other_values_keep_their_place_and_facts(make_volume: Callable[..., Volume]) -> None:
    volume = make_volume("mr").with_meta(warnings=("a",), path=Path("/x/a.nii"))
    other = volume.with_values(np.ones(volume.shape, int), modality="ct")
    assert np.array_equal(other.affine, volume.affine)
    assert other.values.dtype == np.float32
    assert other.meta == Meta("ct", path=Path("/x/a.nii"), warnings=("a",))
    assert (volume.meta.modality, other.name, other.where) == ("mr", "a.nii", "/x/a.nii")


def test_slices_that_are_no_grid_are_refused_by_name(make_volume: Callable[..., Volume]) -> None:
    positions = np.array([[0.0, 0, 0], [0, 1, 3], [0, 2, 6], [0, 3, 9], [0, 4, 12]])
    slices = SliceGeometry(positions, np.tile(np.eye(3)[:2], (5, 1, 1)), (1.5, 2.0))
    make_volume().require_grid()
    tilted = make_volume().with_meta(slices=slices, path=Path("/x/series"))
    with pytest.raises(GeometryRefused, match=r"/x/series: its slices are no regular grid \(tilted by 18.4"):
        tilted.require_grid()
    with pytest.raises(GeometryRefused, match="reference: its slices"):
        tilted.require_grid("reference")


def placed(
    orientation: Orientation,
    degrees: tuple[float, ...] = (0.0, 0.0, 0.0),
    origin: tuple[float, ...] = (7.0, -8.0, 9.0),
) -> Volume:
    """A volume whose every voxel is different, along the patient's axes but for a turn."""
    order, signs = orientation
    axes = np.eye(3)[list(order)] * np.reshape(signs, (3, 1))
    matrix = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ axes.T * [1.5, 2.5, 4.0]
    return Volume(np.arange(24).reshape(2, 3, 4), nib.affines.from_matvec(matrix, origin), Meta("mr"))


@given(st.sampled_from(ORIENTATIONS), st.tuples(*[st.floats(-15, 15)] * 3))
def test_the_axial_layout_is_nibabel_s_and_comes_back_exactly(
    orientation: Orientation, degrees: tuple[float, ...]
) -> None:
    volume = placed(orientation, degrees)
    axial = to_axial(volume)
    turn = ornt_transform(io_orientation(volume.affine), axcodes2ornt("LPS"))
    oracle = nib.Nifti1Image(volume.values, volume.affine).as_reoriented(turn)
    assert np.array_equal(axial.values, oracle.get_fdata(dtype=np.float32))
    assert np.allclose(axial.affine, oracle.affine, rtol=0, atol=1e-12)
    assert nib.aff2axcodes(axial.affine) == ("L", "P", "S")
    # The same voxel lies at the same place.
    place, was = (np.argwhere(found.values == 23)[0] for found in (axial, volume))
    assert np.allclose(axial.affine @ [*place, 1], volume.affine @ [*was, 1])
    back = from_axial(axial, volume)
    assert np.array_equal(back.values, volume.values)
    assert np.array_equal(back.affine, volume.affine)
    assert np.shares_memory(back.values, volume.values)
    assert back.meta == volume.meta


@given(st.sampled_from(ORIENTATIONS), st.tuples(*[st.floats(-180, 180)] * 3))
def test_oblique_volumes_are_laid_out_as_nibabel_lays_them_out(orientation, degrees):
    volume = placed(orientation, degrees)
    axial = to_axial(volume)
    turn = ornt_transform(io_orientation(volume.affine), axcodes2ornt("LPS"))
    oracle = nib.Nifti1Image(volume.values, volume.affine).as_reoriented(turn)
    assert np.array_equal(axial.values, oracle.get_fdata(dtype=np.float32))
    assert np.array_equal(from_axial(axial, volume).values, volume.values)


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7])
@pytest.mark.parametrize("suffix", [".nii", ".mha", ".nrrd", ".mgh"])
def test_a_view_with_flipped_axes_is_written_as_its_copy(
    tmp_path: Path, orientation: Orientation, suffix: str
) -> None:
    axial = to_axial(placed(orientation))
    write_volume(axial, tmp_path / f"a{suffix}")
    write_volume(axial.with_values(axial.values.copy()), tmp_path / f"b{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@given(st.sampled_from(ORIENTATIONS), st.tuples(*[st.floats(-300, 300)] * 3), st.floats(-0.4, 0.4))
def test_uneven_slices_come_back_untouched_or_are_refused_if_they_are_not_axial(
    orientation: Orientation, origin: tuple[float, ...], tilt: float
) -> None:
    volume = placed(orientation, origin=origin)
    assume(np.linalg.det(volume.affine) > 0)  # in the order of their normal
    grid = slices_of(volume.affine, 4)
    steps = np.array([[0, 0], [1, tilt], [5, 2 * tilt], [6, 3 * tilt]])
    moves = steps @ [grid.normal, grid.orientations[0, 1]]
    source = volume.with_meta(slices=SliceGeometry(origin + moves, grid.orientations, grid.pixel_mm))
    if orientation[0][2] != 2:
        with pytest.raises(GeometryRefused, match="no regular grid"):
            to_axial(source)
        return
    assert upright(source) is source
    back = onto_slices(from_axial(to_axial(source), source), source)
    assert np.array_equal(back.values, source.values)
    assert np.array_equal(back.affine, source.affine)
    assert back.meta.slices is source.meta.slices


def test_a_volume_far_from_the_patient_s_axes_is_resampled_and_comes_back() -> None:
    points = np.moveaxis(np.indices((9, 8, 7)), 0, -1)
    turn = Rotation.from_euler("x", 44, degrees=True).as_matrix() * 2
    source = Volume(points @ [1.0, 2, 3], nib.affines.from_matvec(turn, [1, 2, 3]), Meta("mr"))
    made = upright(source)
    assert np.allclose(made.affine[:3, :3], np.diag([-2.0, -2, 2]))
    assert "resampled along the patient's axes" in made.meta.warnings[-1]
    back = onto_slices(made, source)
    assert back.shape == source.shape
    assert np.allclose(back.values[2:-2, 2:-2, 2:-2], source.values[2:-2, 2:-2, 2:-2], atol=1e-3)
