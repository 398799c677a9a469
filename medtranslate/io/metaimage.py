"""MetaImage: .mha, and .mhd with its voxels in one file beside it (fields as in MetaIO's documentation).

World coordinates are LPS, as ITK's are; `AnatomicalOrientation` only restates them and is not read.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused
from medtranslate.geometry import COSINE, check_affine, spacing, swap_lps_ras
from medtranslate.io.bounds import check_size
from medtranslate.io.facts import Facts, choose_volume
from medtranslate.io.interface import Format
from medtranslate.io.label import label, says_synthetic
from medtranslate.io.text_header import TextHeader, find_body, read_lines
from medtranslate.io.volume import Volume
from medtranslate.io.voxels import type_to_write, write_voxels
from medtranslate.records import Derivation

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_SAME = {
    "Position": "Offset",
    "Origin": "Offset",
    "Orientation": "TransformMatrix",
    "Rotation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
"""Other names of fields."""
_NOT_APPLIED = {"ElementToIntensityFunctionSlope": 1, "ElementToIntensityFunctionOffset": 0}
"""Scaling that ITK does not apply, either, and what says nothing."""
_READ = {
    *("ObjectType", "NDims", "DimSize", "ElementType", "ElementNumberOfChannels", "ElementDataFile"),
    *("BinaryData", "BinaryDataByteOrderMSB", "CompressedData", "HeaderSize", "DistanceUnits"),
    *("TransformMatrix", "Offset", "ElementSpacing", "ElementSize"),
    *_NOT_APPLIED,
}
"""Fields that may not say two things; others may come any number of times."""


def recognise(head: bytes) -> bool:
    """Return True if a file that starts with `head` is a MetaImage."""
    return re.match(rb"\s*(ObjectType|NDims|Comment)\s*[=:]", head) is not None and b"Dim" in head


def read(path: Path, series: str | None = None, volume: int | None = None) -> Volume:
    """Read one grey volume of any number type, zipped or not; what its header says is checked first.

    Args:
        volume: number, from 1, of the one to take of a four-dimensional file.

    Raises:
        Unreadable: damaged, truncated, too large, not one 3-D volume, several channels, text instead of
            binary voxels, voxels outside the header's folder, or voxels that are not finite.
        GeometryRefused: the directions are no unit vectors, or lie in a plane.
    """
    return read_facts(path, volume).read()


def voxel_file(path: Path) -> str | None:
    """Name of the file beside the header that holds the voxels; None where they follow it.

    Raises:
        Unreadable: damaged.
    """
    return _voxel_file(_read_header(path))


def _voxel_file(header: TextHeader) -> str | None:
    name = header.word("ElementDataFile")
    return None if name.upper() == "LOCAL" else name


def read_facts(path: Path, volume: int | None = None) -> Facts:
    """Read what the header says of the volume; `read` adds the voxels.

    Absent fields mean what MetaIO takes them for: binary voxels, little endian, not compressed, at 0, 0, 0.

    Raises:
        Unreadable: as `read`, as far as the header and the length of an uncompressed file tell.
        GeometryRefused: the directions are no unit vectors, or lie in a plane.
    """
    header, count = _one_volume(_read_header(path))
    if header.word("ObjectType", "Image").lower() != "image":
        raise header.refuse(f"it holds a {header.word('ObjectType')[:60]!r}, not an image")
    if header.word("ElementNumberOfChannels", "1") != "1":
        raise header.refuse(f"it has {header.word('ElementNumberOfChannels')[:60]!r} channels")
    if not _flag(header, "BinaryData", "True"):
        raise header.refuse("its voxels are text")
    if header.word("DistanceUnits", "mm") not in ("mm", "?"):
        raise header.refuse(f"its DistanceUnits are {header.word('DistanceUnits')[:60]!r}, not mm")
    if header.word("ElementType") not in _TYPES:
        raise header.refuse(f"its ElementType {header.word('ElementType')[:60]!r} is no number")
    file, packed, skip = _voxel_file(header), _flag(header, "CompressedData"), header.whole("HeaderSize", "0")
    if skip < -1 or (skip != 0 and (packed or (file is None and skip > 0))):
        raise header.refuse(f"its HeaderSize {skip} has no meaning here")
    dtype = np.dtype(
        (">" if _flag(header, "BinaryDataByteOrderMSB") else "<") + _TYPES[header.word("ElementType")]
    )
    first, second, third = header.lengths("DimSize", 3)
    check_size([first, second, third], str(path))
    notes: list[str] = []
    index = choose_volume(count, volume, str(path), notes)
    voxels = first * second * third, count
    body = find_body(header, file, dtype, voxels, packed=packed, skip=skip, index=index)
    for name, neutral in _NOT_APPLIED.items():
        if name in header.fields and header.numbers(name, 1)[0] != neutral:
            notes.append(f"{name} is not applied (ITK does not, either): values are the numbers of the file")
    synthetic = says_synthetic(header.fields.get("Description", ""))
    return Facts((first, second, third), _affine(header, notes), dtype, body, notes, synthetic)


def write(volume: Volume, path: Path, like: Volume | None, derivation: Derivation | None) -> None:
    """Write header and voxels (as `type_to_write` says) in one file, not compressed.

    A translation says what it is in fields of its own, which ITK keeps (it drops `Comment`).
    """
    dtype = type_to_write(volume).newbyteorder("<")
    lps = swap_lps_ras(volume.affine)
    sizes = spacing(lps)
    kinds = {np.dtype(code).name: name for name, code in reversed(_TYPES.items())}
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": _words((lps[:3, :3] / sizes).T),
        "Offset": _words(lps[:3, 3]),
        "ElementSpacing": _words(sizes),
        "DimSize": _words(np.array(volume.shape)),
        "ElementType": kinds[dtype.name],
        **(label(volume, derivation).fields if derivation else {}),
        "ElementDataFile": "LOCAL",
    }
    header = "".join(f"{name} = {text}\n" for name, text in fields.items())
    write_voxels(path, header.encode("ascii"), volume.values, dtype)


def _read_header(path: Path) -> TextHeader:
    """Read the fields up to `ElementDataFile`, which is the last."""
    fields: dict[str, str] = {}
    header = TextHeader(path, fields, 0)
    for number, (line, end) in enumerate(read_lines(path), 1):
        if not line:
            continue
        # MetaIO takes a colon for the sign of equality, too.
        name, *text = (part.strip() for part in re.split("[=:]", line, maxsplit=1))
        name = _SAME.get(name, name)
        if not text:
            raise header.refuse(f"line {number} of its header is damaged")
        if name in _READ and fields.get(name, text[0]).lower().split() != text[0].lower().split():
            raise header.refuse(f"line {number} of its header contradicts another on `{name}`")
        fields[name] = text[0]
        if name == "ElementDataFile":
            return replace(header, end=end)
    raise header.refuse("its header lacks `ElementDataFile`")


def _one_volume(header: TextHeader) -> tuple[TextHeader, int]:
    """Reduce the header to one 3-D volume, and count the volumes along a fourth axis."""
    if header.word("NDims") not in ("3", "4"):
        raise header.refuse(f"it has {header.word('NDims')[:60]!r} dimensions")
    if header.word("NDims") == "3":
        return header, 1
    fields = dict(header.fields)
    for name in {"DimSize", "Offset", "ElementSpacing", "ElementSize"} & fields.keys():
        fields[name] = _words(header.numbers(name, 4)[:3])
    if "TransformMatrix" in fields:
        matrix = header.numbers("TransformMatrix", 16).reshape(4, 4)
        if matrix[3, :3].any() or matrix[:3, 3].any():
            raise header.refuse("its fourth axis, which counts volumes, has a direction in space")
        fields["TransformMatrix"] = _words(matrix[:3, :3])
    return replace(header, fields=fields), header.lengths("DimSize", 4)[3]


def _flag(header: TextHeader, name: str, default: str = "False") -> bool:
    text = header.word(name, default)
    if text.lower() not in ("true", "false", "1", "0"):
        raise header.refuse(f"`{name}` is neither True nor False ({text[:60]!r})")
    return text.lower() in ("true", "1")


def _affine(header: TextHeader, notes: list[str]) -> NDArray[np.float64]:
    """Array index to RAS mm; each row of `TransformMatrix` is the direction of one axis of the array."""
    size = next((name for name in ("ElementSpacing", "ElementSize") if name in header.fields), None)
    sizes = np.ones(3) if size is None else header.numbers(size, 3)
    directions = np.eye(3)
    if "TransformMatrix" in header.fields:
        directions = header.numbers("TransformMatrix", 9).reshape(3, 3)
    if size is None:
        notes.append("the header has no voxel size: taken as 1 mm")
    if "TransformMatrix" not in header.fields:
        notes.append("the header has no orientation: taken as left, posterior, superior")
    if "Offset" not in header.fields:
        notes.append("the header has no `Offset`: the first voxel is taken to lie at 0, 0, 0")
    if (sizes <= 0).any() or (abs(np.linalg.norm(directions, axis=1) - 1) > COSINE).any():
        raise GeometryRefused(
            f"{header.path}: voxels of {_words(sizes)} mm along {_words(directions)}, where sizes are above 0"
            " and directions unit vectors; mend the header"
        )
    lps = np.eye(4)
    lps[:3, :3] = directions.T * sizes
    lps[:3, 3] = header.numbers("Offset", 3) if "Offset" in header.fields else 0
    return check_affine(swap_lps_ras(lps), str(header.path))


def _words(numbers: NDArray[np.generic]) -> str:
    """Numbers as text that gives back exactly the same."""
    return " ".join(map(repr, numbers.ravel().tolist()))


FORMAT = Format(recognise, read, write, (".mha",), right_angled=True, facts=read_facts, voxel_file=voxel_file)
