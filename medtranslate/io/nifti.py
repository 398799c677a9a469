"""NIfTI-1 and NIfTI-2 in one file, plain or gzipped (header fields as in nifti1.h and nifti2.h)."""

# mypy: allow-untyped-calls
from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import nibabel as nib
import numpy as np
from monai.data.meta_tensor import MetaTensor
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.geometry import check_affine
from medtranslate.io.bounds import check_size
from medtranslate.io.scan import Scan
from medtranslate.result import Derivation

_MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_MAX_OFFSET = 2**24
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
    try:
        with _open(path) as file:
            header = _read_header(file, path)
            dtype, shape = _number_type(header, path), _shape(header, path)
            offset = float(header["vox_offset"])
            if not header.sizeof_hdr <= offset <= _MAX_OFFSET:
                raise Unreadable(f"{path}: voxels start at byte {offset:g}; the header is damaged")
            file.seek(int(offset))
            size = math.prod(shape) * dtype.itemsize
            raw = file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"{path}: damaged NIfTI ({error}); copy or export it again") from None
    if len(raw) < size:
        raise Unreadable(f"{path}: truncated, {len(raw)} of {size} bytes of voxels; copy or export it again")
    notes: list[str] = []
    affine = _affine(header, path, notes)
    values = _values(np.frombuffer(raw, dtype), header, path)
    return Scan(values.reshape(shape, order="F"), affine, {"warnings": notes})


def write(volume: MetaTensor, path: Path, like: MetaTensor | None, derivation: Derivation | None) -> None:
    """Write float32 voxels; where `like` is NIfTI on the same grid, its shape and geometry fields are kept.

    Otherwise sform and qform hold the volume's affine in mm with code 1 (scanner). No text of the source's
    header is taken over.
    """
    values = volume.numpy(force=True)[0].astype(np.float32, copy=False)
    header = nib.Nifti1Header()
    if like is not None and like.meta.get("format") == "nifti" and _same_grid(volume, like):
        source = _source_header(Path(like.meta["path"]))
        values = values.reshape(source.get_data_shape(), order="F")
        for name in _GEOMETRY_FIELDS:
            header[name] = source[name]
    else:
        header.set_xyzt_units("mm")
        header.set_sform(volume.affine.numpy(), "scanner")
        header.set_qform(volume.affine.numpy(), "scanner")
    header.set_data_dtype(np.float32)
    nib.Nifti1Image(values, None, header).to_filename(path)


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path)) if gzipped else path.open("rb")


def _read_header(file: BinaryIO, path: Path) -> nib.Nifti1Header:
    """The header alone, unchecked; extensions, whose sizes cannot be trusted, are left alone."""
    block = file.read(nib.Nifti2Header.sizeof_hdr)
    kind = nib.Nifti2Header if block[4:8] == b"n+2\x00" else nib.Nifti1Header
    if len(block) < kind.sizeof_hdr or not recognise(block):
        raise Unreadable(f"{path}: not a single-file NIfTI (.hdr/.img pairs are not read); convert it first")
    return kind(block[: kind.sizeof_hdr], check=False)


def _number_type(header: nib.Nifti1Header, path: Path) -> np.dtype[np.generic]:
    try:
        dtype: np.dtype[np.generic] = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        raise Unreadable(f"{path}: unknown NIfTI datatype {int(header['datatype'])}; convert it") from None
    if dtype.kind not in "iuf":
        what = "colour" if dtype.fields else "complex or raw"
        raise Unreadable(f"{path}: holds {what} voxels ({dtype}); one grey number per voxel is needed")
    return dtype


def _shape(header: nib.Nifti1Header, path: Path) -> tuple[int, ...]:
    """Three lengths: trailing ones are dropped, a single slice gets its third axis."""
    rank = int(header["dim"][0])
    if not 1 <= rank <= 7:
        raise Unreadable(f"{path}: {rank} dimensions; the header is damaged")
    lengths = [int(length) for length in header["dim"][1 : rank + 1]]
    volumes = math.prod(lengths[3:])
    if volumes > 1:
        raise Unreadable(f"{path}: holds {volumes} volumes; split it and give one")
    shape = (*lengths[:3], 1, 1)[:3]
    check_size([*shape, volumes], str(path))
    return shape


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


def _values(raw: NDArray[np.generic], header: nib.Nifti1Header, path: Path) -> NDArray[np.float32]:
    """Voxels with `scl_slope` and `scl_inter` applied; a slope of 0 means none."""
    slope, intercept = (float(header[name]) for name in ("scl_slope", "scl_inter"))
    with np.errstate(over="ignore", invalid="ignore"):
        values = raw.astype(np.float32)
        if slope != 0 and math.isfinite(slope) and (slope, intercept) != (1, 0):
            values *= np.float32(slope)
            values += np.float32(intercept)
    # A sum is not finite if any voxel is not; counting them all costs a pass, and only then.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not math.isfinite(float(values.sum(dtype=np.float64)))
    if suspicious:
        odd = values.size - int(np.isfinite(values).sum())
        raise Unreadable(
            f"{path}: {odd} of {values.size} voxels are NaN or infinite; set them to the background's value"
        )
    return values


def _source_header(path: Path) -> nib.Nifti1Header:
    try:
        with _open(path) as file:
            return _read_header(file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"{path}: the source cannot be read again ({error}); leave it in place") from None


def _same_grid(volume: MetaTensor, like: MetaTensor) -> bool:
    return volume.shape == like.shape and bool(
        np.allclose(volume.affine.numpy(), like.affine.numpy(), atol=1e-4)
    )
