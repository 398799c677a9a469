"""NIfTI headers: read without trust, and mended where nifti1.h says what a value stands for.

What is mended is mended once, so that reading, comparing the two forms and writing the geometry again
agree. A header on which readers of the field disagree gets a sentence; one whose forms disagree on left and
right is refused.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.geometry import COSINE, check_affine, spacing
from medtranslate.io.inflate import open_plain_or_gzipped, refusing_damage
from medtranslate.io.shear import farthest

if TYPE_CHECKING:
    from nibabel import Nifti1Header  # slow to load, and asked for its first bytes with every file

FORMS_MM = 0.1
"""Distance between where sform and qform place a voxel from which they disagree."""

_UNITS = {0: ("unknown", 1.0), 1: ("meter", 1000.0), 2: ("mm", 1.0), 3: ("micron", 0.001)}
_UNIT_BITS, _MM = 0b111, 2
_SROWS = ("srow_x", "srow_y", "srow_z")
_QUATERNION = ("quatern_b", "quatern_c", "quatern_d")
_OFFSETS = ("qoffset_x", "qoffset_y", "qoffset_z")
_MAGICS = {b"n+1": False, b"ni1": True, b"n+2": False, b"ni2": True}


def recognise(head: bytes) -> bool:
    """Return True if a file that (once inflated) starts with `head` is a NIfTI, or the header of a pair."""
    return _magic(head) in _MAGICS


def is_pair(header: Nifti1Header) -> bool:
    """Return True if the voxels lie in an .img beside the header."""
    return _MAGICS[bytes(header["magic"].item())[:3]]


@np.errstate(over="ignore", invalid="ignore")
def read_header(path: Path, notes: list[str]) -> Nifti1Header:
    """Read the header alone, mended, in mm; extensions, whose sizes can't be trusted, are ignored.

    Args:
        notes: gets a sentence for what was mended and what readers disagree on.

    Raises:
        Unreadable: it is none.
        GeometryRefused: its geometry cannot be mended, or is degenerate.
    """
    with refusing_damage(path), open_plain_or_gzipped(path) as file:
        header = _parse(file, path)
    _mend_units(header, notes)
    _mend_sizes(header, path, notes)
    _mend_forms(header, path, notes)
    return header


@np.errstate(over="ignore", invalid="ignore")
def check_forms(header: Nifti1Header, shape: tuple[int, int, int], path: Path, notes: list[str]) -> None:
    """Compare the sform with the voxel size in `pixdim`, and with the qform where both are set.

    Raises:
        GeometryRefused: they disagree on left and right.
    """
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    if sform_code <= 0:
        return
    sform, sizes = header.get_sform(), header["pixdim"][1:4].astype(np.float64)
    scaled = sform @ np.diag([*(sizes / spacing(sform)), 1])
    if not farthest(sform, scaled, shape) <= FORMS_MM:
        notes.append(
            f"the sform has voxels of {_words(spacing(sform))} mm and pixdim of {_words(sizes)} mm: the sform"
            " is taken; readers built on ITK take pixdim"
        )
    if qform_code <= 0:
        return
    qform = header.get_qform()
    apart = farthest(sform, qform, shape)
    if apart <= FORMS_MM:
        return
    codes = f"sform (code {sform_code}) and qform (code {qform_code})"
    turn = qform[:3, :3] @ np.linalg.inv(sform[:3, :3])
    if np.linalg.det(turn) < 0 or turn[0, 0] < 0:
        raise GeometryRefused(
            f"{path}: {codes} disagree on which side is left, and readers choose differently; set the code of"
            " the wrong one to 0"
        )
    notes.append(
        f"{codes} disagree by up to {apart:.3g} mm: the sform is taken; readers built on ITK may take the"
        " qform"
    )


@np.errstate(over="ignore", invalid="ignore")
def affine_of(header: Nifti1Header, path: Path, notes: list[str]) -> NDArray[np.float64]:
    """sform, else qform, else the voxel size alone (the NIfTI standard's methods 3, 2 and 1), in mm.

    Raises:
        GeometryRefused: it is degenerate.
    """
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        notes.append(
            "the header has neither sform nor qform: orientation is a guess, x taken to grow to the left"
        )
    from nibabel.spatialimages import HeaderDataError

    try:
        affine = np.array(header.get_best_affine(), dtype=np.float64)
    except (HeaderDataError, ValueError) as error:
        raise GeometryRefused(f"{path}: damaged geometry ({error}); mend the header") from None
    return check_affine(affine, str(path))


def scaling_of(header: Nifti1Header, path: Path, notes: list[str]) -> tuple[float, float]:
    """`scl_slope` and `scl_inter`; a slope of 0, which is none, leaves the intercept away, too.

    Raises:
        Unreadable: there is a slope, and the intercept is no number.
    """
    slope, intercept = (float(header[name]) for name in ("scl_slope", "scl_inter"))
    if slope == 0 or not math.isfinite(slope):
        if intercept != 0 and math.isfinite(intercept):
            notes.append(
                f"scl_inter is {intercept:g} beside a scl_slope of {slope:g}: values are not scaled, as"
                " nifti1.h and nibabel have it; readers built on ITK add the intercept"
            )
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise Unreadable(f"{path}: scl_slope is {slope:g} and scl_inter {intercept:g}; set scl_inter to 0")
    return slope, intercept


def _magic(head: bytes) -> bytes:
    """Give the magic string of NIfTI-1, or of NIfTI-2, without its end."""
    old, new = head[344:348], head[4:8]
    return (old if old[:1] == b"n" and old[3:] == b"\0" else new if new[3:] == b"\0" else b"")[:3]


def _parse(file: BinaryIO, path: Path) -> Nifti1Header:
    from nibabel import Nifti1Header, Nifti2Header

    block = file.read(Nifti2Header.sizeof_hdr)
    kind = Nifti2Header if _magic(block)[2:] == b"2" else Nifti1Header
    if len(block) < kind.sizeof_hdr or not recognise(block):
        raise Unreadable(f"{path}: is no NIfTI; check the path")
    return kind(block[: kind.sizeof_hdr], check=False)


def _mend_units(header: Nifti1Header, notes: list[str]) -> None:
    """Turn the geometry to mm, where it is in metres or microns."""
    code = int(header["xyzt_units"])
    space, rest = code & _UNIT_BITS, code & ~_UNIT_BITS
    name, factor = _UNITS.get(space, ("", 1.0))
    if not name:
        notes.append(f"the header's code {space} of a unit of length has no meaning: taken as mm")
    if factor != 1:
        notes.append(f"geometry turned from {name} to mm")
        for field in (*_SROWS, *_OFFSETS):
            header[field] = header[field] * factor
        header["pixdim"][1:4] *= factor
    if space != 0:
        header["xyzt_units"] = rest | _MM


def _mend_sizes(header: Nifti1Header, path: Path, notes: list[str]) -> None:
    """`pixdim[0]` of 0 is 1, and an axis of one voxel that has no size gets 1 mm."""
    sign = float(header["pixdim"][0])
    if sign == 0:
        header["pixdim"][0] = 1
    elif sign not in (1, -1) and int(header["qform_code"]) > 0:
        raise GeometryRefused(f"{path}: pixdim[0] is {sign:g}, not 1 or -1; mend the header")
    rank = int(header["dim"][0])
    for axis in (1, 2, 3):
        alone = axis > rank or int(header["dim"][axis]) == 1
        if alone and float(header["pixdim"][axis]) == 0:
            header["pixdim"][axis] = 1
            notes.append("the only slice has no thickness in the header: taken as 1 mm")


def _mend_forms(header: Nifti1Header, path: Path, notes: list[str]) -> None:
    """Shorten a quaternion that rounding made too long, and pass over a form that says nothing."""
    sform, qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if sform and qform and not any(header[name][:3].any() for name in _SROWS):
        header["sform_code"], sform = 0, False
        notes.append("the sform is empty: the qform is taken")
    if not qform:
        return
    quaternion = np.array([float(header[name]) for name in _QUATERNION])
    length = float(np.linalg.norm(quaternion))
    if 1 < length <= 1 + COSINE:
        for name, part in zip(_QUATERNION, quaternion / length, strict=True):
            header[name] = part
        length = 1.0
    sizes = header["pixdim"][1:4]
    if length <= 1 and np.isfinite(sizes).all() and (sizes > 0).all():
        with suppress(GeometryRefused):
            check_affine(header.get_qform(), str(path))
            return
    offset = ", ".join(f"{header[name]:.4g}" for name in _OFFSETS)
    said = f"a quaternion of length {length:g}, voxels of {_words(sizes)} mm and an offset of {offset} mm"
    if not sform:
        raise GeometryRefused(f"{path}: its qform has {said}; mend the header")
    header["qform_code"] = 0
    notes.append(f"the qform is damaged ({said}): the sform is taken")


def _words(sizes: NDArray[np.floating]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)
