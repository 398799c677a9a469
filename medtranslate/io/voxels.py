"""Voxels as a stream of numbers: read block by block into float32, and back to the type of their file.

No reader allocates more than the volume itself and one block, whatever a file holds or claims. Gzip goes
through isal, which is faster than zlib.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
from isal import igzip, igzip_threaded, isal_zlib
from isal.igzip_lib import IsalError
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray

from medtranslate.errors import Unreadable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP = b"\x1f\x8b"
"""What a gzipped file starts with (RFC 1952)."""

DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, cast(type[Exception], IsalError))
"""What the system and the decompressors raise."""

_BLOCK_BYTES = 2**22
_SLICES = 16
_LEVEL, _THREADS = 1, 4


@contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Refuse what the system or a decompressor cannot read.

    Raises:
        Unreadable: with the reason in the words of whoever found it.
    """
    try:
        yield
    except DAMAGE as error:
        raise Unreadable(f"{path}: damaged file ({error}); copy or export it again") from None


def open_plain_or_gzipped(path: Path) -> BinaryIO:
    """The content of a file, inflated while it is read if it is gzipped."""
    with path.open("rb") as file:
        gzipped = file.read(2) == GZIP
    return igzip.open(path) if gzipped else path.open("rb")


def inflate(file: BinaryIO) -> BinaryIO:
    """The rest of `file`, a zlib stream (RFC 1950) or gzip, inflated while it is read."""
    return io.BufferedReader(_Inflated(file))


class _Inflated(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self._inflater = file, isal_zlib.decompressobj(wbits=32 + 15)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room, block = memoryview(buffer), b""
        while not block and not self._inflater.eof:
            fed = self._inflater.unconsumed_tail or self._file.read(io.DEFAULT_BUFFER_SIZE)
            if not fed:
                raise EOFError("the compressed data end too early")
            block = self._inflater.decompress(fed, len(room))
        room[: len(block)] = block
        return len(block)


def read_voxels(
    file: BinaryIO,
    dtype: np.dtype[np.generic],
    shape: Sequence[int],
    path: Path,
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    alone: bool = False,
) -> NDArray[np.float32]:
    """The next voxels of a stream as float32, times `slope` plus `intercept`, first axis fastest.

    Reading one byte more lets a decompressor compare its checksum.

    Args:
        dtype: of the numbers in the stream.
        shape: of the volume; the caller has checked it against the bounds.
        path: what messages name.
        alone: whether nothing may follow the voxels.

    Raises:
        Unreadable: the stream ends too early or too late, or a voxel is not finite.
    """
    values = np.empty(math.prod(shape), np.float32)
    count, odd = _BLOCK_BYTES // dtype.itemsize, 0
    for start in range(0, values.size, count):
        part = values[start : start + count]
        raw = file.read(part.size * dtype.itemsize)
        if len(raw) < part.size * dtype.itemsize:
            found, size = start * dtype.itemsize + len(raw), values.size * dtype.itemsize
            raise Unreadable(f"{path}: truncated, {found} of {size} bytes of voxels; copy or export it again")
        with np.errstate(over="ignore", invalid="ignore"):
            part[:] = np.frombuffer(raw, dtype)
            if (slope, intercept) != (1, 0):
                part *= np.float32(slope)
                part += np.float32(intercept)
            # A sum is not finite if any voxel is not; counting them costs another pass, and only then.
            if not math.isfinite(float(part.sum(dtype=np.float64))):
                odd += part.size - int(np.isfinite(part).sum())
    if odd:
        raise Unreadable(
            f"{path}: {odd} of {values.size} voxels are NaN or infinite; set them to the background's value"
        )
    if file.read(1) and alone:
        raise Unreadable(f"{path}: holds more voxels than its header says; copy or export it again")
    return values.reshape(shape, order="F")


def as_stored(volume: MetaTensor) -> NDArray[np.generic]:
    """The voxels [X, Y, Z] in the type that their file held (`stored` in meta), else float32.

    A type of whole numbers is taken only if it holds every voxel exactly; int16 where meta names none.
    """
    values: NDArray[np.float32] = volume.numpy(force=True)[0].astype(np.float32, copy=False)
    stored = np.dtype(volume.meta.get("stored", "int16"))
    if stored.kind not in "iu" or stored.itemsize > 4:
        return values
    limits, flat = np.iinfo(stored), values.ravel(order="K")
    blocks = (flat[start : start + _BLOCK_BYTES] for start in range(0, flat.size, _BLOCK_BYTES))
    exact = all(
        (np.rint(block) == block).all()
        and limits.min <= float(block.min())
        and float(block.max()) <= limits.max
        for block in blocks
    )
    return values.astype(stored) if exact else values


def write_voxels(path: Path, header: bytes, values: NDArray[np.generic], *, gzipped: bool = False) -> None:
    """Write a header and voxels [X, Y, Z], first axis fastest; gzip gets neither name nor date."""
    opened = igzip_threaded.open(path, "wb", _LEVEL, threads=_THREADS) if gzipped else path.open("wb")
    with opened as file:
        file.write(header)
        # Several slices at a time: where the last axis is the fastest in memory, one by one is slow.
        for start in range(0, values.shape[2], _SLICES):
            file.write(np.ascontiguousarray(values[:, :, start : start + _SLICES].T).data)
