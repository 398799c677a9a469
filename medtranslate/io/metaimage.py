"""MetaImage: .mha, and .mhd with its voxels in one file beside it (fields as in MetaIO's documentation).

World coordinates are LPS, as ITK's are; `AnatomicalOrientation` only restates them and is not read.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray

from medtranslate.errors import GeometryRefused
from medtranslate.geometry import COSINE, check_affine, spacing, swap_lps_ras
from medtranslate.io.label import label
from medtranslate.io.scan import Facts, Scan
from medtranslate.io.text_header import TextHeader, read_body, read_lines
from medtranslate.io.voxels import as_stored, write_voxels
from medtranslate.result import Derivation

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


def recognise(head: bytes) -> bool:
    """Whether a file that starts with `head` is a MetaImage."""
    return re.match(rb"\s*(ObjectType|NDims|Comment)\s*=", head) is not None and b"Dim" in head


def read(path: Path, series: str | None = None) -> Scan:
    """Read one grey volume of any number type, zipped or not; what its header says is checked first.

    Raises:
        Unreadable: damaged, truncated, too large, not 3-D, several channels, text instead of binary
            voxels, voxels outside the header's folder, or voxels that are not finite.
        GeometryRefused: the directions are no unit vectors, or lie in a plane.
    """
    header = _read_header(path)
    facts, packed = _facts(header), _flag(header, "CompressedData")
    return facts.scan(read_body(header, facts.dtype, facts.shape, _voxel_file(header), packed=packed))


def voxel_file(path: Path) -> str | None:
    """Name of the file beside the header that holds the voxels; None where they follow it.

    Raises:
        Unreadable: damaged.
    """
    return _voxel_file(_read_header(path))


def _voxel_file(header: TextHeader) -> str | None:
    name = header.word("ElementDataFile")
    return None if name.upper() == "LOCAL" else name


def read_facts(path: Path) -> Facts:
    """What `read` would find, without the voxels.

    Raises:
        Unreadable: as `read`, as far as the header tells.
        GeometryRefused: the directions are no unit vectors, or lie in a plane.
    """
    return _facts(_read_header(path))


def _facts(header: TextHeader) -> Facts:
    if header.word("ObjectType", "Image").lower() != "image":
        raise header.refuse(f"it holds a {header.word('ObjectType')[:60]!r}, not an image")
    if header.word("NDims") != "3":
        raise header.refuse(f"it has {header.word('NDims')[:60]!r} dimensions")
    if header.word("ElementNumberOfChannels", "1") != "1":
        raise header.refuse(f"it has {header.word('ElementNumberOfChannels')[:60]!r} channels")
    if not _flag(header, "BinaryData"):
        raise header.refuse("its voxels are text")
    if header.word("HeaderSize", "0") != "0" or header.word("DistanceUnits", "mm") not in ("mm", "?"):
        raise header.refuse("it has a HeaderSize or a DistanceUnits that is not mm")
    if header.word("ElementType") not in _TYPES:
        raise header.refuse(f"its ElementType {header.word('ElementType')[:60]!r} is no number")
    order = ">" if _flag(header, "BinaryDataByteOrderMSB") else "<"
    dtype = np.dtype(order + _TYPES[header.word("ElementType")])
    shape, notes = header.shape("DimSize"), list[str]()
    return Facts(shape, _affine(header, notes), dtype, notes)


def write(volume: MetaTensor, path: Path, like: MetaTensor | None, derivation: Derivation | None) -> None:
    """Write header and voxels (as `as_stored` says) in one file, not compressed.

    A translation says what it is in fields of its own, which ITK keeps (it drops `Comment`).
    """
    values = as_stored(volume)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    lps = swap_lps_ras(volume.affine.numpy())
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
        "DimSize": _words(np.array(values.shape)),
        "ElementType": kinds[values.dtype.name],
        **(label(volume, derivation).fields if derivation else {}),
        "ElementDataFile": "LOCAL",
    }
    header = "".join(f"{name} = {text}\n" for name, text in fields.items())
    write_voxels(path, header.encode("ascii"), values)


def _read_header(path: Path) -> TextHeader:
    """The fields up to `ElementDataFile`, which is the last."""
    fields: dict[str, str] = {}
    header = TextHeader(path, fields, 0)
    for number, (line, end) in enumerate(read_lines(path), 1):
        name, separator, text = (part.strip() for part in line.partition("="))
        name = _SAME.get(name, name)
        if not separator or name in fields:
            raise header.refuse(f"line {number} of its header is damaged or says something twice")
        fields[name] = text
        if name == "ElementDataFile":
            return replace(header, end=end)
    raise header.refuse("its header lacks `ElementDataFile`")


def _flag(header: TextHeader, name: str) -> bool:
    text = header.word(name, "False")
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
    if size is None or "TransformMatrix" not in header.fields:
        notes.append(
            "the header lacks voxel size or orientation: taken as 1 mm, and as left, posterior, superior"
        )
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
