"""Axes that are not at right angles: told, undone on request, and never written as something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from medtranslate.config import ConvertSettings
from medtranslate.conversion import convert
from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.inventory import list_items
from medtranslate.io.shear import corners, describe_shear, farthest, right_angled, shear

TILTED = np.array([[1, 0, 0, -8], [0, 1, 0.66, -9], [0, 0, 2, -20], [0, 0, 0, 1.0]])
"""Slices 2 mm apart whose rows are moved by 0.66 mm from one to the next: 18.3 degrees."""


def save(
    path: Path, affine: NDArray[np.float64] = TILTED, shape: tuple[int, int, int] = (16, 18, 20)
) -> Path:
    """A field that is linear in space, sampled where an affine puts the voxels."""
    points = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    image = nib.Nifti1Image((points @ [0.3, -0.7, 1.1]).astype(np.float32), affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


affines = st.builds(
    lambda angles, sizes, shears, mirrored: nib.affines.from_matvec(
        Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        @ (np.array([[1, shears[0], shears[1]], [0, 1, shears[2]], [0, 0, 1]]) * sizes)
        * ([1, 1, -1] if mirrored else 1),
        [3, -4, 5],
    ),
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.5, 4)] * 3),
    st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    st.booleans(),
)


@given(affines)
def test_the_angle_is_that_between_the_axes(affine: Any) -> None:
    axes = affine[:3, :3]
    between = [
        np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
        for a, b in combinations(axes.T, 2)
    ]
    assert shear(affine) == pytest.approx(max(abs(angle - 90) for angle in between), abs=1e-5)
    directions, sizes = right_angled(affine)
    assert np.allclose(directions @ directions.T, np.eye(3))
    assert np.prod(sizes) == pytest.approx(abs(np.linalg.det(axes)))
    assert np.allclose(directions[0] * sizes[0], axes[:, 0])
    assert np.linalg.det(directions) * np.linalg.det(axes) > 0


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(affines)
def test_a_linear_field_is_resampled_exactly_onto_right_angles(tmp_path: Path, affine: Any) -> None:
    path = save(tmp_path / "a.nii", affine, (7, 6, 5))
    source, made = read_volume(path), read_volume(path, modality="ct", regular=True)
    if not describe_shear(source.affine):
        assert made.meta.digest == source.meta.digest
        return
    assert describe_shear(made.affine) == ""
    assert "resampled onto a grid with right angles (sheared by" in made.meta.warnings[0]
    values, grid = made.values, made.affine
    inside = values != -1024
    points = np.argwhere(inside) @ grid[:3, :3].T + grid[:3, 3]
    assert np.allclose(values[inside], points @ [0.3, -0.7, 1.1], atol=1e-3)
    # Every corner of the source lies in the grid, and what lies in the source has a value.
    places = corners((7, 6, 5)) @ (np.linalg.inv(grid) @ source.affine).T
    assert (places[:, :3] > -1e-4).all()
    assert (places[:, :3] < np.array(values.shape) - 1 + 1e-4).all()
    back = np.argwhere(np.ones(values.shape)) @ grid[:3, :3].T + grid[:3, 3]
    indices = (back - source.affine[:3, 3]) @ np.linalg.inv(source.affine[:3, :3]).T
    within = ((indices > 1e-3) & (indices < np.array((7, 6, 5)) - 1 - 1e-3)).all(axis=1).reshape(values.shape)
    assert (inside | ~within).all()


def test_info_says_the_angle_and_the_distance_between_slices(tmp_path: Path) -> None:
    (item,) = list_items(save(tmp_path / "a.nii.gz"))
    assert (item.geometry, item.spacing_mm) == ("sheared by 18.3 degrees", (1, 1, 2))
    assert read_volume(tmp_path / "a.nii.gz").meta.warnings == (
        "no right angles: sheared by 18.3 degrees; --regrid undoes it",
    )


def test_a_sheared_volume_goes_into_formats_that_can_say_so_and_no_other(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz")
    convert(ConvertSettings(input=path, output=tmp_path / "a.nrrd"))
    convert(ConvertSettings(input=tmp_path / "a.nrrd", output=tmp_path / "b.nii.gz"))
    assert np.allclose(read_volume(tmp_path / "a.nrrd").affine, TILTED, atol=1e-6)
    image = SimpleITK.ReadImage(str(tmp_path / "a.nrrd"))
    place = image.TransformIndexToPhysicalPoint((8, 9, 19))
    assert np.allclose(place * np.array([-1, -1, 1]), (TILTED @ [8, 9, 19, 1])[:3], atol=1e-5)
    header = nib.load(tmp_path / "b.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    assert np.allclose(header.get_sform(), TILTED)
    for name in ("a.mha", "a.mgz", "series"):
        with pytest.raises(GeometryRefused, match=r"a.nii.gz: the volume is sheared by 18.3 .*--regrid"):
            convert(
                ConvertSettings(
                    input=path, output=tmp_path / name, modality="mr", format=None if "." in name else "dicom"
                )
            )
        assert not (tmp_path / name).exists()
    for name in ("a.mha", "a.mgz", "series"):
        convert(
            ConvertSettings(
                input=path,
                output=tmp_path / name,
                modality="mr",
                format=None if "." in name else "dicom",
                regrid=True,
            )
        )
        (item,) = list_items(tmp_path / name)
        assert (item.geometry, item.spacing_mm) == ("regular", (1, 1, 2))


@pytest.mark.parametrize("degrees", [0, 0.01, 0.05, 0.2, 5])
@pytest.mark.parametrize("shape", [(3, 4, 5), (20, 20, 300)])
def test_a_qform_is_written_only_where_it_agrees_with_the_sform(
    tmp_path: Path, make_volume: Callable[..., Volume], degrees: float, shape: tuple[int, int, int]
) -> None:
    affine = np.diag([-1.0, -1, 1, 1])
    affine[1, 2] = np.tan(np.radians(degrees))
    write_volume(replace(make_volume(shape=shape), affine=affine), tmp_path / "a.nii")
    header = nib.load(tmp_path / "a.nii").header
    assert np.allclose(header.get_sform(), affine, atol=1e-6)
    apart = farthest(header.get_qform(), affine, shape)
    assert int(header["qform_code"]) == (1 if apart <= 0.1 else 0)
    assert read_volume(tmp_path / "a.nii").meta.warnings == (
        (f"no right angles: sheared by {degrees:.1f} degrees; --regrid undoes it",) if degrees > 0.1 else ()
    )


def test_what_lies_outside_is_air_or_nothing_or_the_lowest_value(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii")
    lowest = float(read_volume(path).values.min())
    for modality, fill in (("ct", -1024), ("mr", 0), (None, lowest)):
        assert read_volume(path, modality=modality, regular=True).values[0, 0, -1] == fill


def test_a_grid_over_the_bound_is_refused(tmp_path: Path) -> None:
    far = np.diag([1.0, 1, 1, 1])
    far[1, 2] = 900
    with pytest.raises(Unreadable, match=r"on a regular grid: .* more than the bound"):
        read_volume(save(tmp_path / "a.nii", far, (500, 5, 500)), regular=True)
