"""What headers say of pixel values: where they lie in the file, their bits, scale, padding and meaning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medtranslate.batch.items import find_items
from medtranslate.batch.worker import open_worker
from medtranslate.cli import invoke
from medtranslate.config import BatchSettings
from medtranslate.errors import InputRefused, Unreadable
from medtranslate.geometry import spacing
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.dicom_files import without_comment
from medtranslate.io.dicom_values import require_signal
from medtranslate.io.dicom_write import write_deidentified
from medtranslate.io.inventory import list_items
from medtranslate.phantom import study


@without_comment()
def change(folder: Path, **values: object) -> None:
    """Change all files of a folder; bytes are put in as they are, None takes out."""
    for path in sorted(folder.iterdir()):
        header = dcmread(path)
        for keyword, value in values.items():
            if value is None:
                delattr(header, keyword)
            elif isinstance(value, bytes) and keyword != "PixelData":
                tag = Tag(keyword)
                vr = "SS" if "Padding" in keyword else dictionary_VR(tag)
                header[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
            else:
                setattr(header, keyword, value)
        header.save_as(path)


def agree(folder: Path) -> Volume:
    """The volume, which `info` calls readable; or the refusal, whose sentence it says."""
    (item,) = list_items(folder)
    if item.refused:
        with pytest.raises(InputRefused) as refusal:
            read_volume(folder)
        assert item.refused == str(refusal.value)
        raise refusal.value
    volume = read_volume(folder)
    assert set(item.warnings) <= set(volume.meta.warnings)
    return volume


def declare(folder: Path, syntax: str) -> None:
    """Let the file meta name a syntax that the data set does not follow."""
    for path in sorted(folder.iterdir()):
        raw, header = path.read_bytes(), dcmread(path)
        start = 144 + int(header.file_meta.FileMetaInformationGroupLength)
        header.file_meta.TransferSyntaxUID = syntax
        header.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, enforce_file_format=True)
        other = dcmread(path)
        written = path.read_bytes()[: 144 + int(other.file_meta.FileMetaInformationGroupLength)]
        path.write_bytes(written + raw[start:])
        assert dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax


@pytest.mark.filterwarnings("ignore:Expected (im|ex)plicit VR")
@pytest.mark.parametrize("behind", [0, 16], ids=["pixels last", "an element behind the pixels"])
@pytest.mark.parametrize("extra", [0, 40], ids=["as long as the image", "longer pixels"])
@pytest.mark.parametrize("syntaxes", [(True, ExplicitVRLittleEndian), (False, ImplicitVRLittleEndian)])
def test_the_bytes_say_where_pixels_begin_whatever_is_declared(
    series: Path, tmp_path: Path, syntaxes: Any, extra: int, behind: int
) -> None:
    expected = read_volume(series)
    implicit, declared = syntaxes
    for path in series.iterdir():
        header = dcmread(path)
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        header.PixelData += bytes(extra)
        if behind:
            header.add_new(0xFFFCFFFC, "OB", bytes(behind))
        header.save_as(path, implicit_vr=implicit, enforce_file_format=True)
    declare(series, declared)
    volume = agree(series)
    assert np.array_equal(volume.values, expected.values)
    assert ("5 of 5 files hold more bytes than their image (up to 40)" in str(volume.meta)) == bool(extra)
    shutil.make_archive(str(tmp_path / "a"), "zip", series)
    assert np.array_equal(read_volume(tmp_path / "a.zip").values, expected.values)
    (tmp_path / "copy").mkdir()
    write_deidentified(volume, tmp_path / "copy")
    assert np.array_equal(read_volume(tmp_path / "copy").values, expected.values)


def test_pixels_that_are_compressed_but_declared_plain_are_refused(series: Path) -> None:
    for path in series.iterdir():
        header = dcmread(path)
        header.compress(RLELossless)
        header.save_as(path)
    declare(series, ExplicitVRLittleEndian)
    with pytest.raises(Unreadable, match="says Explicit VR Little Endian, but its pixels are compressed"):
        agree(series)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (bytes(94), "truncated, 94 of 96 bytes"),
        (bytes(2 * 96), r"192 bytes where 96 fit \(more frames, or more bits, than it says\?\)"),
        (None, "no pixel data"),
    ],
)
def test_info_refuses_pixels_of_another_length_as_reading_does(
    series: Path, edit: Callable[..., None], pixels: Any, said: str
) -> None:
    edit(series / "IM0003.dcm", PixelData=pixels)
    with pytest.raises(Unreadable, match=said):
        agree(series)


def test_info_refuses_a_file_that_was_cut_within_its_pixels(series: Path) -> None:
    path = series / "IM0002.dcm"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(Unreadable, match="truncated, 89 of 96 bytes"):
        agree(series)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_bits_beyond_those_stored_mean_nothing_in_any_plain_coding(series: Path, syntax: Any) -> None:
    expected = read_volume(series).values
    for path in series.iterdir():
        header = dcmread(path)
        header.BitsStored, header.HighBit = 12, 11
        header.PixelData = (np.frombuffer(header.PixelData, "<u2") & 0x0FFF | 0x5000).astype("<u2").tobytes()
        header["PixelData"].VR = "OW"
        if syntax == RLELossless:
            header.compress(syntax)
        header.file_meta.TransferSyntaxUID = syntax
        header.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, enforce_file_format=True)
    assert np.array_equal(agree(series).values, expected)


@pytest.mark.parametrize("high", [15, 10])
def test_a_high_bit_that_is_not_that_of_the_bits_stored_is_refused(series: Path, high: int) -> None:
    change(series, BitsStored=12, HighBit=high)
    with pytest.raises(Unreadable, match=f"HighBit is {high}, where BitsStored 12 wants 11"):
        agree(series)


def test_jpegs_say_their_bits_themselves(tmp_path: Path, make_volume: Callable[..., Volume]) -> None:
    series = tmp_path / "jpeg"
    write_volume(make_volume(shape=(64, 48, 2)), series)
    expected = read_volume(series).values
    for syntax in (JPEGLSLossless, JPEG2000Lossless):
        for path in series.iterdir():
            header = dcmread(path)
            if header.file_meta.TransferSyntaxUID.is_compressed:
                header.decompress()
            header.compress(syntax)
            header.HighBit = 14
            header.save_as(path)
        assert np.array_equal(agree(series).values, expected)
        change(series, HighBit=15)


def fill(folder: Path, outside: int, **header_values: Any) -> None:
    """Put pixels in the first two rows of each file, and say what padding is."""
    for path in folder.iterdir():
        header = dcmread(path)
        pixels = header.pixel_array.copy()
        pixels[:2] = np.array(outside, np.int64).astype(pixels.dtype)
        header.PixelData = pixels.tobytes()
        for keyword, value in header_values.items():
            if keyword.startswith("PixelPadding"):
                header.add_new(keyword, "SS" if value < 0 else "US", value)
            else:
                setattr(header, keyword, value)
        header.save_as(path)


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        (-3024, {"PixelPaddingValue": -3024}),
        (63536, {"PixelPaddingValue": 63536}),
        (-2000, {"PixelPaddingValue": 63536}),
        (-3000, {"PixelPaddingValue": -3024, "PixelPaddingRangeLimit": -2990}),
    ],
)
def test_padding_that_the_bits_stored_cannot_hold_becomes_air(series: Path, outside: int, said: Any) -> None:
    expected = read_volume(series).values
    expected[..., :2, :] = -1024
    fill(series, outside, BitsStored=12, HighBit=11, **said)
    volume = agree(series)
    assert np.array_equal(volume.values, expected)
    assert "padding (33.3% of the voxels) became air of -1024 HU" in volume.meta.warnings


@pytest.mark.parametrize(("padding", "background"), [(-32768, 7), (30000, 7), (0, 0)])
def test_padding_of_an_mr_becomes_its_background(
    tmp_path: Path, make_volume: Callable[..., Volume], padding: int, background: int
) -> None:
    volume = make_volume("mr")
    write_volume(volume.with_values((volume.values + 107).clip(7)), tmp_path / "mr")
    expected = read_volume(tmp_path / "mr").values
    expected[..., :2, :] = background = float(expected[..., 2:, :].min()) if background else 0.0
    change(tmp_path / "mr", PixelRepresentation=1, BitsStored=16, HighBit=15)
    fill(tmp_path / "mr", padding, PixelPaddingValue=padding)
    volume = agree(tmp_path / "mr")
    assert np.array_equal(volume.values, expected)
    said = f"padding (33.3% of the voxels) became {background:g}, the lowest value beside it"
    assert (said in volume.meta.warnings) == (padding != 0)


def test_an_mr_of_nothing_but_padding_is_zero(tmp_path: Path, make_volume: Callable[..., Volume]) -> None:
    write_volume(make_volume("mr"), tmp_path / "mr")
    for path in (tmp_path / "mr").iterdir():
        header = dcmread(path)
        header.add_new("PixelPaddingValue", "US", 0)
        header.add_new("PixelPaddingRangeLimit", "US", 65535)
        header.save_as(path)
    assert not read_volume(tmp_path / "mr").values.any()


@pytest.mark.parametrize(
    "values",
    [
        {"PixelPaddingValue": b""},
        {"PixelPaddingValue": b"", "PixelPaddingRangeLimit": b""},
        {"PixelPaddingValue": b"\x30\xf8", "PixelPaddingRangeLimit": b""},
        {"PixelPaddingRangeLimit": b"\x30\xf8"},
        {"ModalityLUTSequence": []},
        {"RescaleSlope": b"1\0", "RescaleIntercept": b"0\0\0\0"},
        {"RescaleSlope": b" 1.0", "RescaleType": b"HU\0\0"},
        {"PixelSpacing": b"1.5\\2.0\0"},
        {"PixelSpacing": b"1.5 \\ 2 "},
        {"SliceThickness": b"3\0"},
        {"SliceThickness": b""},
    ],
    ids=str,
)
def test_what_is_optional_may_be_empty_and_numbers_padded(series: Path, values: Any) -> None:
    expected = read_volume(series)
    change(series, **values)
    volume = agree(series)
    assert np.array_equal(volume.values, expected.values)
    assert np.allclose(volume.affine, expected.affine)


@pytest.mark.parametrize(
    ("values", "slope", "intercept"),
    [
        ({"RescaleSlope": b"", "RescaleIntercept": b""}, 1, 0),
        ({"RescaleSlope": b"2.5 "}, 2.5, 0),
        ({"RescaleSlope": b"2.5 ", "RescaleIntercept": b"  "}, 2.5, 0),
        ({"RescaleIntercept": b"-7"}, 1, -7),
    ],
    ids=str,
)
def test_an_mr_may_lack_a_part_of_its_scale(
    tmp_path: Path, make_volume: Callable[..., Volume], values: Any, slope: float, intercept: int
) -> None:
    write_volume(make_volume("mr"), tmp_path / "mr")
    expected = read_volume(tmp_path / "mr").values * slope + intercept
    change(tmp_path / "mr", **values)
    assert np.array_equal(agree(tmp_path / "mr").values, expected)


@pytest.mark.parametrize("values", [{"RescaleSlope": b""}, {"RescaleIntercept": b""}])
def test_a_ct_without_a_part_of_its_scale_is_refused(series: Path, values: Any) -> None:
    change(series, **values)
    with pytest.raises(InputRefused, match="is missing or is not 1 numbers"):
        agree(series)


CT_MAPS = {
    "RescaleType says Z_EFF": {"RescaleType": "Z_EFF"},
    "RescaleType says ED": {"RescaleType": "ED"},
    "RescaleType says EDW": {"RescaleType": "EDW"},
    "RescaleType says MGML": {"RescaleType": "MGML"},
    "RescaleType says HU_MOD": {"RescaleType": "HU_MOD"},
    "ImageType says EFF_ATOMIC_NUM": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"]},
    "ImageType says MAT_REMOVED": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MAT_REMOVED"]},
    "ImageType says MTT": {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MTT"]},
}
MR_MAPS = {
    "ImageType says P": {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
    "ImageType says PHASE MAP": {"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]},
    "ImageType says VELOCITY MAP": {"ImageType": ["ORIGINAL", "PRIMARY", "VELOCITY MAP", "P", "PCA"]},
    "ImageType says ADC": {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND"]},
    "ImageType says FA": {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "FA", "ND"]},
    "ImageType says RCBF": {"ImageType": ["DERIVED", "PRIMARY", "ASL", "RCBF"]},
    "ImageType says T2 STAR MAP": {"ImageType": ["DERIVED", "PRIMARY", "T2_STAR MAP"]},
    "ComplexImageComponent says IMAGINARY": {"ComplexImageComponent": "IMAGINARY"},
}


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize(
    ("modality", "said"), [*(("ct", said) for said in CT_MAPS), *(("mr", said) for said in MR_MAPS)]
)
def test_a_map_is_named_in_info_and_convertible_and_kept_from_networks(
    tmp_path: Path,
    make_volume: Callable[..., Volume],
    edit: Callable[..., None],
    modality: Any,
    said: Any,
    place: int,
) -> None:
    """Whichever of the slices says so; one ImageType among others would be another acquisition."""
    write_volume(make_volume(modality), tmp_path / "map")
    if modality == "ct":
        change(tmp_path / "map", RescaleType="HU")
    expected = read_volume(tmp_path / "map")
    files = sorted((tmp_path / "map").iterdir())
    for file in files if said.startswith("ImageType") else files[place : place + 1]:
        edit(file, **(CT_MAPS | MR_MAPS)[said])
    (item,) = list_items(tmp_path / "map")
    assert any(note.startswith(said) for note in item.warnings)
    volume = agree(tmp_path / "map")
    assert np.array_equal(volume.values, expected.values)
    (warning,) = volume.meta.warnings
    assert warning.startswith(said)
    with pytest.raises(InputRefused, match=rf"{tmp_path / 'map'}: {said}"):
        require_signal(volume.meta)


@pytest.mark.parametrize(
    ("modality", "kind"),
    [
        ("ct", ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]),
        ("ct", ["DERIVED", "PRIMARY", "AXIAL", "VMI"]),
        ("mr", ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]),
        ("mr", ["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"]),
        ("mr", ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND"]),
        ("mr", ["ORIGINAL", "PRIMARY"]),
    ],
)
def test_what_is_signal_is_no_map(
    tmp_path: Path, make_volume: Callable[..., Volume], modality: str, kind: Any
) -> None:
    write_volume(make_volume(modality), tmp_path / "a")
    change(tmp_path / "a", ImageType=kind)
    require_signal(agree(tmp_path / "a").meta)


def test_one_slice_of_another_unit_is_said(series: Path, edit: Callable[..., None]) -> None:
    change(series, RescaleType="HU")
    assert agree(series).meta.warnings == ()
    edit(series / "IM0004.dcm", RescaleType="US")
    (said,) = agree(series).meta.warnings
    assert said == "RescaleType is HU and US, not HU: CT numbers are not certain"


@pytest.mark.parametrize("group", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_a_frame_that_is_a_map_is_found_in_an_enhanced_image(
    unpack: Callable[[str], Path], tmp_path: Path, group: str
) -> None:
    (path,) = (unpack("awkward") / "enhanced" / "philips" / "001").rglob("*.dcm")
    header = dcmread(path)
    for item in (*header.SharedFunctionalGroupsSequence, *header.PerFrameFunctionalGroupsSequence):
        item.pop("MRImageFrameTypeSequence", None)
    kind = Dataset()
    kind.FrameType, kind.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "HEAD", "NONE"], "PHASE"
    header[group].value[-1].MRImageFrameTypeSequence = [kind]
    header.save_as(tmp_path / "enhanced.dcm")
    volume = read_volume(tmp_path / "enhanced.dcm")
    assert volume.meta.measures == "ComplexImageComponent says PHASE (phase), no MR signal"


@pytest.fixture
def phase(tmp_path: Path) -> Path:
    """An MR head whose last slice says that it is a phase."""
    head = study(910_002, size=32, spacing=7.0)
    write_volume(head.mr, tmp_path / "in" / "phase")
    path = sorted((tmp_path / "in" / "phase").iterdir())[-1]
    header = dcmread(path)
    header.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]
    header.save_as(path)
    return tmp_path / "in" / "phase"


def test_every_command_that_translates_refuses_a_map_and_convert_takes_it(
    phase: Any, tmp_path: Path, small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(small_model), "--quiet"]
    for command in (
        ["translate", str(phase), str(tmp_path / "ct"), "--to", "ct", "--force"],
        ["cycle", str(phase), "--out", str(tmp_path / "cycle"), "--from", "mr"],
    ):
        assert invoke([*command, *model]) == 3
        assert "ImageType says P (phase), no MR signal" in capsys.readouterr().err
    assert not (tmp_path / "ct").exists()
    assert not (tmp_path / "cycle").exists()
    settings = BatchSettings(source=phase.parent, out=tmp_path / "out", to="ct", model=str(small_model))
    settings.out.mkdir()
    (outcome,) = open_worker(settings, 0)(find_items(settings))
    assert "ImageType says P (phase), no MR signal" in str(outcome)
    assert not any(path.is_file() for path in (tmp_path / "out").rglob("*.dcm"))
    assert invoke(["convert", str(phase), str(tmp_path / "a.nii.gz"), "--quiet"]) == 0
    record = json.loads((tmp_path / "a.nii.gz.conversion.json").read_text())
    assert record["warnings"] == ["ImageType says P (phase), no MR signal"]


ROUNDED = {
    "in the plane": ([0.87, 0.5, 0, -0.5, 0.87, 0], [0, 0, 1]),
    "of one axis": ([1, 0, 0, 0, 0.77, 0.64], [0, -0.64, 0.77]),
}


@pytest.mark.parametrize("case", ROUNDED)
def test_direction_cosines_of_two_decimals_are_unit_vectors(series: Path, tmp_path: Path, case: str) -> None:
    cosines, normal = ROUNDED[case]
    for index, path in enumerate(sorted(series.iterdir())):
        header = dcmread(path)
        header.ImageOrientationPatient = cosines
        place = np.array(normal) / np.linalg.norm(normal) * 3 * index
        header.ImagePositionPatient = [f"{one:.5f}" for one in place]
        header.save_as(path)
    volume = agree(series)
    assert spacing(volume.affine) == pytest.approx((2, 1.5, 3), abs=1e-4)
    image = SimpleITK.ReadImage([str(path) for path in sorted(series.iterdir())])
    end = [length - 1 for length in volume.shape]
    ras = np.array(image.TransformIndexToPhysicalPoint(end)) * [-1, -1, 1]
    assert np.abs((volume.affine @ [*end, 1])[:3] - ras).max() < 0.05
    write_volume(volume, tmp_path / "a.nii.gz")


def test_direction_cosines_that_are_further_off_are_refused(series: Path) -> None:
    change(series, ImageOrientationPatient=[0.9, 0.5, 0, -0.5, 0.9, 0])
    with pytest.raises(InputRefused, match="is not two orthogonal unit vectors"):
        agree(series)


@pytest.mark.parametrize("unit", ["Houndsfield Unit", "HOUNSFIELD", "Hounsfield Units "])
def test_a_unit_that_is_spelt_out_is_hu(series: Path, unit: str) -> None:
    change(series, RescaleType=unit)
    assert agree(series).meta.warnings == ()
