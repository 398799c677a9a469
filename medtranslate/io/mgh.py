"""FreeSurfer's .mgh and .mgz (header fields as on FreeSurfer's format page).

A header of 284 bytes, big endian, then the voxels, then scan parameters and tags that are not read. A .mgz
is all of it gzipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.geometry import COSINE, check_affine, spacing
from medtranslate.io.bounds import check_size
from medtranslate.io.facts import Facts, choose_volume
from medtranslate.io.inflate import is_gzipped, open_plain_or_gzipped, refusing_damage
from medtranslate.io.interface import Format
from medtranslate.io.volume import Volume
from medtranslate.io.voxels import Body, check_length, type_to_write, write_voxels
from medtranslate.records import Derivation

DATA_OFFSET = 284
"""Bytes before the voxels."""
_HEADER = np.dtype(
    [
        ("version", ">i4"),
        ("dims", ">i4", 4),
        ("type", ">i4"),
        ("dof", ">i4"),
        ("goodRASFlag", ">i2"),
        ("delta", ">f4", 3),
        ("Mdc", ">f4", (3, 3)),
        ("Pxyz_c", ">f4", 3),
    ]
)
_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
_WRITTEN = {"uint8": 0, "int32": 1, "float32": 3, "int16": 4}
"""Types that every release of FreeSurfer reads; others are written as float32, which holds them exactly."""


def recognise(head: bytes) -> bool:
    """Return True if a file that (inflated) starts with `head` is an MGH: version 1 and likely lengths."""
    if len(head) < DATA_OFFSET or not head.startswith((1).to_bytes(4, "big")):
        return False
    lengths = np.frombuffer(head, ">i4", 4, 4)
    return bool((lengths >= 0).all() and (lengths < 2**20).all())


def read(path: Path, series: str | None = None, volume: int | None = None) -> Volume:
    """Read one volume of any number type.

    Args:
        volume: number, from 1, of the one to take of a file of several frames.

    Raises:
        Unreadable: damaged, truncated, too large, several volumes, or voxels that are not finite.
        GeometryRefused: there are no directions, they are no unit vectors, or lie in a plane.
    """
    return read_facts(path, volume).read()


def read_facts(path: Path, volume: int | None = None) -> Facts:
    """Read what the header says of the volume; `read` adds the voxels.

    Raises:
        Unreadable: as `read`, as far as the header and the length of an uncompressed file tell.
        GeometryRefused: there are no directions, they are no unit vectors, or lie in a plane.
    """
    with refusing_damage(path):
        packed = is_gzipped(path)
        with open_plain_or_gzipped(path) as file:
            block = file.read(DATA_OFFSET)
    if len(block) < DATA_OFFSET:
        raise Unreadable(f"{path}: its header is cut short; copy or export it again")
    header = np.frombuffer(block, _HEADER, 1)[0]
    if int(header["type"]) not in _TYPES:
        raise Unreadable(f"{path}: unknown type {int(header['type'])} of voxels; convert it with mri_convert")
    dtype = np.dtype(_TYPES[int(header["type"])])
    first, second, third, count = (int(length) for length in header["dims"])
    check_size([first, second, third], str(path))
    if count < 1:
        raise Unreadable(f"{path}: holds {count} volumes; export it again")
    notes: list[str] = []
    size = first * second * third * dtype.itemsize
    skip = DATA_OFFSET + size * choose_volume(count, volume, str(path), notes)
    body = Body(path, 0, packed, skip, dtype)
    check_length(body, DATA_OFFSET + size * count)
    affine = _affine(header, np.array([first, second, third]), path)
    return Facts((first, second, third), affine, dtype, body, notes)


def write(volume: Volume, path: Path, like: Volume | None, derivation: Derivation | None) -> None:
    """Write header and voxels, as `type_to_write` says where the format has the type, else float32."""
    affine, dtype = volume.affine, type_to_write(volume)
    if dtype.name not in _WRITTEN:
        dtype = np.dtype(np.float32)
    sizes, header = spacing(affine), np.zeros((), _HEADER)
    header["version"], header["goodRASFlag"], header["type"] = 1, 1, _WRITTEN[dtype.name]
    header["dims"] = *volume.shape, 1
    header["delta"], header["Mdc"] = sizes, (affine[:3, :3] / sizes).T
    header["Pxyz_c"] = affine[:3, 3] + affine[:3, :3] @ volume.shape / 2
    start, gzipped = header.tobytes().ljust(DATA_OFFSET, b"\0"), path.suffix.lower() == ".mgz"
    write_voxels(path, start, volume.values, dtype.newbyteorder(">"), gzipped=gzipped)


@np.errstate(over="ignore", invalid="ignore")
def _affine(header: np.void, shape: NDArray[np.int64], path: Path) -> NDArray[np.float64]:
    """Array index to RAS mm: sizes times directions, and the middle of the array at `Pxyz_c`."""
    if header["goodRASFlag"] <= 0:
        raise GeometryRefused(
            f"{path}: the header has no geometry (goodRASFlag 0), and FreeSurfer, nibabel and ANTs assume"
            " three different ones; say it with `mri_convert --in_orientation`"
        )
    sizes, directions, centre = (header[name].astype(np.float64) for name in ("delta", "Mdc", "Pxyz_c"))
    lengths = np.linalg.norm(directions, axis=1)
    if not (sizes > 0).all() or not (abs(lengths - 1) <= COSINE).all():
        raise GeometryRefused(
            f"{path}: voxels of {' x '.join(f'{size:g}' for size in sizes)} mm along directions of length"
            f" {', '.join(f'{length:g}' for length in lengths)}, where sizes are above 0 and lengths 1;"
            " mend the header"
        )
    affine = np.eye(4)
    affine[:3, :3] = directions.T * sizes
    affine[:3, 3] = centre - affine[:3, :3] @ shape / 2
    return check_affine(affine, str(path))


FORMAT = Format(recognise, read, write, (".mgh", ".mgz"), right_angled=True, facts=read_facts)
