"""DICOM files of any mess of folders or of a .zip: found, told by content, opened within bounds.

A file is a path, or a member of an archive that is read in memory and never unpacked onto the disk.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from medtranslate.errors import MedtranslateError, Unreadable
from medtranslate.io.bounds import MAX_BYTES

File = Path | zipfile.Path

_DEFLATED, _EXPLICIT = (uid.encode() for uid in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian))

MAX_MEMBERS = 100_000
"""Largest number of files in an archive."""
_UNDEFINED = 2**32 - 1
HEADER_BYTES = 2**22
"""Most that is inflated of a deflated file before its header has said how much it should be."""

_NO_PREAMBLE = re.compile(rb"(\x02\x00\x00\x00UL|\x08\x00[\x00-\x20]\x00(CS|UI|DA|UL|..\x00\x00))", re.DOTALL)
"""Beginning of a data set without preamble: group 2, or group 8 with a VR (explicit) or a short length."""


_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
"""The tag of PixelData, little-endian and big-endian."""


@dataclass(frozen=True)
class PixelElement:
    """Place of the pixels in a file, by the bytes of the element itself, whatever the file meta declares.

    Attributes:
        start: of the value, in bytes from the beginning of the file; None in a deflated one.
        length: of the value; None where it is undefined, as of compressed pixels (PS3.5 A.4).
        held: bytes that the file has from `start` on; None in a deflated one.
    """

    start: int | None
    length: int | None
    held: int | None


def recognise(head: bytes) -> bool:
    """Return True if a file that starts with `head` is DICOM, with a preamble (PS3.10 7.1) or without."""
    return head[128:132] == b"DICM" or _NO_PREAMBLE.match(head) is not None


def is_archive(path: Path) -> bool:
    """Return True for a .zip, by its first bytes."""
    with path.open("rb") as start:
        return start.read(4) == b"PK\x03\x04"


_lock, _silent, _inside = threading.Lock(), ExitStack(), 0


@contextmanager
def without_comment() -> Iterator[None]:
    """Keep pydicom from validating values (real headers hold over-long numbers) and from quoting them.

    What is switched off is global, so of several threads the first to come switches it and the last to go
    switches it back.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _silent.enter_context(warnings.catch_warnings())
            _silent.enter_context(pydicom_config.disable_value_validation())
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _silent.close()


@contextmanager
def refusing_damage(file: File | str) -> Iterator[None]:
    """Refuse where pydicom or a decoder raises, which on a damaged file is nearly any exception."""
    try:
        yield
    except (MedtranslateError, MemoryError):
        raise
    except Exception as error:
        kind = type(error).__name__
        raise Unreadable(f"{file}: damaged DICOM ({kind}); copy or export it again") from error


def visible_files(path: Path) -> Iterator[Path]:
    """Yield the file itself, or all files below a folder that are not hidden, in path order."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if not hidden and file.is_file():
            yield file


def list_files(path: Path) -> Iterator[File]:
    """Yield the visible files of a folder, the members of a .zip, or the file itself.

    Raises:
        Unreadable: an archive is damaged, or over the bounds by what it says it holds.
    """
    return _members(path) if path.is_file() and is_archive(path) else visible_files(path)


def _members(path: Path) -> Iterator[zipfile.Path]:
    with refusing_damage(path):
        archive = zipfile.ZipFile(path)
        members = [item for item in archive.infolist() if not item.is_dir()]
        total = sum(item.file_size for item in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise Unreadable(
            f"{path}: holds {len(members)} files of {total / 2**30:.1f} GiB, more than the bounds of"
            f" {MAX_MEMBERS} and {MAX_BYTES / 2**30:.1f} GiB; unpack it and give the folder of one study"
        )
    for name in sorted(item.filename for item in members):
        if not any(part.startswith(".") for part in name.split("/")):
            yield zipfile.Path(archive, name)


def read_dicom(
    file: File, tags: Sequence[str] | None, *, pixels: bool = False, limit: int = HEADER_BYTES
) -> FileDataset:
    """Read the elements `tags` of a file, or all; `file_of` gives their file later.

    Args:
        pixels: read the pixel data, too.
        limit: most bytes that a deflated file (PS3.5 A.5) is inflated to; what is beyond is left.

    Raises:
        Unreadable: damaged, or over a bound.
    """
    options: dict[str, Any] = {"stop_before_pixels": not pixels, "specific_tags": tags, "force": True}
    with refusing_damage(file), _Guarded(_open(file)) as source:
        element = None
        try:
            header = dcmread(source, **options)
            element = None if pixels else _pixel_element(source)
        except _Deflated:
            start, end = source.tell(), source.seek(0, io.SEEK_END)
            source.seek(0)
            # A UID may end in zeros (PS3.5 9.1), so that one of another length fits into its place.
            plain = source.read(start).replace(_DEFLATED, _EXPLICIT.ljust(len(_DEFLATED), b"\0"))
            inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(source.read(end - start), limit)
            whole = io.BytesIO(plain + inflated)
            header = dcmread(whole, **options)
            element = None if pixels else _pixel_element(whole)
            element = element and PixelElement(None, element.length, None)
        header.buffer, header.file, header.pixel_element = None, file, element
        return header


def _pixel_element(source: BinaryIO) -> PixelElement | None:
    """Read the pixel element at the file's position; None if another element, or none, begins there."""
    place, element = source.tell(), source.read(12)
    if element[:4] not in _PIXEL_DATA:
        return None
    # Tag and length, or tag, VR, two bytes and length (PS3.5 7.1.2 and 7.1.3). No length is taken for a VR:
    # lengths are even, so their first byte is, and O and U are odd numbers.
    explicit = element[4:6] in (b"OB", b"OW", b"UN")
    start = place + (12 if explicit else 8)
    length = int.from_bytes(
        element[8:] if explicit else element[4:8], "little" if element[0] == 0xE0 else "big"
    )
    held = source.seek(0, io.SEEK_END) - start
    return PixelElement(start, None if length == _UNDEFINED else length, held)


def read_plain_pixels(header: FileDataset, size: int) -> bytes:
    """Read the first `size` bytes of uncompressed pixels, or fewer, without parsing the header again.

    Raises:
        Unreadable: the file cannot be read.
    """
    file, start = file_of(header), pixel_element(header).start
    if start is None:
        image = read_dicom(file, ["PixelData"], pixels=True, limit=size + HEADER_BYTES)
        inflated: bytes = image.PixelData[:size]
        return inflated
    with refusing_damage(file), file.open("rb") as source:
        source.seek(start)
        raw: bytes = source.read(size)
        return raw


def pixel_element(header: FileDataset) -> PixelElement:
    """Find the pixels in the file of a header.

    Raises:
        Unreadable: nowhere.
    """
    element: PixelElement | None = header.pixel_element
    if element is None:
        raise Unreadable(f"{file_of(header)}: damaged DICOM (no pixel data); copy or export it again")
    return element


def file_of(header: FileDataset) -> File:
    """Give the file that a header was read from."""
    file: File = header.file
    return file


def raw_of(header: Dataset, tag: BaseTag) -> bytes | str | None:
    """Give a value in its file's own bytes, for comparisons: decoding costs more than reading."""
    if tag not in header.keys():  # noqa: SIM118  # Dataset's own `in` is slow.
        return None
    item = header.get_item(tag, keep_deferred=True)  # Without it an empty value would be decoded.
    value = None if item is None else item.value
    return value if value is None or isinstance(value, bytes) else str(value)


def is_dicom(file: File) -> bool:
    """Return True for a file with the content of DICOM.

    Raises:
        Unreadable: its name ends in .dcm, but its content is something else.
    """
    with refusing_damage(file), file.open("rb") as start:
        found = recognise(start.read(132))
    if not found and file.suffix.lower() == ".dcm":
        raise Unreadable(f"{file}: no DICOM by its content (truncated?); copy or export it again")
    return found


class _Deflated(Exception):
    """A deflated data set begins where the file stands now."""


class _Guarded(io.BufferedReader):
    """A file that is read in pieces only: pydicom asks for all the rest of one to inflate it unbounded."""

    name = ""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            raise _Deflated
        return super().read(size)


def _open(file: File) -> io.RawIOBase:
    if isinstance(file, zipfile.Path):
        return cast(io.RawIOBase, io.BytesIO(file.read_bytes()))
    if file.stat().st_size > MAX_BYTES:
        raise Unreadable(f"{file}: over the bound of {MAX_BYTES / 2**30:.1f} GiB; crop or split it")
    return io.FileIO(file)
