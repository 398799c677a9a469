"""Stored pixel values of DICOM planes, decoded within what their headers announce.

No decoder bounds what a damaged or hostile frame unpacks to, so that is looked up in the compressed frame
before one is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medtranslate.errors import Unreadable
from medtranslate.io.dicom_files import (
    file_of,
    pixel_element,
    read_dicom,
    read_plain_pixels,
    refusing_damage,
)
from medtranslate.io.dicom_series import PIXEL_TAGS, name_of

MAX_RLE_BYTES = 2**23
"""Largest frame that is decoded from RLE, in which two bytes may become 128 (PS3.5 G.3)."""

_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian}
_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"


def stored_values(planes: Sequence[FileDataset]) -> Iterator[NDArray[np.integer]]:
    """Pixels [rows, columns] of planes that come from one file, as it holds them.

    `check_pixels` comes before; `used_bits` drops the bits that mean nothing.

    Raises:
        Unreadable: truncated, damaged, or in a way that cannot be decoded.
    """
    first, name = planes[0], str(file_of(planes[0]))
    with refusing_damage(name):
        syntax, shape, bits = _syntax(first), _shape(first), int(first.BitsAllocated)
        size = _bytes_of(first)
        if syntax in _NATIVE:
            raw = read_plain_pixels(first, size)
        else:
            image = read_dicom(file_of(first), ["PixelData", *PIXEL_TAGS], pixels=True)
            raw = image.get_item("PixelData").value
        # No compression makes noise twice as long; what is longer would unpack far beyond the image.
        if syntax.is_compressed and len(raw) > 2 * size + 2**16:
            raise Unreadable(f"{name}: {len(raw)} bytes where {size} fit; copy or export it again")
        if not syntax.is_compressed:
            _check_length(len(raw), size, name)
        kind = "i" if first.get("PixelRepresentation") == 1 else "u"
    for plane in planes:
        frame = int(plane.get("ReferencedFrameNumber", 1)) - 1
        with refusing_damage(name_of(plane)):
            if syntax not in _NATIVE:
                if syntax.is_compressed:
                    coded = get_frame(raw, frame, number_of_frames=shape[0])
                    _check_frame(coded, syntax, shape[1:], name_of(plane))
                # For RLE pydicom's own decoder: that of pylibjpeg ends a damaged frame in a panic.
                plugin = "pydicom" if syntax == RLELossless else ""
                yield get_decoder(syntax).as_array(image, index=frame, decoding_plugin=plugin)[0]
                continue
            count = shape[1] * shape[2]
            values = np.frombuffer(raw, np.dtype(f"<{kind}{bits // 8}"), count, frame * count * bits // 8)
            yield values.reshape(shape[1:])


def used_bits(pixels: NDArray[np.integer], header: FileDataset) -> NDArray[np.integer]:
    """Drop the bits above BitsStored from pixels; they mean nothing (PS3.5 8.1.1)."""
    unused = pixels.dtype.itemsize * 8 - int(header.get("BitsStored") or pixels.dtype.itemsize * 8)
    if unused <= 0 or _says_bits_itself(_syntax(header)):
        return pixels
    # Shifts drop these bits, or fill them with the sign.
    values: NDArray[np.integer] = (pixels << unused) >> unused
    return values


def check_pixels(header: FileDataset) -> tuple[UID, int]:
    """Check by the header alone that the pixels are all there, and that a decoder is there for them.

    Returns:
        The transfer syntax, and the bytes that uncompressed pixels have beyond their image (and beyond the
        one that makes their number even).

    Raises:
        Unreadable: otherwise.
    """
    syntax, size, name = _check_coding(header), _bytes_of(header), str(file_of(header))
    if syntax.is_compressed:
        return syntax, 0
    element = pixel_element(header)
    if element.length is None:
        raise Unreadable(f"{name}: says {syntax.name}, but its pixels are compressed; export it again")
    _check_length(element.length, size, name)
    if element.held is not None:
        _check_length(element.held, size, name, alone=False)
    return syntax, max(0, element.length - size - size % 2)


def _check_length(found: int, size: int, name: str, *, alone: bool = True) -> None:
    """Refuse bytes that are fewer than the image's or, where there is nothing else in them, twice as many."""
    if found < size:
        raise Unreadable(f"{name}: truncated, {found} of {size} bytes of pixels; copy or export it again")
    if alone and found >= 2 * size:
        raise Unreadable(
            f"{name}: {found} bytes where {size} fit (more frames, or more bits, than it says?);"
            " export it again"
        )


def _shape(header: FileDataset) -> tuple[int, int, int]:
    return int(header.get("NumberOfFrames") or 1), int(header.Rows), int(header.Columns)


def _bytes_of(header: FileDataset) -> int:
    return math.prod(_shape(header)) * int(header.BitsAllocated) // 8


def _syntax(header: FileDataset) -> UID:
    return UID(header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))


def _says_bits_itself(syntax: UID) -> bool:
    """Return True for codings that declare the used bits without HighBit and BitsStored: all JPEGs."""
    return syntax.is_compressed and syntax != RLELossless


def _check_coding(header: FileDataset) -> UID:
    name, bits, syntax = file_of(header), int(header.get("BitsAllocated", 0)), _syntax(header)
    if bits not in (8, 16, 32):
        raise Unreadable(f"{name}: {bits} bits per pixel: not supported; export it with 16")
    stored = int(header.get("BitsStored") or bits)
    high = stored - 1 if header.get("HighBit") in (None, "") else int(header.HighBit)
    if high != stored - 1 and not _says_bits_itself(syntax):
        raise Unreadable(
            f"{name}: HighBit is {high}, where BitsStored {stored} wants {stored - 1} (PS3.5 8.1.1): which"
            " bits hold the values is not certain; export it again"
        )
    if header.original_encoding[1] is False and syntax in _NATIVE:
        raise Unreadable(f"{name}: big-endian without saying so; export it again")
    if syntax in _NATIVE:
        return syntax
    try:
        decodable = get_decoder(syntax).is_available
    except NotImplementedError:
        decodable = False
    if not decodable:
        raise Unreadable(f"{name}: coded as {syntax.name}, and no decoder is there; export it uncompressed")
    return syntax


def _check_frame(coded: bytes, syntax: UID, shape: tuple[int, int], name: str) -> None:
    """Refuse a compressed frame that would unpack to more than a plane."""
    if syntax == RLELossless:
        if len(coded) > MAX_RLE_BYTES:
            raise Unreadable(
                f"{name}: {len(coded)} bytes of RLE, which may unpack to {len(coded) / 2**24:.1f} GiB;"
                " export it uncompressed"
            )
        return
    found = _coded_shape(coded)
    if found != shape:
        says = "no size" if found is None else f"{found[0]} x {found[1]} pixels"
        raise Unreadable(
            f"{name}: its compressed frame says {says}, its header {shape[0]} x {shape[1]}; export it again"
        )


def _coded_shape(coded: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG (T.81 B.2), JPEG-LS (T.87 C.2) or JPEG 2000 (T.800 A.5.1) frame says."""
    start = coded.find(_JPEG_2000)
    if start >= 0:
        right, bottom, left, top = np.frombuffer(coded, ">u4", 4, start + 8).tolist()
        return bottom - top, right - left
    place = 2
    while coded.startswith(_JPEG) and place + 9 <= len(coded) and coded[place] == 0xFF:
        marker, length = coded[place + 1], int.from_bytes(coded[place + 2 : place + 4], "big")
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = np.frombuffer(coded, ">u2", 2, place + 5).tolist()
            return rows, columns
        place += 2 + length
    return None
