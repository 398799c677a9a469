"""Compressed data as a stream: zlib (RFC 1950), or gzip (RFC 1952) of one or several members.

One inflater serves every format. It goes through isal, which is faster than zlib, holds one block at a
time, and checks each member's checksum.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from isal.igzip_lib import DECOMP_GZIP, DECOMP_ZLIB, IgzipDecompressor, IsalError

from medtranslate.errors import Unreadable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, cast(type[Exception], IsalError))
"""Errors of the system and of the inflater."""

_GZIP = b"\x1f\x8b"
"""First bytes of each member of a gzip file (RFC 1952)."""
_CHUNK_BYTES = 2**16


@contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Refuse what the system or the inflater cannot read.

    Raises:
        Unreadable: with the reason in the words of whoever found it.
    """
    try:
        yield
    except DAMAGE as error:
        raise Unreadable(f"{path}: damaged file ({error}); copy or export it again") from None


def is_gzipped(path: Path) -> bool:
    """Return True for a file that starts like gzip."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def open_plain_or_gzipped(path: Path) -> BinaryIO:
    """Open a file; its content is inflated while it is read, if it is gzipped."""
    return inflate(path.open("rb")) if is_gzipped(path) else path.open("rb")


def inflate(file: BinaryIO) -> BinaryIO:
    """Inflate the rest of `file` while it is read; closing it closes `file`.

    Zeros may follow the compressed data, as tapes and some tools leave them. Reading raises one of `DAMAGE`
    where the data end too early, do not match their checksum, or are followed by anything else.
    """
    return io.BufferedReader(_Inflated(file))


class _Inflated(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self._next = file, file.read(len(_GZIP))
        self._kind = DECOMP_GZIP if self._next == _GZIP else DECOMP_ZLIB
        self._inflater, self._hungry = IgzipDecompressor(flag=self._kind), True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer)
        while not self._inflater.eof or self._begin_next_member():
            # It can hold output when it has no input left, and input that is no use to it without more.
            hungry, fed = self._hungry, b""
            if hungry:
                fed = self._next or self._file.read(_CHUNK_BYTES)
                self._next = b""
            block = self._inflater.decompress(fed, len(room))
            self._hungry = self._inflater.needs_input or not block
            if block:
                room[: len(block)] = block
                return len(block)
            if hungry and not fed and not self._inflater.eof:
                raise EOFError("the compressed data end too early")
        return 0

    def _begin_next_member(self) -> bool:
        """Return True if another member follows the last one."""
        rest = self._inflater.unused_data.lstrip(b"\0")
        while not rest and (chunk := self._file.read(_CHUNK_BYTES)):
            rest = chunk.lstrip(b"\0")
        if not rest:
            return False
        if self._kind != DECOMP_GZIP or not rest.startswith(_GZIP[: len(rest)]):
            raise OSError("other bytes follow the compressed data")
        self._inflater, self._hungry = IgzipDecompressor(flag=self._kind), True
        self._next = rest
        return True
