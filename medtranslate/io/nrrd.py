"""NRRD: .nrrd, and .nhdr with its voxels in one file beside it (fields as teem's format page has them)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray

from medtranslate.geometry import check_affine, swap_lps_ras
from medtranslate.io.label import label
from medtranslate.io.scan import Facts, Scan
from medtranslate.io.text_header import TextHeader, read_body, read_lines
from medtranslate.io.voxels import as_stored, write_voxels
from medtranslate.result import Derivation

_TYPES = {
    "i1": ("int8", "signed char", "int8_t"),
    "u1": ("uint8", "uchar", "unsigned char", "uint8_t"),
    "i2": ("int16", "short", "short int", "signed short", "signed short int", "int16_t"),
    "u2": ("uint16", "ushort", "unsigned short", "unsigned short int", "uint16_t"),
    "i4": ("int32", "int", "signed int", "int32_t"),
    "u4": ("uint32", "uint", "unsigned int", "uint32_t"),
    "i8": ("int64", "longlong", "long long", "long long int", "signed long long", "int64_t"),
    "u8": ("uint64", "ulonglong", "unsigned long long", "unsigned long long int", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
"""Signs that turn a space's axes into LPS."""
_SAME = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
_SPATIAL = {"domain", "space", "???", "none"}
_PACKED = {"raw": False, "gzip": True, "gz": True}


def recognise(head: bytes) -> bool:
    """Whether a file that starts with `head` is an NRRD."""
    return re.match(rb"NRRD000[1-5]\r?\n", head) is not None


def read(path: Path, series: str | None = None) -> Scan:
    """Read one grey volume of any number type, raw or gzipped; what its header says is checked first.

    Raises:
        Unreadable: damaged, truncated, too large, not 3-D, an axis that is not spatial, another encoding,
            world axes of unknown meaning, voxels outside the header's folder, or not finite.
        GeometryRefused: the axes lie in a plane.
    """
    header = _read_header(path)
    facts, packed = _facts(header), _PACKED[header.word("encoding").lower()]
    return facts.scan(
        read_body(header, facts.dtype, facts.shape, header.fields.get("data file"), packed=packed)
    )


def voxel_file(path: Path) -> str | None:
    """Name of the file beside the header that holds the voxels; None where they follow it.

    Raises:
        Unreadable: damaged.
    """
    return _read_header(path).fields.get("data file")


def read_facts(path: Path) -> Facts:
    """What `read` would find, without the voxels.

    Raises:
        Unreadable: as `read`, as far as the header tells.
        GeometryRefused: the axes lie in a plane.
    """
    return _facts(_read_header(path))


def _facts(header: TextHeader) -> Facts:
    if header.word("dimension") != "3":
        raise header.refuse(f"it has {header.word('dimension')[:60]!r} dimensions")
    if not set(header.word("kinds", "domain").lower().split()) <= _SPATIAL:
        raise header.refuse(f"its axes are {header.word('kinds')[:60]!r}")
    code = next((code for code, names in _TYPES.items() if header.word("type").lower() in names), None)
    if code is None:
        raise header.refuse(f"its type {header.word('type')[:60]!r} is no number")
    encoding = header.word("encoding").lower()
    if encoding not in _PACKED or {header.word(name, "0") for name in ("line skip", "byte skip")} != {"0"}:
        raise header.refuse(f"its encoding is {encoding[:60]!r}, not raw or gzip from the first byte on")
    endian = header.word("endian", "little" if code.endswith("1") else None).lower()
    if endian not in ("little", "big"):
        raise header.refuse(f"its endian is {endian[:60]!r}")
    dtype = np.dtype((">" if endian == "big" else "<") + code)
    shape, notes = header.shape("sizes"), list[str]()
    return Facts(shape, _affine(header, notes), dtype, notes)


def write(volume: MetaTensor, path: Path, like: MetaTensor | None, derivation: Derivation | None) -> None:
    """Write header and voxels (as `as_stored` says) in one file, LPS, not compressed.

    A translation says in `content`, and in key/value pairs, what it is.
    """
    values = as_stored(volume)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    lps = swap_lps_ras(volume.affine.numpy())
    fields = {
        "type": _TYPES[values.dtype.str[1:]][0],
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, values.shape)),
        "space directions": " ".join(map(_vector, lps[:3, :3].T)),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": _vector(lps[:3, 3]),
    }
    lines = ["NRRD0004", *(f"{name}: {text}" for name, text in fields.items())]
    if derivation is not None:
        said = label(volume, derivation)
        lines += [f"content: {said.text}", *(f"{key}:={text}" for key, text in said.fields.items())]
    write_voxels(path, ("\n".join(lines) + "\n\n").encode("ascii"), values)


def _read_header(path: Path) -> TextHeader:
    """The fields up to the empty line, without comments and `key:=value` pairs; it may end a .nhdr's file."""
    fields: dict[str, str] = {}
    header = TextHeader(path, fields, 0)
    for number, (line, end) in enumerate(read_lines(path), 1):
        header = replace(header, end=end)
        if not line:
            break
        if number == 1 or line.startswith("#"):
            continue
        name, separator, text = line.partition(":")
        name = _SAME.get(name.lower(), name.lower())
        if text.startswith("="):
            continue
        if not separator or name in fields:
            raise header.refuse(f"line {number} of its header is damaged or says something twice")
        fields[name] = text.strip()
    return header


def _affine(header: TextHeader, notes: list[str]) -> NDArray[np.float64]:
    """Array index to RAS mm from `space directions` and `space origin`, or from `spacings` alone."""
    lps = np.eye(4)
    if "space directions" in header.fields:
        space = header.word("space").lower()
        if space not in _SPACES:
            raise header.refuse(f"its space {space[:60]!r} does not say where left is")
        if not set(header.word("space units", '"mm"').lower().split()) <= {'"mm"'}:
            raise header.refuse(f"its space units are {header.word('space units')[:60]}, not mm")
        signs = np.array(_SPACES[space])
        lps[:3, :3] = signs[:, None] * header.numbers("space directions", 9).reshape(3, 3).T
        lps[:3, 3] = signs * header.numbers("space origin", 3)
    else:
        lps[:3, :3] = np.diag(header.numbers("spacings", 3))
        notes.append("the header has no orientation: taken as left, posterior, superior")
    return check_affine(swap_lps_ras(lps), str(header.path))


def _vector(numbers: NDArray[np.float64]) -> str:
    """(x,y,z), as text that gives back exactly the same."""
    return f"({','.join(map(repr, numbers.tolist()))})"
