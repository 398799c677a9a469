"""NIfTI-1 and NIfTI-2 in one file, plain or gzipped (header fields as in nifti1.h and nifti2.h)."""

# mypy: allow-untyped-calls
from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from monai.data.meta_tensor import MetaTensor
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.geometry import check_affine
from medtranslate.io.bounds import check_size
from medtranslate.io.label import label
from medtranslate.io.scan import Facts, Scan
from medtranslate.io.voxels import (
    DAMAGE,
    as_stored,
    open_plain_or_gzipped,
    read_voxels,
    refusing_damage,
    write_voxels,
)
from medtranslate.result import Derivation

_MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_MAX_OFFSET = 2**24
_NO_EXTENSION = bytes(4)
_DESCRIP = 79
"""Characters of `descrip`, without the zero at its end."""
_GEOMETRY_FIELDS = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


def recognise(head: bytes) -> bool:
    """Whether a file that (once inflated) starts with `head` is a single-file NIfTI."""
    return head[344:348] == b"n+1\x00" or head[4:8] == b"n+2\x00"


def read(path: Path, series: str | None = None) -> Scan:
    """Read a volume of any orientation, number type and scaling; units become mm.

    The size is computed from the header before anything is allocated, and no more than that is inflated.

    Raises:
        Unreadable: damaged, truncated, too large, several volumes, colour or complex numbers, or voxels
            that are not finite.
        GeometryRefused: the affine is degenerate.
    """
    with refusing_damage(path), open_plain_or_gzipped(path) as file:
        header = _read_header(file, path)
        facts = _facts(header, path)
        file.seek(int(header["vox_offset"]))
        slope, intercept = _scaling(header)
        values = read_voxels(file, facts.dtype, facts.shape, path, slope=slope, intercept=intercept)
    return facts.scan(values)


def read_facts(path: Path) -> Facts:
    """What `read` would find, without the voxels.

    Raises:
        Unreadable: as `read`, as far as the header tells.
        GeometryRefused: the affine is degenerate.
    """
    with refusing_damage(path), open_plain_or_gzipped(path) as file:
        return _facts(_read_header(file, path), path)


def write(volume: MetaTensor, path: Path, like: MetaTensor | None, derivation: Derivation | None) -> None:
    """Write voxels as `as_stored` says; where `like` is NIfTI on the same grid, its geometry fields stay.

    So does its shape. Otherwise sform and qform hold the volume's affine in mm with code 1 (scanner). No
    text of the source's header is taken over; a translation says in `descrip` and `intent_name` what it is,
    and in `cal_min` and `cal_max` how it is to be shown.
    """
    values = as_stored(volume)
    header = nib.Nifti1Header()
    header.set_data_dtype(values.dtype)
    if like is not None and like.meta.get("format") == "nifti" and _same_grid(volume, like):
        source = _source_header(Path(like.meta["path"]))
        header.set_data_shape(source.get_data_shape())
        for name in _GEOMETRY_FIELDS:
            header[name] = source[name]
    else:
        header.set_data_shape(values.shape)
        header.set_xyzt_units("mm")
        header.set_sform(volume.affine.numpy(), "scanner")
        header.set_qform(volume.affine.numpy(), "scanner")
    header["magic"], header["vox_offset"] = b"n+1", header.sizeof_hdr + len(_NO_EXTENSION)
    header.set_slope_inter(1, 0)
    if derivation is not None:
        said = label(volume, derivation)
        header["descrip"], header["intent_name"] = said.text[:_DESCRIP].encode(), said.title.encode()
        header["cal_min"], header["cal_max"] = said.range
    write_voxels(path, header.binaryblock + _NO_EXTENSION, values, gzipped=path.suffix.lower() == ".gz")


def _read_header(file: BinaryIO, path: Path) -> nib.Nifti1Header:
    """The header alone, unchecked; extensions, whose sizes cannot be trusted, are left alone."""
    block = file.read(nib.Nifti2Header.sizeof_hdr)
    kind = nib.Nifti2Header if block[4:8] == b"n+2\x00" else nib.Nifti1Header
    if len(block) < kind.sizeof_hdr or not recognise(block):
        raise Unreadable(f"{path}: not a single-file NIfTI (.hdr/.img pairs are not read); convert it first")
    return kind(block[: kind.sizeof_hdr], check=False)


def _facts(header: nib.Nifti1Header, path: Path) -> Facts:
    dtype, shape = _number_type(header, path), _shape(header, path)
    offset = float(header["vox_offset"])
    if not header.sizeof_hdr <= offset <= _MAX_OFFSET:
        raise Unreadable(f"{path}: voxels start at byte {offset:g}; the header is damaged")
    notes: list[str] = []
    return Facts(shape, _affine(header, path, notes), dtype, notes)


def _number_type(header: nib.Nifti1Header, path: Path) -> np.dtype[np.generic]:
    try:
        dtype: np.dtype[np.generic] = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        raise Unreadable(f"{path}: unknown NIfTI datatype {int(header['datatype'])}; convert it") from None
    if dtype.kind not in "iuf":
        what = "colour" if dtype.fields else "complex or raw"
        raise Unreadable(f"{path}: holds {what} voxels ({dtype}); one grey number per voxel is needed")
    return dtype


def _shape(header: nib.Nifti1Header, path: Path) -> tuple[int, int, int]:
    """Three lengths: trailing ones are dropped, a single slice gets its third axis."""
    rank = int(header["dim"][0])
    if not 1 <= rank <= 7:
        raise Unreadable(f"{path}: {rank} dimensions; the header is damaged")
    lengths = [int(length) for length in header["dim"][1 : rank + 1]]
    volumes = math.prod(lengths[3:])
    if volumes > 1:
        raise Unreadable(f"{path}: holds {volumes} volumes; split it and give one")
    first, second, third = (*lengths[:3], 1, 1)[:3]
    check_size([first, second, third, volumes], str(path))
    return first, second, third


def _affine(header: nib.Nifti1Header, path: Path, notes: list[str]) -> NDArray[np.float64]:
    """sform, else qform, else the voxel size alone (the NIfTI standard's methods 3, 2 and 1), in mm."""
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        notes.append(
            "the header has neither sform nor qform: orientation is a guess, x taken to grow to the left"
        )
    try:
        affine = np.array(header.get_best_affine(), dtype=np.float64)
        unit = str(header.get_xyzt_units()[0])
    except (HeaderDataError, ValueError, KeyError) as error:
        raise GeometryRefused(f"{path}: damaged geometry ({error}); mend the header") from None
    affine[:3] *= _MM_PER_UNIT[unit]
    if unit in ("meter", "micron"):
        notes.append(f"geometry turned from {unit} to mm")
    return check_affine(affine, str(path))


def _scaling(header: nib.Nifti1Header) -> tuple[float, float]:
    """`scl_slope` and `scl_inter`; a slope of 0 means none."""
    slope, intercept = (float(header[name]) for name in ("scl_slope", "scl_inter"))
    return (slope, intercept) if slope != 0 and math.isfinite(slope) else (1.0, 0.0)


def _source_header(path: Path) -> nib.Nifti1Header:
    try:
        with open_plain_or_gzipped(path) as file:
            return _read_header(file, path)
    except DAMAGE as error:
        raise Unreadable(f"{path}: the source cannot be read again ({error}); leave it in place") from None


def _same_grid(volume: MetaTensor, like: MetaTensor) -> bool:
    return volume.shape == like.shape and bool(
        np.allclose(volume.affine.numpy(), like.affine.numpy(), atol=1e-4)
    )
