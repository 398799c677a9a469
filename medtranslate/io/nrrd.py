"""NRRD: .nrrd, and .nhdr with its voxels in one file beside it (fields as teem's format page has them)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused
from medtranslate.geometry import check_affine, swap_lps_ras
from medtranslate.io.bounds import check_size
from medtranslate.io.facts import Facts, choose_volume
from medtranslate.io.interface import Format
from medtranslate.io.label import label, says_synthetic
from medtranslate.io.text_header import TextHeader, find_body, read_lines
from medtranslate.io.volume import Volume
from medtranslate.io.voxels import type_to_write, write_voxels
from medtranslate.records import Derivation

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
_TIMED = {
    **{f"{name}-time": name for name in _SPACES if "-" in name},
    **{f"{name}t": name for name in _SPACES if "-" not in name},
}
"""Spaces with a fourth axis, and the same without."""
_SAME = {
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
    "centers": "centerings",
}
_PER_AXIS = (
    *("sizes", "kinds", "space directions"),
    *("spacings", "axis mins", "axis maxs", "centerings", "units"),
)
_SPATIAL = {"domain", "space", "???", "none"}
_VOLUMES = {*_SPATIAL, "list", "time", "stub", "scalar"}
"""Kinds of a fourth axis that counts volumes; others hold the parts of one voxel."""
_AXIS = re.compile(r"\([^()]*\)|\S+")
"""Entry of one axis in a field with an entry per axis."""
_MM = {'"mm"', '""', "mm", "none", "???"}
_PACKED = {"raw": False, "gzip": True, "gz": True}


def recognise(head: bytes) -> bool:
    """Return True if a file that starts with `head` is an NRRD."""
    return re.match(rb"NRRD000[1-5]\r?\n", head) is not None


def read(path: Path, series: str | None = None, volume: int | None = None) -> Volume:
    """Read one grey volume of any number type, raw or gzipped; what its header says is checked first.

    Args:
        volume: number, from 1, of the one to take of a four-dimensional file.

    Raises:
        Unreadable: damaged, truncated, too large, not one 3-D volume, an axis that is not spatial, another
            encoding, world axes of unknown meaning, voxels outside the header's folder, or not finite.
        GeometryRefused: the axes lie in a plane.
    """
    return read_facts(path, volume).read()


def voxel_file(path: Path) -> str | None:
    """Name of the file beside the header that holds the voxels; None where they follow it.

    Raises:
        Unreadable: damaged.
    """
    return _read_header(path).fields.get("data file")


def read_facts(path: Path, volume: int | None = None) -> Facts:
    """Read what the header says of the volume; `read` adds the voxels.

    Raises:
        Unreadable: as `read`, as far as the header and the length of an uncompressed file tell.
        GeometryRefused: the axes lie in a plane.
    """
    notes: list[str] = []
    header, count, alternating = _one_volume(_read_header(path), notes)
    if not set(header.word("kinds", "domain").lower().split()) <= _SPATIAL:
        raise header.refuse(f"its axes are {header.word('kinds')[:60]!r}")
    code = next((code for code, names in _TYPES.items() if header.word("type").lower() in names), None)
    if code is None:
        raise header.refuse(f"its type {header.word('type')[:60]!r} is no number")
    encoding, skip = header.word("encoding").lower(), header.whole("byte skip", "0")
    if encoding not in _PACKED:
        raise header.refuse(f"its encoding is {encoding[:60]!r}, not raw or gzip")
    if header.word("line skip", "0") != "0" or skip < (0 if _PACKED[encoding] else -1):
        raise header.refuse("it skips lines, or bytes from the end of compressed data")
    endian = header.word("endian", "little" if code.endswith("1") else None).lower()
    if endian not in ("little", "big"):
        raise header.refuse(f"its endian is {endian[:60]!r}")
    first, second, third = header.lengths("sizes", 3)
    check_size([first, second, third, count] if alternating else [first, second, third], str(path))
    index = choose_volume(count, volume, str(path), notes)
    dtype = np.dtype((">" if endian == "big" else "<") + code)
    body = find_body(
        header,
        header.fields.get("data file"),
        dtype,
        (first * second * third, count),
        packed=_PACKED[encoding],
        skip=skip,
        index=index,
        alternating=alternating,
    )
    synthetic = says_synthetic(header.fields.get("content", ""))
    return Facts((first, second, third), _affine(header, notes), dtype, body, notes, synthetic)


def write(volume: Volume, path: Path, like: Volume | None, derivation: Derivation | None) -> None:
    """Write header and voxels (as `type_to_write` says) in one file, LPS, not compressed.

    A translation says in `content`, and in key/value pairs, what it is.
    """
    dtype = type_to_write(volume).newbyteorder("<")
    lps = swap_lps_ras(volume.affine)
    fields = {
        "type": _TYPES[dtype.str[1:]][0],
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, volume.shape)),
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
    write_voxels(path, ("\n".join(lines) + "\n\n").encode("ascii"), volume.values, dtype)


def _read_header(path: Path) -> TextHeader:
    """Read the fields up to the empty line or the file's end, without comments and `key:=value` pairs."""
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


def _one_volume(header: TextHeader, notes: list[str]) -> tuple[TextHeader, int, bool]:
    """Reduce the header to one 3-D volume; count the volumes, and tell if they alternate voxel by voxel.

    The axis that counts volumes is the one without a direction, else the one whose kind is not spatial, else
    the last.
    """
    if header.word("dimension") not in ("3", "4"):
        raise header.refuse(f"it has {header.word('dimension')[:60]!r} dimensions")
    if header.word("dimension") == "3":
        return header, 1, False
    fields = {name: _AXIS.findall(header.fields[name]) for name in _PER_AXIS if name in header.fields}
    wrong = next((name for name, words in fields.items() if len(words) != 4), None)
    if wrong:
        raise header.refuse(f"`{wrong}` does not speak of 4 axes ({header.word(wrong)[:60]!r})")
    kinds = [kind.lower() for kind in fields.get("kinds", ["???"] * 4)]
    counting = next(
        (axis for axis in (0, 3) if fields.get("space directions", [""] * 4)[axis].lower() == "none"),
        next((axis for axis in (0, 3) if kinds[axis] not in _SPATIAL), 3),
    )
    count = header.lengths("sizes", 4)[counting]
    if kinds[counting] not in _VOLUMES and count > 1:
        raise header.refuse(f"its axes are {header.word('kinds')[:60]!r}")
    for words in fields.values():
        del words[counting]
    spatial = {name: " ".join(words) for name, words in fields.items()}
    reduced = replace(header, fields={**header.fields, **spatial})
    return _without_time(reduced, notes), count, counting == 0


def _without_time(header: TextHeader, notes: list[str]) -> TextHeader:
    """Drop a fourth axis of time from a header's space."""
    space, unnamed = header.word("space", "").lower(), header.word("space dimension", "") == "4"
    if not unnamed and space not in _TIMED:
        return header
    directions = header.numbers("space directions", 12).reshape(3, 4)
    if directions[:, 3].any():
        raise header.refuse("its axes run in time and space at once")
    fields = {
        "space": "lps" if unnamed else _TIMED[space],
        "space directions": " ".join(map(_vector, directions[:, :3])),
    }
    if "space origin" in header.fields:
        fields["space origin"] = _vector(header.numbers("space origin", 4)[:3])
    if unnamed:
        notes.append("the space has no name: taken as left, posterior, superior, as ITK writes it")
    return replace(header, fields={**header.fields, **fields})


def _affine(header: TextHeader, notes: list[str]) -> NDArray[np.float64]:
    """Array index to RAS mm from `space directions` and `space origin`, or from each axis by itself."""
    lps = np.eye(4)
    if {"space", "space dimension", "space directions"} & header.fields.keys():
        space = header.word("space").lower()
        if space not in _SPACES:
            raise header.refuse(f"its space {space[:60]!r} does not say where left is")
        if not set(header.word("space units", '"mm"').lower().split()) <= {'"mm"'}:
            raise header.refuse(f"its space units are {header.word('space units')[:60]}, not mm")
        signs = np.array(_SPACES[space])
        lps[:3, :3] = signs[:, None] * header.numbers("space directions", 9).reshape(3, 3).T
        if "space origin" in header.fields:
            lps[:3, 3] = signs * header.numbers("space origin", 3)
        else:
            notes.append("the header has no `space origin`: the first voxel is taken to lie at 0, 0, 0")
    else:
        sizes, lps[:3, 3] = _axis_by_axis(header, notes)
        lps[:3, :3] = np.diag(sizes)
        notes.append("the header has no orientation: taken as left, posterior, superior")
    return check_affine(swap_lps_ras(lps), str(header.path))


def _axis_by_axis(header: TextHeader, notes: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Voxel size and position of the first voxel's centre on each axis, as ITK takes them.

    `axis mins` is where the first voxel begins if samples are cells, which is the default, and its centre if
    they are nodes.
    """
    if not set(header.word("units", "mm").lower().split()) <= _MM:
        raise header.refuse(f"its units are {header.word('units')[:60]}, not mm")
    nodes = np.array([word == "node" for word in header.word("centerings", "cell").lower().split()])
    if len(nodes) not in (1, 3):
        raise header.refuse(f"`centerings` does not speak of 3 axes ({header.word('centerings')[:60]!r})")
    ends = [header.numbers(name, 3) if name in header.fields else None for name in ("axis mins", "axis maxs")]
    if "spacings" in header.fields:
        sizes = header.numbers("spacings", 3)
    elif ends[0] is not None and ends[1] is not None:
        sizes = (ends[1] - ends[0]) / np.maximum(np.array(header.lengths("sizes", 3)) - nodes, 1)
        notes.append("voxel size taken from `axis mins` and `axis maxs`; ITK takes 1 mm")
    else:
        notes.append("the header has no voxel size: taken as 1 mm")
        return np.ones(3), np.zeros(3)
    if (sizes <= 0).any():
        raise GeometryRefused(
            f"{header.path}: voxels of {_vector(sizes)} mm, where sizes are above 0; mend the header"
        )
    return sizes, np.zeros(3) if ends[0] is None else ends[0] + np.where(nodes, 0, sizes / 2)


def _vector(numbers: NDArray[np.float64]) -> str:
    """(x,y,z), as text that gives back exactly the same."""
    return f"({','.join(map(repr, numbers.tolist()))})"


FORMAT = Format(recognise, read, write, (".nrrd",), facts=read_facts, voxel_file=voxel_file)
