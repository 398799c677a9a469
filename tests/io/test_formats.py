from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medtranslate.errors import InputRefused, Unreadable, UsageError
from medtranslate.io import FORMATS, Volume, detect_format, list_pictures, read_volume, write_volume


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_every_format_gives_back_what_it_was_given(
    tmp_path: Path, make_volume: Callable[..., Volume], name: str, modality: str
) -> None:
    volume = make_volume(modality, (8, 6, 1 if name == "png" else 5))
    if name == "png" or modality == "mr":
        volume = volume.with_values(volume.values + 100)
    suffix = FORMATS[name].suffixes[-1]
    write_volume(volume, tmp_path / f"a{suffix}")
    assert detect_format(tmp_path / f"a{suffix}") == name
    again = read_volume(tmp_path / f"a{suffix}", modality=modality)
    expected = volume.values * 4095 / 239 if (name, modality) == ("dicom", "mr") else volume.values
    assert (again.values.dtype, again.affine.dtype) == (np.float32, np.float64)
    assert abs(again.values - expected).max() <= 0.5
    assert name == "png" or np.allclose(again.affine, volume.affine)
    assert (again.meta.modality, again.meta.format) == (modality, name)
    assert again.meta.path == tmp_path / f"a{suffix}"
    assert again.values.T.flags.c_contiguous
    assert len(again.meta.digest) == 64


@pytest.mark.parametrize("name", FORMATS)
def test_format_wins_over_the_suffix_and_content_over_the_name(
    tmp_path: Path, make_volume: Callable[..., Volume], name: str
) -> None:
    volume = make_volume(shape=(8, 6, 1))
    suffix = ".nii" if name == "dicom" else FORMATS[name].suffixes[-1]
    write_volume(volume, tmp_path / f"a{suffix}", format=name)
    (tmp_path / f"a{suffix}").rename(tmp_path / "renamed.mnc")
    assert detect_format(tmp_path / "renamed.mnc") == name


def test_a_header_that_contradicts_the_modality_is_refused(series: Path) -> None:
    assert read_volume(series, modality="ct").meta.modality == "ct"
    with pytest.raises(InputRefused, match="is a CT, not an MR"):
        read_volume(series, modality="mr")


def test_a_suffix_that_no_format_writes_is_wrong_usage(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    with pytest.raises(UsageError, match=r"\.mnc"):
        write_volume(make_volume(), tmp_path / "a.mnc")
    with pytest.raises(UsageError, match="unknown format mnc; take one of dicom, nifti, mha, nrrd, mgh, png"):
        write_volume(make_volume(), tmp_path / "a.nii", format="mnc")


def test_a_folder_is_what_it_holds(tmp_path: Path, series: Path) -> None:
    grey = Image.fromarray(np.zeros((4, 4), np.uint8))
    with pytest.raises(Unreadable, match="does not exist"):
        detect_format(tmp_path / "nowhere")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "list.csv").write_text("a,b")
    with pytest.raises(Unreadable, match="holds no image and 1 other files"):
        detect_format(pictures)
    grey.save(pictures / "a.png")
    assert detect_format(pictures) == "png"
    with pytest.raises(Unreadable, match=r"holds 1 png files \(a\.png\), not one volume; name one"):
        read_volume(pictures)
    write_volume(read_volume(pictures / "a.png"), pictures / "b.nii")
    with pytest.raises(Unreadable, match=r"holds 1 (nifti|png), 1 (nifti|png) and 1 other files"):
        detect_format(pictures)
    series.rename(pictures / "series")
    assert detect_format(pictures) == "dicom"
    with pytest.raises(Unreadable, match="is no folder"):
        list_pictures(tmp_path / "nowhere")


def test_one_dicom_file_is_one_slice(series: Path) -> None:
    whole, lone = read_volume(series), read_volume(series / "IM0003.dcm")
    assert np.array_equal(lone.values, whole.values[..., 2:3])
    assert np.allclose(lone.affine[:, 3], whole.affine @ [0, 0, 2, 1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"CDF\x01" + bytes(600), "MINC 1; convert it with mnc2nii"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "as MINC 2 is; convert it with mnc2nii"),
        (gzip.compress(b"CDF\x01" + bytes(600), mtime=0), "MINC 1"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "zstd"),
        (bz2.compress(b"x" * 999), "bunzip2"),
        (lzma.compress(b"x" * 999), "xz -d"),
        (b"II*\x00" + bytes(99), "TIFF; convert it to PNG"),
        (b"# === DATA DESCRIPTION FILE ====\n" * 20, "PAR/REC; convert it with dcm2niix"),
        (b"\ntype  = string-attribute\nname  = TYPESTRING\n", "AFNI; convert it with 3dAFNItoNIFTI"),
        ((348).to_bytes(4, "little") + bytes(344), "Analyze 7.5"),
    ],
)
def test_formats_next_door_are_refused_by_name_with_what_converts_them(
    tmp_path: Path, content: Any, said: str
) -> None:
    (tmp_path / "a.img").write_bytes(content)
    with pytest.raises(Unreadable, match=re.escape(said)):
        read_volume(tmp_path / "a.img")
