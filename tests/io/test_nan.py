from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from medtranslate.config import (
    BatchSettings,
    ConvertSettings,
    CycleSettings,
    EvaluateSettings,
    TrainSettings,
    TranslateSettings,
    nan_value,
)
from medtranslate.errors import SettingsError, Unreadable
from medtranslate.io import read_volume

Values = NDArray[np.float32]


def save_nifti(values: Values, path: Path) -> None:
    nib.Nifti1Image(values, np.eye(4)).to_filename(path)


def save_by_itk(values: Values, path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values.T), str(path))


def save_mgh(values: Values, path: Path) -> None:
    nib.MGHImage(values, np.eye(4)).to_filename(path)


@pytest.fixture
def values() -> Values:
    """Brain-like values with NaN around, as a normalised SPM image has them."""
    made = np.random.default_rng(0).uniform(1, 900, (9, 8, 7)).astype(np.float32)
    made[0], made[:, :, -1] = np.nan, np.nan
    return made


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("x.nii", save_nifti),
        ("x.nii.gz", save_nifti),
        ("x.mha", save_by_itk),
        ("x.nrrd", save_by_itk),
        ("x.mgz", save_mgh),
    ],
)
def test_nan_becomes_the_value_that_is_given_and_nothing_else_changes(
    tmp_path: Path, values: Values, name: str, save: Callable[[Values, Path], None]
) -> None:
    save(values, tmp_path / name)
    count = int(np.isnan(values).sum())
    refusal = rf"{name}: {count} of {values.size} voxels are NaN .*; give --nan-to"
    with pytest.raises(Unreadable, match=refusal):
        read_volume(tmp_path / name)
    for nan_to in (0.0, -1024.0):
        volume = read_volume(tmp_path / name, nan_to=nan_to)
        np.testing.assert_array_equal(volume.values, np.nan_to_num(values, nan=nan_to))
        (said,) = (text for text in volume.meta.warnings if "NaN" in text)
        assert said.startswith(f"{count} voxels (")
        assert said.endswith(f"became {nan_to:g}")


@pytest.mark.parametrize("odd", [np.inf, -np.inf])
def test_infinite_values_stay_refused(tmp_path: Path, values: Values, odd: float) -> None:
    values[3, 3, 3] = odd
    save_nifti(values, tmp_path / "x.nii")
    with pytest.raises(Unreadable, match="121 of 504 voxels are NaN or infinite; set infinite"):
        read_volume(tmp_path / "x.nii", nan_to=0.0)


def test_a_volume_without_nan_is_read_as_without_the_option(tmp_path: Path, values: Values) -> None:
    save_nifti(np.nan_to_num(values, nan=5.0), tmp_path / "x.nii")
    plain, asked = (read_volume(tmp_path / "x.nii", nan_to=nan_to) for nan_to in (None, 0.0))
    assert plain.meta == asked.meta
    np.testing.assert_array_equal(plain.values, asked.values)


def test_air_is_that_of_the_modality() -> None:
    assert [nan_value("air", modality, "x") for modality in ("ct", "mr")] == [-1024, 0]
    assert nan_value("-7.5", None, "x") == -7.5
    assert nan_value(None, None, "x") is None
    with pytest.raises(SettingsError, match="x may be CT or MR"):
        nan_value("air", None, "x")


@pytest.mark.parametrize(
    "settings",
    [BatchSettings, ConvertSettings, CycleSettings, EvaluateSettings, TrainSettings, TranslateSettings],
)
def test_whoever_reads_volumes_takes_the_option(settings: type) -> None:
    assert "nan_to" in {field.name for field in dataclasses.fields(settings)}
