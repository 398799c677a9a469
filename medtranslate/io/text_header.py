"""Common part of MetaImage and NRRD: lines of text, then voxels behind them or in a file beside them.

Headers are parsed here and not by ITK: for a compressed MetaImage whose data end too early it answers
with uninitialised memory instead of an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtranslate.errors import Unreadable
from medtranslate.io.bounds import MAX_BYTES, check_size
from medtranslate.io.inflate import refusing_damage
from medtranslate.io.voxels import Body, check_length

MAX_HEADER_BYTES = 2**20
"""Longest header that is read; Slicer copies a DICOM header's worth of text into some."""

_LONGEST_TEXT = 1000
"""Characters of a field that are looked at."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class TextHeader:
    """Fields of a header by name.

    Attributes:
        end: the byte after the header.
    """

    path: Path
    fields: Mapping[str, str]
    end: int

    def refuse(self, what: str) -> Unreadable:
        """Make the error of an invalid header."""
        return Unreadable(f"{self.path}: {what}; export it again as a plain 3-D volume")

    def word(self, name: str, default: str | None = None) -> str:
        """Read the text of a field.

        Raises:
            Unreadable: it is missing and there is no default.
        """
        found = self.fields.get(name, default)
        if found is None:
            raise self.refuse(f"its header lacks `{name}`")
        return found

    def numbers(self, name: str, count: int) -> NDArray[np.float64]:
        """Read the numbers of a field; brackets and commas count as space.

        Raises:
            Unreadable: the field is missing, or is not `count` finite numbers.
        """
        words = re.sub(r"[(),]", " ", self.word(name)[:_LONGEST_TEXT]).split()
        values = np.array([float(word) for word in words if _NUMBER.fullmatch(word)])
        if not len(words) == len(values) == count or not np.isfinite(values).all():
            raise self.refuse(f"`{name}` is not {count} finite numbers ({self.word(name)[:60]!r})")
        return values

    def lengths(self, name: str, count: int) -> list[int]:
        """`count` whole numbers from 1 on.

        Raises:
            Unreadable: they are not whole, not positive or huge.
        """
        lengths = self.numbers(name, count)
        if (lengths != np.rint(lengths)).any() or (lengths > MAX_BYTES).any():
            raise self.refuse(f"`{name}` is not whole or is huge ({self.word(name)[:60]!r})")
        whole = [int(length) for length in lengths]
        if min(whole) < 1:
            check_size(whole, str(self.path))
        return whole

    def whole(self, name: str, default: str) -> int:
        """Read a whole number of few digits.

        Raises:
            Unreadable: it is none.
        """
        text = self.word(name, default)
        if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
            raise self.refuse(f"`{name}` is no whole number ({text[:60]!r})")
        return int(text)


def read_lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the lines of a header and the byte after each, up to the end of the file.

    Raises:
        Unreadable: the system refuses, or the caller has not found the header's end in time.
    """
    with refusing_damage(path), path.open("rb") as file:
        while line := file.readline(MAX_HEADER_BYTES):
            if file.tell() > MAX_HEADER_BYTES:
                raise Unreadable(f"{path}: its header does not end within {MAX_HEADER_BYTES} bytes; mend it")
            yield os.fsdecode(line).strip(), file.tell()


def find_body(
    header: TextHeader,
    file: str | None,
    number: np.dtype[np.generic],
    voxels: Sequence[int],
    *,
    packed: bool,
    skip: int = 0,
    index: int = 0,
    alternating: bool = False,
) -> Body:
    """Find the voxels of one volume of a header.

    Args:
        file: name of the file that holds them; None for behind the header.
        number: type of a voxel.
        voxels: in a volume, and volumes.
        packed: whether they are compressed (zlib or gzip).
        skip: bytes before them, after inflating; -1 for as many as there are more than voxels.
        index: of the volume, from 0.
        alternating: whether volumes alternate voxel by voxel; otherwise they follow each other.

    Raises:
        Unreadable: the file lies elsewhere or is missing, or holds more or fewer bytes than the header says.
    """
    path, begin = (header.path, header.end) if file is None else (_beside(header, file), 0)
    in_one, volumes = voxels
    size = in_one * volumes * number.itemsize
    if skip < 0:
        with refusing_damage(path):
            begin, skip = max(begin, path.stat().st_size - size), 0
    fields = {
        "names": ["value"],
        "formats": [number],
        "offsets": [index * number.itemsize],
        "itemsize": volumes * number.itemsize,
    }
    body = Body(
        path,
        begin,
        packed,
        skip + (0 if alternating else index * in_one * number.itemsize),
        np.dtype(fields) if alternating else number,  # type: ignore[call-overload]  # numpy's stub lacks it
        alone=alternating or index == volumes - 1,
    )
    check_length(replace(body, alone=True), skip + size)
    return body


def _beside(header: TextHeader, name: str) -> Path:
    if name.startswith("LIST") or "%" in name:
        raise header.refuse(f"its voxels are said to lie in several files ({name[:60]!r}), and one is read")
    if not name or Path(name).name != name or "\\" in name or "\0" in name:
        raise header.refuse(f"its voxels are said to lie in {name[:60]!r}, and only its own folder is read")
    path = header.path.with_name(name)
    if not path.is_file():
        raise header.refuse(f"its voxels are said to lie in the file {name[:60]!r}, which is not there")
    return path
