from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from medtranslate.cli import invoke
from medtranslate.errors import InputRefused, Unreadable
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.inventory import list_items


@pytest.fixture
def mess(series: Path, tmp_path: Path, make_volume: Callable[..., Volume], edit: Callable[..., None]) -> Path:
    """A good CT, an MR that lacks a slice, a cut file, a NIfTI, pictures and a note, in folders."""
    for path in series.iterdir():
        edit(path, PatientName="CANARY", PatientID="CANARY", SeriesDescription="HEAD 3MM")
    write_volume(make_volume("mr"), series / "mr")
    (series / "mr" / "IM0003.dcm").unlink()
    (series / "cut.dcm").write_bytes((series / "IM0001.dcm").read_bytes()[:300])
    write_volume(make_volume(), series / "a.nii.gz")
    (series / "pictures").mkdir()
    for index in range(3):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(series / "pictures" / f"{index}.png")
    (series / "notes.txt").write_text("hello")
    return series


def test_everything_in_a_mess_is_listed_with_its_geometry_or_why_it_is_refused(mess: Any) -> None:
    ct, mr, cut, nifti, pictures = list_items(mess)
    assert (ct.modality, ct.count, ct.size, ct.spacing_mm) == ("ct", 5, (8, 6, 5), (2.0, 1.5, 3.0))
    assert (ct.geometry, ct.refused, ct.description) == ("regular", "", "HEAD 3MM")
    assert ct.coding == "Explicit VR Little Endian"
    assert read_volume(mess / "IM0001.dcm").meta.series.endswith(ct.name.removeprefix("..."))
    assert (mr.modality, mr.count, mr.size) == ("mr", 4, None)
    assert "1 of 5 slices missing" in mr.refused
    assert "cut.dcm" in cut.refused
    assert (nifti.name, nifti.size, nifti.spacing_mm) == ("a.nii.gz", (8, 6, 5), (2.0, 1.5, 3.0))
    assert (pictures.name, pictures.count, pictures.size) == ("pictures", 3, (5, 4, 1))


def test_what_is_said_to_be_refused_is_refused_with_that_sentence(
    mess: Any, unpack: Callable[[str], Path]
) -> None:
    """The verdict is that of reading, for each series and for each file of real ones."""
    folders = [path.parent for path in (unpack("awkward") / "failing").rglob("*.dcm")]
    for folder in {*folders, unpack("ct-head-ge-tilt"), unpack("awkward") / "generic/rgb/001", mess / "mr"}:
        (item,) = (item for item in list_items(folder) if item.format == "dicom")
        said = ""
        try:
            volume = read_volume(folder)
        except InputRefused as refusal:
            said = str(refusal)
        else:
            assert item.size == volume.shape
            assert item.geometry == str(volume.meta.slices or "regular")
        assert item.refused == said


def test_the_command_prints_a_table_or_json_without_a_patient(
    mess: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["info", str(mess)]) == 0
    table = capsys.readouterr().out
    assert "regular" in table
    assert "    refused: " in table
    assert invoke(["info", str(mess), "--json"]) == 0
    printed = capsys.readouterr().out
    assert [item["format"] for item in json.loads(printed)["items"]] == ["dicom"] * 3 + ["nifti", "png"]
    assert "CANARY" not in table + printed


def test_pixels_are_not_decoded(series: Path) -> None:
    for path in series.iterdir():
        header = dcmread(path)
        header.compress(RLELossless)
        header.PixelData = encapsulate([b"gone"])
        header.save_as(path)
    (item,) = list_items(series)
    assert (item.refused, item.geometry, item.coding) == ("", "regular", "RLE Lossless")
    with pytest.raises(Unreadable):
        read_volume(series)


def test_an_archive_is_listed_and_a_path_that_is_not_there_refused(series: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "study"), "zip", series)
    assert zipfile.is_zipfile(tmp_path / "study.zip")
    assert list_items(tmp_path / "study.zip") == list_items(series)
    with pytest.raises(Unreadable, match="does not exist"):
        list_items(Path("nowhere"))


def save_nifti(kind: Any, path: Path, unit: str = "mm", shape: tuple[int, ...] = (5, 4, 3)) -> None:
    image = kind(
        np.zeros(shape, np.int16), np.diag([0.001, 0.002, 0.003, 1] if unit == "meter" else [1, 2, 3, 1])
    )
    image.header.set_xyzt_units(unit)
    image.to_filename(path)


def test_an_archive_beside_images_is_no_damaged_picture(series: Path) -> None:
    with zipfile.ZipFile(series / "export.zip", "w") as archive:
        archive.write(series / "IM0001.dcm", "IM0001.dcm")
    images, item = list_items(series)
    assert images.refused == ""
    assert (item.name, item.format) == ("export.zip", "archive")
    assert "name it by itself" in item.refused
    assert read_volume(series).shape[2] == 5


def test_volumes_are_listed_as_their_readers_read_them(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    save_nifti(nib.Nifti2Image, tmp_path / "a.nii")
    save_nifti(nib.Nifti1Image, tmp_path / "b.nii.gz", "meter")
    for name in ("c.mha", "d.nrrd"):
        write_volume(make_volume().with_meta(stored="int16"), tmp_path / name)
    items = list_items(tmp_path)
    assert [item.name for item in items] == ["a.nii", "b.nii.gz", "c.mha", "d.nrrd"]
    for item in items:
        volume = read_volume(tmp_path / item.name)
        assert (item.size, item.coding) == (volume.shape, "int16")
        assert item.spacing_mm == pytest.approx(volume.spacing)
    assert items[1].spacing_mm == (1, 2, 3)


def test_a_file_that_is_cut_short_is_told_where_its_length_tells(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    for name in ("a.nii", "b.mha", "c.nrrd", "d.mgh", "e.nii.gz", "f.mgz"):
        write_volume(make_volume(), tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-100])
    for item in list_items(tmp_path):
        with pytest.raises(InputRefused) as refusal:
            read_volume(tmp_path / item.name)
        # What is compressed is not inflated to tell.
        assert item.refused == ("" if item.name.endswith("z") else str(refusal.value))


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(
    "damage", [{"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, {"datatype": 77}, {"pixdim": np.nan}]
)
def test_a_bad_volume_is_a_refused_row_with_the_sentence_of_reading(
    tmp_path: Path, kind: Any, damage: Any
) -> None:
    path = tmp_path / "a.nii"
    save_nifti(kind, path)
    content, size = path.read_bytes(), kind.header_class.sizeof_hdr
    header = kind.header_class(content[:size])
    header["sform_code"] = 0
    for name, value in damage.items():
        header[name] = value
    path.write_bytes(header.binaryblock + content[size:])
    (item,) = list_items(tmp_path)
    with pytest.raises(InputRefused) as refusal:
        read_volume(path)
    assert item.refused == str(refusal.value)


def test_what_is_named_like_an_image_and_is_none_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text\n.nii.gz").write_text("hello")
    (tmp_path / "notes.txt").write_text("hello")
    (item,) = list_items(tmp_path)
    assert "text, not an image" in item.refused
    (alone,) = list_items(tmp_path / "notes.txt")
    assert alone.refused
    assert invoke(["info", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
