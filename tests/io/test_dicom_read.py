from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel as nib
import numpy as np
import pydicom.data
import pytest
import SimpleITK
from nibabel.orientations import io_orientation, ornt_transform
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RawDataStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused, Unreadable
from medtranslate.geometry import swap_lps_ras
from medtranslate.io import Volume, detect_format, read_volume, write_volume

PYDICOM_FILES = Path(pydicom.data.__file__).parent / "test_files"


def as_itk_sees_it(files: list[Path]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Values [X, Y, Z] and RAS affine of an image series read by SimpleITK."""
    image = SimpleITK.ReadImage([str(file) for file in files])
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).T, swap_lps_ras(affine)


def corners(shape: tuple[int, ...]) -> NDArray[np.float64]:
    ends = np.meshgrid(*[(0, length - 1) for length in shape])
    return np.vstack([np.reshape(ends, (3, -1)), np.ones(8)])


def assert_same(volume: Volume, oracle: Any) -> None:
    """Equal intensities (but for float32 rounding) and places within 0.01 mm, whatever the oracle's axes."""
    turn = ornt_transform(io_orientation(oracle.affine), io_orientation(volume.affine))
    oracle = nib.squeeze_image(oracle).as_reoriented(turn)
    assert np.allclose(oracle.get_fdata(), volume.values, rtol=1e-6, atol=0)
    assert np.abs((oracle.affine - volume.affine) @ corners(oracle.shape)).max() < 0.01


@pytest.mark.parametrize(("name", "modality"), [("mr-t1-sagittal-siemens", "mr"), ("ct-skull-philips", "ct")])
def test_a_regular_series_agrees_with_dcm2niix(
    unpack: Callable[[str], Path], tmp_path: Path, name: str, modality: str
) -> None:
    folder = unpack(name)
    dcm2niix.main(
        ["-z", "n", "-b", "n", "-o", str(tmp_path), "-f", "oracle", str(folder)], capture_output=True
    )
    volume = read_volume(folder)
    assert (volume.meta.modality, volume.meta.format, volume.meta.warnings) == (modality, "dicom", ())
    assert volume.meta.slices is None
    assert_same(volume, nib.load(tmp_path / "oracle.nii"))


def test_a_ct_agrees_with_simpleitk_whatever_the_order_of_files_and_numbers(
    unpack: Callable[[str], Path], tmp_path: Path, edit: Callable[..., None]
) -> None:
    sources = [path for path in unpack("ct-skull-philips").iterdir() if detect_or_none(path) == "dicom"]
    sources.sort(key=lambda path: float(dcmread(path, specific_tags=["ImagePositionPatient"])[0x00200032][2]))
    values, affine = as_itk_sees_it(sources)
    for index, number in enumerate(np.random.default_rng(0).permutation(len(sources))):
        (tmp_path / str(number % 3)).mkdir(exist_ok=True)
        target = shutil.copy(sources[index], tmp_path / str(number % 3) / f"{number}.dcm")
        edit(target, InstanceNumber=int(number) if number % 2 else None)
    volume = read_volume(tmp_path, modality="ct")
    assert np.array_equal(volume.values, values)
    assert np.abs((volume.affine - affine) @ corners(values.shape)).max() < 1e-3


def detect_or_none(path: Path) -> str | None:
    try:
        return detect_format(path)
    except Unreadable:
        return None


@pytest.mark.parametrize(
    "kind",
    [
        *("generic/anatomical/001", "generic/anatomical/001_implicit"),
        *("generic/anatomical/002_non_isotropic", "generic/compressed_rle/001"),
        *("generic/compressed/001", "generic/compressed_j2k/001"),
        *("generic/compressed_jpeg/001", "generic/compressed_jpegls/001"),
        *("enhanced/philips/001", "enhanced/philips/001_implicit", "enhanced/siemens/anatomical/001"),
    ],
)
def test_encodings_are_read_as_their_published_truth_says(unpack: Callable[[str], Path], kind: Any) -> None:
    folder = unpack("awkward") / kind
    assert_same(read_volume(folder), nib.load(folder.with_name(f"{folder.name}_ground_truth.nii.gz")))


@pytest.mark.parametrize(
    ("folder", "kind", "said"),
    [
        ("generic/rgb/001", SeriesRefused, "colour image"),
        ("failing/notavolume/001", GeometryRefused, "at the same position"),
        ("failing/sliceincrement/001", GeometryRefused, "1 of 5 slices missing"),
        ("failing/sliceorientation/001", SeriesRefused, "differ in PixelSpacing"),
        ("failing/sliceincrement/002", GeometryRefused, "1 of 5 slices missing: 1.50 mm"),
        ("generic/anatomical", SeriesRefused, "holds 3 series: ...[0-9.]{12} .MR, 4 images.; "),
    ],
)
def test_real_series_that_are_no_regular_volume_are_refused(
    unpack: Callable[[str], Path], folder: str, kind: Any, said: str
) -> None:
    with pytest.raises(kind, match=said):
        read_volume(unpack("awkward") / folder)


def test_tilted_and_uneven_slices_lie_where_their_own_headers_say(unpack: Callable[[str], Path]) -> None:
    volume = read_volume(unpack("ct-head-ge-tilt"), modality="ct")
    headers = sorted(
        (dcmread(path) for path in unpack("ct-head-ge-tilt").glob("*.dcm")),
        key=lambda header: header.ImagePositionPatient[2],
    )
    slices = volume.meta.slices
    assert str(slices) == "tilted by 18.5 degrees, gaps of 1.08 to 7.00 mm"
    assert len(headers) == volume.shape[2] == 28
    for index, header in enumerate(headers):
        hu = header.pixel_array.T * float(header.RescaleSlope) + float(header.RescaleIntercept)
        padding = header.PixelPaddingValue == header.pixel_array.T
        assert padding.any()
        assert np.array_equal(volume.values[:, :, index], np.where(padding, -1024, hu))
        assert np.allclose(slices.positions[index] * [-1, -1, 1], header.ImagePositionPatient, atol=1e-9)
        given = np.reshape(header.ImageOrientationPatient, (2, 3))
        assert np.allclose(slices.orientations[index] * [-1, -1, 1], given, atol=1e-9)
    assert volume.meta.warnings == (
        "no regular grid (tilted by 18.5 degrees, gaps of 1.08 to 7.00 mm): each slice keeps its own place",
        "padding (23.7% of the voxels) became air of -1024 HU",
    )


def test_what_needs_a_regular_grid_refuses_tilted_slices_and_names_regrid(
    unpack: Callable[[str], Path], tmp_path: Path
) -> None:
    volume = read_volume(unpack("awkward") / "failing" / "gantrytilting" / "001")
    assert str(volume.meta.slices) == "tilted by 14.0 degrees, gaps of 4.85 mm"
    with pytest.raises(GeometryRefused, match=r"no regular grid \(tilted by 14.0 degrees.*--regrid"):
        write_volume(volume, tmp_path / "x.nii.gz")
    assert list(tmp_path.iterdir()) == []
    write_volume(
        read_volume(unpack("awkward") / "failing" / "gantrytilting" / "001", regular=True),
        tmp_path / "x.nii.gz",
    )


# Each of these makes one change to the middle slice of a good series.
BAD_SLICES = {
    "moved onto its neighbour": ({"ImagePositionPatient": [-10, -20, -30]}, "same position"),
    "another orientation": ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "ImageOrientationPatient"),
    "another spacing": ({"PixelSpacing": [1.5, 2.1]}, r"PixelSpacing \(\[1.5, 2.1\], \[1.5, 2.0\]\)"),
    "another frame of reference": ({"FrameOfReferenceUID": "1.2.3"}, "FrameOfReferenceUID"),
    "another patient": ({"PatientID": "CANARY"}, "PatientID"),
    "another study": ({"StudyInstanceUID": "1.2.3"}, "StudyInstanceUID"),
    "another size": ({"Rows": 5, "PixelData": bytes(80)}, r"Rows \(5, 6\)"),
    "another series": ({"SeriesInstanceUID": "1.2.3.4"}, r"holds 2 series: .*CT, 4 images.*CT, 1 images"),
    "another modality": ({"Modality": "PT"}, "Modality is PT"),
    "no position": ({"ImagePositionPatient": None}, "ImagePositionPatient is missing"),
    "no orientation": ({"ImageOrientationPatient": None}, "ImageOrientationPatient is missing"),
    "no spacing": ({"PixelSpacing": None}, "PixelSpacing is missing"),
    "a spacing of zero": ({"PixelSpacing": [0, 1]}, "PixelSpacing"),
    "no instance UID": ({"SeriesInstanceUID": ""}, "holds 2 series|lacks SeriesInstanceUID"),
    "a localizer": ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
    "a mosaic": ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaic"),
    "another mosaic": ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "VFRAME"]}, "mosaic"),
    "a screen capture": (
        {"SOPClassUID": SecondaryCaptureImageStorage, "PixelSpacing": None},
        "screen capture",
    ),
    "colour": ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colour image"),
    "no interpretation": ({"PhotometricInterpretation": None}, "lacks PhotometricInterpretation"),
    "several frames": ({"NumberOfFrames": 2}, r"2 frames without a position each"),
    "a modality LUT": ({"ModalityLUTSequence": Sequence([Dataset()])}, "non-linear modality LUT"),
    "a slope of zero": ({"RescaleSlope": 0}, "RescaleSlope is 0"),
    "no slope": ({"RescaleSlope": None}, "RescaleSlope is missing"),
    "a slope that is none": ({"RescaleSlope": "1\\2"}, "RescaleSlope"),
    "truncated pixels": ({"PixelData": bytes(50)}, r"truncated, 50 of 96 bytes"),
    "no pixels": ({"PixelData": None}, "damaged DICOM"),
    "odd bits": ({"BitsAllocated": 12}, "12 bits"),
}


@pytest.mark.parametrize("case", BAD_SLICES)
def test_one_bad_slice_makes_the_series_refused_and_names_the_file(
    series: Path, edit: Callable[..., None], case: str
) -> None:
    change, said = BAD_SLICES[case]
    bad = series / "IM0003.dcm"
    if case == "moved onto its neighbour":
        change = {"ImagePositionPatient": dcmread(series / "IM0002.dcm").ImagePositionPatient}
    edit(bad, **change)
    with pytest.raises(InputRefused, match=said) as refusal:
        read_volume(series)
    message = str(refusal.value)
    assert "\n" not in message
    assert "CANARY" not in message
    assert "IM0003.dcm" in message or "series" in case or "UID" in case


def test_a_missing_slice_is_refused(series: Path) -> None:
    (series / "IM0002.dcm").unlink()
    with pytest.raises(GeometryRefused, match=r"1 of 5 slices missing: 6.00 mm between .*IM0001.*IM0003"):
        read_volume(series)


@pytest.mark.parametrize("length", [0, 100, 300, 600, 1000])
def test_a_cut_file_is_refused_and_not_passed_over(series: Path, length: int) -> None:
    cut = series / "IM0005.dcm"
    cut.write_bytes(cut.read_bytes()[:length])
    with pytest.raises(InputRefused, match=r"IM0005.dcm"):
        read_volume(series)


def test_one_of_several_series_is_chosen_by_the_end_of_its_uid(
    series: Path, tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    write_volume(make_volume("mr"), series / "deeper")
    uid = read_volume(series / "deeper").meta.series
    assert read_volume(series, series=uid[-12:]).meta.modality == "mr"
    with pytest.raises(SeriesRefused, match=r"0 series ending in 99\.99"):
        read_volume(series, series="99.99")


def test_what_is_no_image_is_passed_over(series: Path) -> None:
    expected = read_volume(series)
    shutil.copy(PYDICOM_FILES / "rtplan.dcm", series)
    shutil.copy(PYDICOM_FILES / "reportsi.dcm", series)
    (series / "notes.txt").write_text("hello")
    (series / ".IM0001.dcm").write_bytes(b"half a copy")
    assert np.array_equal(read_volume(series).values, expected.values)


def test_raw_data_beside_the_images_of_a_series_is_no_image(series: Path) -> None:
    """A Philips scanner exports it with Rows, Columns and the UID of the series, and without pixels."""
    expected = read_volume(series)
    raw = dcmread(series / "IM0001.dcm")
    raw.SOPClassUID = raw.file_meta.MediaStorageSOPClassUID = RawDataStorage
    del raw.PixelData, raw.PhotometricInterpretation
    raw.save_as(series / "raw.dcm")
    assert np.array_equal(read_volume(series).values, expected.values)


def test_numbers_longer_than_the_standard_allows_are_read(series: Path) -> None:
    expected = read_volume(series)
    for path in series.iterdir():
        content = path.read_bytes()
        short = b"\\".join([b"1", b"0", b"0", b"0", b"1", b"0"])
        start = content.index(b" \x00\x37\x00DS")
        length = int.from_bytes(content[start + 6 : start + 8], "little")
        long = b"1.0000000000000000000000\\0.00000000000000000000001\\0\\0\\1\\0 "
        assert content[start + 8 : start + 8 + length].startswith(short[:1])
        element = content[start : start + 6] + len(long).to_bytes(2, "little") + long
        path.write_bytes(content[:start] + element + content[start + 8 + length :])
    volume = read_volume(series)
    assert np.array_equal(volume.values, expected.values)
    assert np.allclose(volume.affine, expected.affine)


def test_each_slice_is_rescaled_by_its_own_numbers(series: Path, edit: Callable[..., None]) -> None:
    expected = read_volume(series).values
    edit(series / "IM0004.dcm", RescaleSlope="0.5", RescaleIntercept="-7")
    volume = read_volume(series)
    assert np.array_equal(volume.values[..., 3], expected[..., 3] * 0.5 - 7)
    assert np.array_equal(volume.values[..., [0, 1, 2, 4]], expected[..., [0, 1, 2, 4]])


def test_stored_values_may_be_padding_a_range_or_use_fewer_bits(
    series: Path, edit: Callable[..., None]
) -> None:
    expected = read_volume(series).values
    for path in series.iterdir():
        header = dcmread(path)
        header.add_new("PixelPaddingValue", "US", 2**16 - 100)
        header.add_new("PixelPaddingRangeLimit", "SS", -50)
        header.save_as(path)
    volume = read_volume(series)
    assert np.array_equal(volume.values, np.where(expected <= -50, -1024, expected))
    for path in series.iterdir():
        edit(path, PixelPaddingValue=None, PixelPaddingRangeLimit=None, BitsStored=8, HighBit=7)
    assert np.array_equal(read_volume(series).values, ((expected + 128) % 256) - 128)


def test_how_values_are_shown_does_not_change_them(
    tmp_path: Path, make_volume: Callable[..., Volume], edit: Callable[..., None]
) -> None:
    write_volume(make_volume("mr"), tmp_path / "mr")
    expected = read_volume(tmp_path / "mr")
    for path in (tmp_path / "mr").iterdir():
        edit(path, PhotometricInterpretation="MONOCHROME1")
    volume = read_volume(tmp_path / "mr")
    assert np.array_equal(volume.values, expected.values)
    assert "MONOCHROME1" in volume.meta.warnings[0]


@pytest.fixture
def compressed(tmp_path: Path, make_volume: Callable[..., Volume]) -> Callable[[str], Path]:
    """A series in a syntax: compressed(RLELossless)."""
    write_volume(make_volume(shape=(64, 48, 3)), tmp_path / "compressed")

    def make(syntax: str) -> Path:
        for path in (tmp_path / "compressed").iterdir():
            header = dcmread(path)
            header.compress(syntax)
            header.save_as(path)
        return tmp_path / "compressed"

    return make


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_a_compressed_series_is_the_plain_one(tmp_path: Path, compressed: Any, syntax: Any) -> None:
    expected = read_volume(tmp_path / "compressed")
    assert np.array_equal(read_volume(compressed(syntax)).values, expected.values)


def test_positions_that_jitter_by_micrometres_are_a_regular_grid(
    series: Path, edit: Callable[..., None]
) -> None:
    expected = read_volume(series)
    jitter = np.random.default_rng(0).uniform(-0.002, 0.002, (5, 3)).round(4)
    for path, shift in zip(sorted(series.iterdir()), jitter, strict=True):
        edit(path, ImagePositionPatient=[float(x) for x in shift + dcmread(path).ImagePositionPatient])
    volume = read_volume(series)
    assert volume.meta.slices is None
    assert np.abs((volume.affine - expected.affine) @ corners(volume.shape)).max() < 0.01


SIZES = {
    # Bytes of a frame of 48 rows and 64 columns that say so, and bytes that say 65535 of each.
    JPEGLSLossless: (b"\x00\x30\x00\x40\x01", b"\xff\xff\xff\xff\x01"),  # T.87 C.2.2
    JPEG2000Lossless: (b"\0\0\0\x40\0\0\0\x30", b"\0\0\xff\xff\0\0\xff\xff"),  # T.800 A.5.1
}


@pytest.mark.parametrize("syntax", SIZES, ids=lambda uid: uid.name)
def test_a_compressed_frame_of_another_size_is_refused_before_it_is_decoded(
    compressed: Any, syntax: Any
) -> None:
    path = compressed(syntax) / "IM0002.dcm"
    content = path.read_bytes()
    assert SIZES[syntax][0] in content
    path.write_bytes(content.replace(*SIZES[syntax], 1))
    with pytest.raises(Unreadable, match=r"IM0002.dcm: its compressed frame says 65535 x 65535 pixels"):
        read_volume(path.parent)


def test_a_frame_that_unpacks_far_beyond_its_image_is_refused(series: Path) -> None:
    path = series / "IM0003.dcm"
    header = dcmread(path)
    header.compress(RLELossless)
    header.PixelData = pydicom.encaps.encapsulate([bytes(2**17)])
    header.save_as(path)
    with pytest.raises(Unreadable, match=r"IM0003.dcm: 131\d\d\d bytes where 96 fit"):
        read_volume(series)


def test_more_voxels_than_the_bound_are_refused_from_the_headers(
    series: Path, edit: Callable[..., None]
) -> None:
    for path in series.iterdir():
        edit(path, Rows=30000, Columns=30000)
    with pytest.raises(Unreadable, match="more than the bound"):
        read_volume(series)


@pytest.mark.parametrize("path", sorted(PYDICOM_FILES.rglob("*.dcm")), ids=lambda path: path.name)
def test_pydicom_s_collection_of_awkward_files_is_read_or_refused(path: Any) -> None:
    try:
        volume = read_volume(path)
    except InputRefused:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = dcmread(path)
        stored = header.pixel_array.T.astype(np.float64)
    expected = stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    if header.Modality == "CT" and "PixelPaddingValue" in header:
        expected[stored == header.PixelPaddingValue] = -1024
    assert np.allclose(volume.values[:, :, 0], expected, atol=1e-3)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    shutil.copy(PYDICOM_FILES / "rtplan.dcm", tmp_path)
    with pytest.raises(SeriesRefused, match="no DICOM image found"):
        read_volume(tmp_path)


def test_meta_holds_no_identity(series: Path, edit: Callable[..., None]) -> None:
    for path in series.iterdir():
        edit(path, PatientName="CANARY^NAME", PatientID="CANARY", SeriesDescription="CANARY")
    uid = generate_uid()
    for path in series.iterdir():
        edit(path, StudyInstanceUID=uid)
    volume = read_volume(series)
    assert "CANARY" not in repr(volume.meta)
    assert uid not in repr(volume.meta)


@pytest.mark.parametrize(("bits", "signed", "vr"), [(8, 0, "OB"), (8, 0, "OW"), (16, 0, "OW"), (16, 1, "OW")])
def test_big_endian_is_read_as_pydicom_reads_it(
    tmp_path: Path, make_volume: Callable[..., Volume], bits: int, signed: int, vr: str
) -> None:
    """An odd number of bytes a slice, too: words of OW are swapped, bytes of OB are not (PS3.5 A.3)."""
    write_volume(make_volume(shape=(7, 5, 3)), tmp_path / "big")
    values = np.random.default_rng(0).integers(-100 if signed else 0, 120, (3, 5, 7))
    for path, plane in zip(sorted((tmp_path / "big").iterdir()), values, strict=True):
        header = dcmread(path)
        header.BitsAllocated, header.BitsStored, header.HighBit = bits, bits, bits - 1
        header.PixelRepresentation, header.RescaleIntercept, header.RescaleSlope = signed, 0, 1
        raw = plane.astype(f">{'i' if signed else 'u'}{bits // 8}").tobytes()
        raw += b"\0" * (len(raw) % 2)
        if (bits, vr) == (8, "OW"):
            raw = np.frombuffer(raw, ">u2").astype("<u2").tobytes()
        header.add_new("PixelData", vr, raw)
        header.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        dcmwrite(path, header, implicit_vr=False, little_endian=False)
        assert np.array_equal(dcmread(path).pixel_array, plane)
    volume = read_volume(tmp_path / "big")
    oracle = {
        float(header.ImagePositionPatient[2]): header.pixel_array
        for header in map(dcmread, (tmp_path / "big").iterdir())
    }
    assert np.array_equal(volume.values.T, np.stack([oracle[place] for place in sorted(oracle)]))
    shutil.make_archive(str(tmp_path / "big"), "zip", tmp_path / "big")
    assert np.array_equal(read_volume(tmp_path / "big.zip").values, volume.values)
    path = next((tmp_path / "big").iterdir())
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(Unreadable, match="truncated"):
        read_volume(tmp_path / "big")
