"""A DICOM series of single-frame CT or MR images as one volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medtranslate.errors import SeriesRefused, Unreadable
from medtranslate.io.bounds import check_size
from medtranslate.io.dicom_series import (
    MODALITIES,
    PIXEL_TAGS,
    name_of,
    numbers_of,
    read_headers,
    refusing_damage,
    without_comment,
)
from medtranslate.io.scan import Scan

PADDING_HU = -1024.0
"""HU that CT padding (outside the scanner's circle) becomes: no more than air, and in any CT's range."""

_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian}


@without_comment()
def read(path: Path, series: str | None = None) -> Scan:
    """Read a folder of one series, at any depth, or one file as one slice.

    The array is [columns, rows, slices] with the slices along their normal (row direction cross column
    direction), whatever their file names and InstanceNumbers. Stored values are rescaled slice by slice:
    CT to HU, MR to whatever its scanner means. MONOCHROME1 says how to show a value, not what it is, so
    values are kept. CT voxels that the header calls padding become `PADDING_HU`.

    Args:
        path: folder or file.
        series: SeriesInstanceUID, or the end of one.

    Raises:
        SeriesRefused: not one clean series.
        GeometryRefused: not one regular grid.
        Unreadable: damaged, truncated, too large, or compressed in a way that no decoder is there for.
    """
    headers, stack = read_headers(path, series)
    first = headers[0]
    modality = MODALITIES[first.Modality]
    shape = (len(headers), int(first.Rows), int(first.Columns))
    check_size(shape, str(path))
    values = np.empty(shape, np.float32)
    for header, plane in zip(headers, values, strict=True):
        with refusing_damage(name_of(header)):
            slope, intercept = _rescale(header)
            stored = _stored(header)
            np.multiply(stored, slope, out=plane, casting="unsafe")
            plane += intercept
            if modality == "ct" and "PixelPaddingValue" in header:
                plane[_padding(stored, header)] = PADDING_HU
    notes = _notes(headers)
    meta = {"modality": modality, "series": str(first.SeriesInstanceUID), "warnings": notes}
    return Scan(values.T, stack.affine, meta)


def _rescale(header: FileDataset) -> tuple[np.float32, np.float32]:
    """Slope and intercept (PS3.3 C.11.1.1.2); an MR may lack them, a CT without them is not in HU."""
    if header.Modality == "MR" and "RescaleSlope" not in header and "RescaleIntercept" not in header:
        return np.float32(1), np.float32(0)
    ((slope,), (intercept,)) = (numbers_of(header, key, 1) for key in ("RescaleSlope", "RescaleIntercept"))
    if slope == 0:
        raise SeriesRefused(f"{name_of(header)}: RescaleSlope is 0, all values are lost; export it again")
    return np.float32(slope), np.float32(intercept)


def _stored(header: FileDataset) -> NDArray[np.integer]:
    """Stored pixel values [rows, columns]; compressed ones through pydicom's decoders."""
    name, syntax = name_of(header), UID(header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))
    rows, columns, bits = int(header.Rows), int(header.Columns), int(header.get("BitsAllocated", 0))
    if bits not in (8, 16, 32):
        raise Unreadable(f"{name}: {bits} bits per pixel: not supported; export it with 16")
    if syntax not in _NATIVE and not _decodable(syntax):
        raise Unreadable(
            f"{name}: compressed as {syntax.name}, and no decoder is there; export it uncompressed"
        )
    size = rows * columns * bits // 8
    image = dcmread(name, specific_tags=["PixelData", *PIXEL_TAGS])
    raw = image.get_item("PixelData").value
    # No compression makes noise twice as long; what is longer would unpack far beyond the image.
    if len(raw) > 2 * size + 2**16:
        raise Unreadable(f"{name}: {len(raw)} bytes where {size} fit; copy or export it again")
    if syntax not in _NATIVE:
        decoded: NDArray[np.integer] = image.pixel_array
        return decoded
    if len(raw) < size:
        raise Unreadable(f"{name}: truncated, {len(raw)} of {size} bytes of pixels; copy or export it again")
    kind = "i" if header.get("PixelRepresentation") == 1 else "u"
    stored = np.frombuffer(raw, np.dtype(f"<{kind}{bits // 8}"), rows * columns).reshape(rows, columns)
    unused = bits - int(header.get("BitsStored", bits))
    # Bits above BitsStored mean nothing (PS3.5 8.1.1); shifting there and back drops or sign-extends them.
    return (stored << unused) >> unused if unused > 0 else stored


def _decodable(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _padding(stored: NDArray[np.integer], header: FileDataset) -> NDArray[np.bool_]:
    """Where pixels are padding: one value, or the range up to PixelPaddingRangeLimit (PS3.3 C.7.5.1.1.2)."""
    limits = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    given = [int(header[keyword].value) for keyword in limits if keyword in header]
    # Some scanners give a negative padding value as if it had no sign.
    bounds = np.array(given, np.int64).astype(stored.dtype)
    padding: NDArray[np.bool_] = (stored >= bounds.min()) & (stored <= bounds.max())
    return padding


def _notes(headers: Sequence[FileDataset]) -> list[str]:
    first, notes = headers[0], []
    if first.PhotometricInterpretation == "MONOCHROME1" and first.Modality == "MR":
        notes.append("MONOCHROME1 (meant to be shown inverted): values kept as stored")
    if first.Modality == "CT" and first.get("RescaleType", "HU") != "HU":
        notes.append(f"RescaleType is {first.RescaleType}, not HU: not for dose")
    if len(headers) == 1:
        notes.append("one slice: its distance to a next one is nominal")
    return notes
