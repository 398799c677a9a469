"""Voxels as a stream of numbers: read block by block into float32, and back to the type of their file.

No reader allocates more than the volume itself and one block, whatever a file holds or claims.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import igzip_threaded
from numpy.typing import NDArray

from medtranslate.errors import Unreadable
from medtranslate.io.inflate import inflate, refusing_damage
from medtranslate.io.volume import Volume

_BLOCK_BYTES = 2**22
_TAIL_BYTES = 2**20
"""Bytes that are read behind the voxels, such as the tags of an .mgz."""
_SLICES = 4
_CHECKED = 2**17
"""Voxels that are checked at once, few enough for the processor's cache."""
_LEVEL, _THREADS = 1, 4


@dataclass(frozen=True)
class Body:
    """Place of the voxels of one volume in a file, first axis fastest.

    Attributes:
        begin: byte at which they begin, or the compressed data that hold them.
        packed: whether they are compressed (zlib or gzip).
        skip: bytes of the inflated data, or of the file after `begin`, that come before them.
        dtype: of a number; where volumes alternate voxel by voxel, a record with the field `value`.
        alone: whether nothing may follow them.
        slope: factor from number to value.
        intercept: value of the number 0.
    """

    path: Path
    begin: int
    packed: bool
    skip: int
    dtype: np.dtype[np.generic]
    alone: bool = False
    slope: float = 1.0
    intercept: float = 0.0


def read_body(
    body: Body, shape: Sequence[int], nan_to: float | None = None
) -> tuple[NDArray[np.float32], int]:
    """Read the voxels of one volume as float32.

    Args:
        shape: of the volume; the caller has checked it against the bounds.

    Raises:
        Unreadable: damaged, too short or too long, or a voxel is not finite.
    """
    with refusing_damage(body.path), body.path.open("rb") as file:
        if not body.packed:
            file.seek(body.begin + body.skip)
            return _read_voxels(file, body, shape, nan_to)
        file.seek(body.begin)
        with inflate(file) as stream:
            left = body.skip
            while left and (block := stream.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
            return _read_voxels(stream, body, shape, nan_to)


def check_length(body: Body, size: int) -> None:
    """Compare a file that is not compressed with the bytes of voxels that its header promises.

    Args:
        size: bytes from `begin` on; the file holds more only where the voxels need not be `alone`.

    Raises:
        Unreadable: with both numbers.
    """
    with refusing_damage(body.path):
        there = body.path.stat().st_size - body.begin
    if not body.packed and (there < size or (body.alone and there > size)):
        raise Unreadable(
            f"{body.path}: truncated or of another header, {there} of {size} bytes of voxels;"
            " copy or export it again"
        )


def _read_voxels(
    file: BinaryIO, body: Body, shape: Sequence[int], nan_to: float | None
) -> tuple[NDArray[np.float32], int]:
    """Read the next voxels of a stream, and on to its end so that an inflater checks its checksum."""
    values, size = np.empty(math.prod(shape), np.float32), body.dtype.itemsize
    count, empty, infinite = max(1, _BLOCK_BYTES // size), 0, 0
    for start in range(0, values.size, count):
        part = values[start : start + count]
        raw = file.read(part.size * size)
        if len(raw) < part.size * size:
            raise Unreadable(
                f"{body.path}: truncated, {start * size + len(raw)} of {values.size * size} bytes of voxels;"
                " copy or export it again"
            )
        numbers = np.frombuffer(raw, body.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            part[:] = numbers["value"] if body.dtype.names else numbers
            if (body.slope, body.intercept) != (1, 0):
                part *= np.float32(body.slope)
                part += np.float32(body.intercept)
            # A sum is not finite if any voxel is not; counting them costs another pass, and only then.
            if not math.isfinite(float(part.sum(dtype=np.float64))):
                nan = np.isnan(part)
                empty += int(nan.sum())
                infinite += int(np.isinf(part).sum())
                part[nan] = nan_to or 0.0
    if infinite or (empty and nan_to is None):
        remedy = "set infinite ones to a number" if infinite else "give --nan-to air, or a number for them"
        raise Unreadable(
            f"{body.path}: {empty + infinite} of {values.size} voxels are NaN or infinite; {remedy}"
        )
    if file.read(_TAIL_BYTES) and body.alone:
        raise Unreadable(f"{body.path}: holds more voxels than its header says; copy or export it again")
    return values.reshape(shape, order="F"), empty


def type_to_write(volume: Volume) -> np.dtype[np.generic]:
    """Choose the type of the file that was read (`stored` in meta), else float32.

    A type of whole numbers is taken only if it holds every voxel exactly; int16 where meta names none.
    """
    values, stored = volume.values, np.dtype(volume.meta.stored or "int16")
    if stored.kind not in "iu" or stored.itemsize > 4:
        return values.dtype
    limits, flat = np.iinfo(stored), values.ravel(order="K")
    blocks = (flat[start : start + _CHECKED] for start in range(0, flat.size, _CHECKED))
    exact = all(
        (np.rint(block) == block).all()
        and limits.min <= float(block.min())
        and float(block.max()) <= limits.max
        for block in blocks
    )
    return stored if exact else values.dtype


def write_voxels(
    path: Path,
    header: bytes,
    values: NDArray[np.float32],
    dtype: np.dtype[np.generic],
    *,
    gzipped: bool = False,
) -> None:
    """Write a header and voxels [X, Y, Z] as `dtype`, first axis fastest; gzip gets neither name nor date."""
    opened = igzip_threaded.open(path, "wb", _LEVEL, threads=_THREADS) if gzipped else path.open("wb")
    with opened as file:
        file.write(header)
        # Several slices at a time: where the last axis is the fastest in memory, one by one is slow.
        for start in range(0, values.shape[2], _SLICES):
            file.write(np.ascontiguousarray(values[:, :, start : start + _SLICES].T, dtype).data)
