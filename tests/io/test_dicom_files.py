from __future__ import annotations

import gc
import io
import shutil
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import EnhancedMRImageStorage, RLELossless

from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused, Unreadable
from medtranslate.io import read_volume
from medtranslate.io.dicom_files import without_comment
from medtranslate.io.dicom_pixels import MAX_RLE_BYTES

PYDICOM_FILES = Path(pydicom.data.__file__).parent / "test_files"


@pytest.fixture
def zipped(series: Path, tmp_path: Path) -> Path:
    """A .zip of the series in folders, with what lies about in such archives."""
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in series.iterdir():
            archive.write(file, f"a/b/{file.name}")
        archive.writestr("__MACOSX/._IM0001.dcm", b"x")
        archive.writestr("../../outside.txt", b"not written anywhere")
        archive.write(PYDICOM_FILES / "dicomdirtests" / "DICOMDIR", "a/DICOMDIR")
    return path


def test_validation_stays_off_until_the_last_thread_is_done_and_comes_back() -> None:
    before, filters = config.settings.reading_validation_mode, list(warnings.filters)
    first, second = without_comment(), without_comment()
    with ThreadPoolExecutor(1) as thread:
        first.__enter__()
        off = config.settings.reading_validation_mode
        thread.submit(second.__enter__).result()
        first.__exit__(None, None, None)
        assert config.settings.reading_validation_mode == off != before
        thread.submit(second.__exit__, None, None, None).result()
    assert (config.settings.reading_validation_mode, list(warnings.filters)) == (before, filters)


def test_an_archive_is_read_as_its_folder_and_leaves_nothing_behind(
    series: Path, zipped: Any, tmp_path: Path
) -> None:
    before = sorted(tmp_path.parent.rglob("*"))
    assert np.array_equal(read_volume(zipped).values, read_volume(series).values)
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_what_is_wrong_in_an_archive_is_named_with_its_member(zipped: Any) -> None:
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr("c/IM0009.dcm", b"x" * 200)
    with pytest.raises(Unreadable, match=r"study.zip/c/IM0009.dcm: no DICOM"):
        read_volume(zipped)
    zipped.write_bytes(zipped.read_bytes()[:-100])
    with pytest.raises(Unreadable, match=r"study.zip: damaged DICOM \(BadZipFile\)"):
        read_volume(zipped)


def test_an_archive_that_says_it_holds_too_much_is_refused_before_it_is_inflated(
    zipped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medtranslate.io.dicom_files.MAX_BYTES", 2000)
    with pytest.raises(Unreadable, match=r"holds \d files of .* more than the bounds"):
        read_volume(zipped)


def test_files_without_suffix_or_preamble_are_read(series: Path, tmp_path: Path) -> None:
    expected = read_volume(series)
    for index, path in enumerate(series.iterdir()):
        header = dcmread(path)
        content = path.read_bytes()[132:]
        if index % 2:
            # An old writer's file: the data set alone, in implicit or explicit little endian.
            buffer = io.BytesIO()
            Dataset(header).save_as(buffer, implicit_vr=index == 1, little_endian=True)
            content = buffer.getvalue()
        (series / f"slice{index}").write_bytes(content)
        path.unlink()
    assert np.array_equal(read_volume(series).values, expected.values)


def deflate(path: Path, **changes: object) -> None:
    """Rewrite a file deflated, its data set as `changes` say."""
    header = dcmread(path)
    for keyword, value in changes.items():
        setattr(header, keyword, value)
    header.save_as(path)
    content = path.read_bytes()
    end = 132 + 12 + header.file_meta.FileMetaInformationGroupLength
    plain, deflated = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    meta = content[:end].replace(len(plain).to_bytes(2, "little") + plain, b"\x16\0" + deflated)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path.write_bytes(meta + packer.compress(content[end:]) + packer.flush())


def test_a_deflated_series_is_the_plain_one(series: Path) -> None:
    expected = read_volume(series)
    for path in series.iterdir():
        deflate(path)
    assert np.array_equal(read_volume(series).values, expected.values)


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails if Python comes to hold 64 MiB more."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def bomb(series: Path, size: int = 2**28) -> Path:
    """A deflated file whose pixels are more than its header says."""
    path = series / "IM0003.dcm"
    deflate(path, PixelData=bytes(size))
    assert path.stat().st_size < size / 900
    return path


def test_a_deflated_bomb_is_refused(series: Path) -> None:
    path = bomb(series)
    with little_memory(), pytest.raises(Unreadable, match=rf"{path.name}: \d+ bytes where 96 fit"):
        read_volume(series)


def test_a_deflated_image_that_admits_to_be_huge_is_refused_from_its_header(series: Path) -> None:
    for path in series.iterdir():
        deflate(path, Rows=32768, Columns=32768)
    with (
        little_memory(),
        pytest.raises(Unreadable, match=r"32768 x 32768 voxels take .* more than the bound"),
    ):
        read_volume(series)


def test_an_rle_bomb_is_refused_before_it_is_decoded(series: Path) -> None:
    path = series / "IM0001.dcm"
    header = dcmread(path)
    header.compress(RLELossless)
    header.Rows, header.Columns = 4096, 1024
    header.PixelData = encapsulate([bytes(MAX_RLE_BYTES + 2)])
    header.save_as(path)
    with little_memory(), pytest.raises(Unreadable, match=r"RLE, which may unpack to 0.5 GiB"):
        read_volume(path)


def enhanced(series: Path, path: Path, frames: int = 5, described: int = 5) -> Path:
    """The slices of a series as frames of one enhanced image, in an order of their own."""
    headers = [dcmread(file) for file in sorted(series.iterdir())]
    order = [3, 0, 4, 2, 1]
    image = headers[0]
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    image.NumberOfFrames = frames
    image.PixelData = b"".join(headers[index].PixelData for index in order)
    shared, groups = Dataset(), []
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [Dataset()], [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = image.ImageOrientationPatient
    shared.PixelMeasuresSequence[0].PixelSpacing = image.PixelSpacing
    for index in order[:described]:
        place, scale, own = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = headers[index].ImagePositionPatient
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = index + 1, -3, "US"
        own.PlanePositionSequence, own.PixelValueTransformationSequence = [place], [scale]
        groups.append(own)
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [shared], groups
    for keyword in ("ImageOrientationPatient", "PixelSpacing", "ImagePositionPatient"):
        delattr(image, keyword)
    image.save_as(path)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_frames_of_an_enhanced_image_are_placed_and_scaled_each_by_its_own_numbers(
    series: Path, tmp_path: Path, packed: bool
) -> None:
    expected = read_volume(series)
    path = enhanced(series, tmp_path / "enhanced.dcm")
    if packed:
        header = dcmread(path)
        header.compress(RLELossless)
        header.save_as(path)
    volume = read_volume(path)
    assert np.array_equal(volume.values, expected.values * np.arange(1, 6) - 3)
    assert np.allclose(volume.affine, expected.affine)


def test_an_enhanced_image_with_frames_that_it_does_not_describe_is_refused(
    series: Path, tmp_path: Path
) -> None:
    with pytest.raises(SeriesRefused, match="5 frames, of which 4 are described"):
        read_volume(enhanced(series, tmp_path / "enhanced.dcm", described=4))
    with pytest.raises(Unreadable, match="more than the bound"):
        read_volume(enhanced(series, tmp_path / "enhanced.dcm", frames=2**31 - 1))


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_refused_or_read_in_their_place(series: Path, tmp_path: Path) -> None:
    """Truncations and flipped bits; whatever is still read lies where its own header says."""
    path = enhanced(series, tmp_path / "enhanced.dcm")
    originals = [path.read_bytes(), (series / "IM0001.dcm").read_bytes()]
    deflate(series / "IM0002.dcm")
    originals.append((series / "IM0002.dcm").read_bytes())
    header = dcmread(series / "IM0003.dcm")
    header.compress(RLELossless)
    header.save_as(series / "IM0003.dcm")
    originals.append((series / "IM0003.dcm").read_bytes())
    shutil.rmtree(series)
    damaged, random, read, refused = tmp_path / "damaged", np.random.default_rng(0), 0, set()
    for turn in range(10_000):
        content = bytearray(originals[turn % len(originals)])
        if turn % 5 == 0:
            content = content[: random.integers(len(content))]
        for place in random.integers(128, max(129, len(content)), random.integers(1, 4)):
            if place < len(content):
                content[place] ^= 1 << random.integers(8)
        damaged.write_bytes(content)
        try:
            volume = read_volume(damaged)
        except InputRefused as refusal:
            refused.add(type(refusal))
            continue
        read += 1
        assert np.isfinite(volume.values).all()
        assert abs(np.linalg.det(volume.affine[:3, :3])) > 0
    assert read > 1000
    assert refused == {Unreadable, SeriesRefused, GeometryRefused}
