"""What MetaImage and NRRD have in common: lines of text, then voxels behind them or in a file beside them.

Headers are parsed here and not by ITK: for a compressed MetaImage whose data end too early it answers
with uninitialised memory instead of an error.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtranslate.errors import Unreadable
from medtranslate.io.bounds import MAX_BYTES, check_size
from medtranslate.io.voxels import inflate, read_voxels, refusing_damage

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
        """The error that says what is wrong with this header."""
        return Unreadable(f"{self.path}: {what}; export it again as a plain 3-D volume")

    def word(self, name: str, default: str | None = None) -> str:
        """The text of a field.

        Raises:
            Unreadable: it is missing and there is no default.
        """
        found = self.fields.get(name, default)
        if found is None:
            raise self.refuse(f"its header lacks `{name}`")
        return found

    def numbers(self, name: str, count: int) -> NDArray[np.float64]:
        """The numbers of a field; brackets and commas count as space.

        Raises:
            Unreadable: the field is missing, or is not `count` finite numbers.
        """
        words = re.sub(r"[(),]", " ", self.word(name)[:_LONGEST_TEXT]).split()
        values = np.array([float(word) for word in words if _NUMBER.fullmatch(word)])
        if not len(words) == len(values) == count or not np.isfinite(values).all():
            raise self.refuse(f"`{name}` is not {count} finite numbers ({self.word(name)[:60]!r})")
        return values

    def shape(self, name: str) -> tuple[int, int, int]:
        """Three lengths within the bounds.

        Raises:
            Unreadable: they are not whole, not positive or too large.
        """
        lengths = self.numbers(name, 3)
        if (lengths != np.rint(lengths)).any() or (lengths > MAX_BYTES).any():
            raise self.refuse(f"`{name}` is not whole or is huge ({self.word(name)[:60]!r})")
        first, second, third = (int(length) for length in lengths)
        check_size((first, second, third), str(self.path))
        return first, second, third


def read_lines(path: Path) -> Iterator[tuple[str, int]]:
    """The lines of a header and the byte after each, up to the end of the file.

    Raises:
        Unreadable: the system refuses, or the caller has not found the header's end in time.
    """
    with refusing_damage(path), path.open("rb") as file:
        while line := file.readline(MAX_HEADER_BYTES):
            if file.tell() > MAX_HEADER_BYTES:
                raise Unreadable(f"{path}: its header does not end within {MAX_HEADER_BYTES} bytes; mend it")
            yield os.fsdecode(line).strip(), file.tell()


def read_body(
    header: TextHeader, dtype: np.dtype[np.generic], shape: Sequence[int], file: str | None, *, packed: bool
) -> NDArray[np.float32]:
    """The voxels that a header speaks of, as float32.

    Args:
        file: name of the file that holds them; None for behind the header.
        packed: whether they are compressed (zlib or gzip).

    Raises:
        Unreadable: more or fewer voxels than the header says, or none in the header's own folder.
    """
    path = header.path if file is None else _beside(header, file)
    start, size = (header.end if file is None else 0), math.prod(shape) * dtype.itemsize
    with refusing_damage(path), path.open("rb") as stream:
        there = path.stat().st_size - start
        if not packed and there != size:
            raise Unreadable(
                f"{path}: truncated or of another header, {there} of {size} bytes of voxels;"
                " copy or export it again"
            )
        stream.seek(start)
        return read_voxels(inflate(stream) if packed else stream, dtype, shape, path, alone=packed)


def _beside(header: TextHeader, name: str) -> Path:
    if not name or Path(name).name != name or "\\" in name or "\0" in name:
        raise header.refuse(f"its voxels are said to lie in {name[:60]!r}, and only its own folder is read")
    path = header.path.with_name(name)
    if not path.is_file():
        raise header.refuse(f"its voxels are said to lie in the file {name[:60]!r}, which is not there")
    return path
