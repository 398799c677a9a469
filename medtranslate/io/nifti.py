"""NIfTI-1 and NIfTI-2, plain or gzipped, in one file or a pair (fields as in nifti1.h and nifti2.h)."""

# mypy: allow-untyped-calls
from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medtranslate.errors import InputRefused, Unreadable
from medtranslate.io.bounds import check_size
from medtranslate.io.facts import Facts, choose_volume
from medtranslate.io.inflate import is_gzipped, open_plain_or_gzipped, refusing_damage
from medtranslate.io.interface import Format
from medtranslate.io.label import label, says_synthetic
from medtranslate.io.nifti_header import (
    FORMS_MM,
    affine_of,
    check_forms,
    is_pair,
    read_header,
    recognise,
    scaling_of,
)
from medtranslate.io.shear import farthest
from medtranslate.io.volume import Volume
from medtranslate.io.voxels import Body, check_length, type_to_write, write_voxels
from medtranslate.records import Derivation

if TYPE_CHECKING:
    from nibabel import Nifti1Header  # slow to load, and asked for its first bytes with every file

__all__ = ["read", "read_facts", "recognise", "voxel_file", "write"]

_MAX_OFFSET = 2**24
_NO_EXTENSION = bytes(4)
_CIFTI = range(3000, 3100)
"""Codes of intent of connectivity, which NIfTI-2 only wraps (CIFTI-2, table 1)."""
_DESCRIP = 79
"""Characters of `descrip`, without the zero at its end."""
_GEOMETRY_FIELDS = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


def read(path: Path, series: str | None = None, volume: int | None = None) -> Volume:
    """Read a volume of any orientation, number type and scaling; units become mm.

    The size is computed from the header before anything is allocated, and no more than that is inflated.

    Args:
        path: the file, or the .hdr of a pair.
        volume: number, from 1, of the one to take of a file of several.

    Raises:
        Unreadable: damaged, truncated, too large, several volumes, colour or complex numbers, or voxels
            that are not finite.
        GeometryRefused: the affine is degenerate, or sform and qform disagree on left and right.
    """
    return read_facts(path, volume).read()


def read_facts(path: Path, volume: int | None = None) -> Facts:
    """Read what the header says of the volume; `read` adds the voxels.

    Raises:
        Unreadable: as `read`, as far as the header and the length of an uncompressed file tell.
        GeometryRefused: the affine is degenerate, or sform and qform disagree on left and right.
    """
    notes: list[str] = []
    header = read_header(path, notes)
    dtype, (*lengths, count) = _number_type(header, path), _lengths(header, path)
    first, second, third = lengths
    shape = first, second, third
    size = math.prod(shape) * dtype.itemsize
    slope, intercept = scaling_of(header, path, notes)
    index = choose_volume(count, volume, str(path), notes)
    affine = affine_of(header, path, notes)
    check_forms(header, shape, path, notes)
    holder, begin = _voxels(header, path, count * size)
    with refusing_damage(holder):
        packed = is_gzipped(holder)
    if not packed:
        check_length(Body(holder, begin, packed, 0, dtype), count * size)
    skip = index * size + (begin if packed else 0)
    body = Body(holder, 0 if packed else begin, packed, skip, dtype, slope=slope, intercept=intercept)
    said = header["descrip"].item().decode("latin-1")
    return Facts(shape, affine, dtype, body, notes, says_synthetic(said))


def voxel_file(path: Path) -> str | None:
    """Name of the .img beside the header of a pair; None where the voxels follow the header.

    Raises:
        Unreadable: damaged, or the .img is missing.
    """
    header = read_header(path, [])
    return _image_beside(path).name if is_pair(header) else None


def write(volume: Volume, path: Path, like: Volume | None, derivation: Derivation | None) -> None:
    """Write voxels as `type_to_write` says; where `like` is NIfTI on the same grid, its geometry fields stay.

    So does its shape; lengths in metres or microns become mm. Otherwise sform and qform hold the volume's
    affine in mm with code 1 (scanner); the qform, which can only turn, is left away where the affine is
    sheared. No text of the source's header is taken over; a translation says in `descrip` and `intent_name`
    what it is, and in `cal_min` and `cal_max` how it is to be shown.
    """
    from nibabel import Nifti1Header

    dtype = type_to_write(volume)
    header = Nifti1Header()
    header.set_data_dtype(dtype)
    if like is not None and like.meta.format == "nifti" and like.meta.path and _same_grid(volume, like):
        source = _source_header(like.meta.path)
        shape = source.get_data_shape()
        header.set_data_shape(shape if math.prod(shape) == volume.values.size else volume.shape)
        for name in _GEOMETRY_FIELDS:
            header[name] = source[name]
    else:
        header.set_data_shape(volume.shape)
        header.set_xyzt_units("mm")
        header.set_sform(volume.affine, "scanner")
        header.set_qform(volume.affine, "scanner")
        if farthest(header.get_sform(), header.get_qform(), volume.shape) > FORMS_MM:
            header["qform_code"] = 0
    header["magic"], header["vox_offset"] = b"n+1", header.sizeof_hdr + len(_NO_EXTENSION)
    header.set_slope_inter(1, 0)
    if derivation is not None:
        said = label(volume, derivation)
        header["descrip"], header["intent_name"] = said.text[:_DESCRIP].encode(), said.title.encode()
        header["cal_min"], header["cal_max"] = said.range
    gzipped = path.suffix.lower() == ".gz"
    write_voxels(path, header.binaryblock + _NO_EXTENSION, volume.values, dtype, gzipped=gzipped)


def _number_type(header: Nifti1Header, path: Path) -> np.dtype[np.generic]:
    from nibabel.spatialimages import HeaderDataError

    if int(header["intent_code"]) in _CIFTI:
        raise Unreadable(f"{path}: is CIFTI (rows of brain ordinates), not a volume; give the volume itself")
    try:
        dtype: np.dtype[np.generic] = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        raise Unreadable(f"{path}: unknown NIfTI datatype {int(header['datatype'])}; convert it") from None
    if dtype.kind not in "iuf":
        what = "colour" if dtype.fields else "complex or raw"
        raise Unreadable(f"{path}: holds {what} voxels ({dtype}); one grey number per voxel is needed")
    return dtype


def _lengths(header: Nifti1Header, path: Path) -> tuple[int, int, int, int]:
    """Three lengths, a single slice gets its third, and the number of volumes.

    A length below 1 behind the third counts as 1, as in nifti1_io.c.
    """
    rank = int(header["dim"][0])
    if not 1 <= rank <= 7:
        raise Unreadable(f"{path}: {rank} dimensions; the header is damaged")
    lengths = [int(length) for length in header["dim"][1 : rank + 1]]
    first, second, third = (*lengths[:3], 1, 1)[:3]
    check_size([first, second, third], str(path))
    return first, second, third, math.prod(max(1, length) for length in lengths[3:])


def _voxels(header: Nifti1Header, path: Path, size: int) -> tuple[Path, int]:
    """Find the file that holds the voxels, and the byte of its inflated content at which they begin.

    Raises:
        Unreadable: there is no such file, or the offset cannot be right.
    """
    pair, offset = is_pair(header), float(header["vox_offset"])
    least = 0 if pair else header.sizeof_hdr
    if offset == 0 and not pair:
        return path, _begin_unsaid(path, header.sizeof_hdr, size)
    if not least <= offset <= _MAX_OFFSET:
        raise Unreadable(f"{path}: voxels start at byte {offset:g}; the header is damaged")
    return (_image_beside(path) if pair else path), int(offset)


def _begin_unsaid(path: Path, header: int, size: int) -> int:
    """Find the begin of voxels for an offset of 0: after the header, with or without four further bytes.

    nibabel reads them from byte 0 and ITK from byte 348, so the length of the content decides.

    Raises:
        Unreadable: the length fits neither.
    """
    with refusing_damage(path), open_plain_or_gzipped(path) as file:
        length, most = 0, header + len(_NO_EXTENSION) + size
        while length <= most and (block := file.read(2**22)):
            length += len(block)
    begin = length - size
    if begin not in (header, header + len(_NO_EXTENSION)):
        raise Unreadable(
            f"{path}: vox_offset is 0, and {length} bytes are not a header and {size} bytes of voxels;"
            " set it to where the voxels begin"
        )
    return begin


def _image_beside(path: Path) -> Path:
    """Find the .img of a pair."""
    stem = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    names = [Path(stem).with_suffix(suffix).name for suffix in (".img", ".img.gz", ".IMG")]
    found = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if found is None:
        raise Unreadable(f"{path}: is the header of a pair, and {names[0]} is not beside it; put it there")
    return found


def _source_header(path: Path) -> Nifti1Header:
    try:
        return read_header(path, [])
    except InputRefused as error:
        raise Unreadable(f"{path}: the source cannot be read again ({error}); leave it in place") from None


def _same_grid(volume: Volume, like: Volume) -> bool:
    return volume.shape == like.shape and bool(np.allclose(volume.affine, like.affine, atol=1e-4))


FORMAT = Format(recognise, read, write, (".nii", ".nii.gz"), facts=read_facts, voxel_file=voxel_file)
