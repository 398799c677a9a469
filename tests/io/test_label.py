from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from medtranslate.errors import Unreadable
from medtranslate.io import Volume, detect_format, read_volume, write_volume
from medtranslate.io.names import pair_name, synthetic_name
from medtranslate.io.png import save_preview
from medtranslate.records import Derivation

LONG = "a name of a model that has all the characters that its rule allows"[:64]


@pytest.fixture
def volume() -> Volume:
    return Volume(np.arange(60).reshape(3, 4, 5) / 7, np.diag([1, 2, 3, 1]))


@pytest.mark.parametrize("suffix", ["nii.gz", "nii", "mha", "nrrd"])
@pytest.mark.parametrize("uncertainty", [False, True])
def test_a_file_tells_other_software_what_it_is(
    volume: Any, made: Callable[..., Derivation], tmp_path: Path, suffix: str, uncertainty: bool
) -> None:
    path = tmp_path / f"x.{suffix}"
    write_volume(volume, path, derivation=made("ct", -20, 100, name=LONG, uncertainty=uncertainty))
    if suffix.startswith("nii"):
        header = nib.load(path).header
        said = header["descrip"].item().decode()
        assert header["intent_name"].item().decode() == ("Uncertainty" if uncertainty else "SYNTHETIC CT")
        low, high = float(header["cal_min"]), float(header["cal_max"])
    else:
        image = SimpleITK.ReadImage(str(path))
        said = image.GetMetaData("Description")
        low, high = map(float, image.GetMetaData("DisplayRange").split())
    assert "SYNTHETIC CT" in said
    assert "not for diagnosis" in said
    assert said.startswith("Uncertainty (HU)") == uncertainty
    assert (low, high) == pytest.approx((0, 59 / 7) if uncertainty else (-20, 100), rel=1e-5)
    again = read_volume(path)
    assert np.array_equal(again.values, volume.values)
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T, volume.values)


def test_a_doubtful_translation_says_so(volume: Any, made: Callable[..., Derivation], tmp_path: Path) -> None:
    write_volume(volume, tmp_path / "x.nii", derivation=made("ct", -20, 100, doubts=["black brain"]))
    said = nib.load(tmp_path / "x.nii").header["descrip"].item().decode()
    assert said.startswith("SYNTHETIC CT, DOUBTFUL, from MR, not for diagnosis")


def test_a_file_that_is_no_translation_says_nothing(volume: Any, tmp_path: Path) -> None:
    write_volume(volume, tmp_path / "x.nii")
    assert nib.load(tmp_path / "x.nii").header["descrip"].item() == b""
    write_volume(volume, tmp_path / "x.mha")
    assert not SimpleITK.ReadImage(str(tmp_path / "x.mha")).HasMetaDataKey("Description")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("flair.nii.gz", "flair_synthetic-ct.nii.gz"),
        ("A.B.NII.GZ", "A.B_synthetic-ct.NII.GZ"),
        ("t1.mha", "t1_synthetic-ct.mha"),
        ("series-12", "series-12_synthetic-ct"),
        (".x", ".x_synthetic-ct"),
        ("two\nlines.png", "two\nlines_synthetic-ct.png"),
    ],
)
def test_names_say_synthetic_before_the_suffix(name: str, made: str) -> None:
    assert synthetic_name(name, "ct") == made


@given(
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1), st.sampled_from(["ct", "mr"])
)
def test_a_translation_pairs_with_its_source(name: Any, to: Any) -> None:
    for uncertainty in (False, True):
        made = synthetic_name(name, to, uncertainty=uncertainty)
        assert pair_name(Path("folder", made)) in (
            pair_name(Path("folder", name)),
            Path(made).name.partition("_synthetic")[0],
        )


def test_a_preview_is_no_image(tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.new("L", (30, 20), 90)
    save_preview(picture, tmp_path / "renamed.png")
    with pytest.raises(Unreadable, match="a preview that medtranslate drew"):
        detect_format(tmp_path / "renamed.png")
    picture.save(tmp_path / "scan.preview.png")
    assert detect_format(tmp_path / "scan.preview.png") == "png"
    assert detect_format(tmp_path) == "png"
