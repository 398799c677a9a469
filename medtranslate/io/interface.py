"""Interface of a file format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medtranslate.io.facts import Facts
from medtranslate.io.volume import Volume
from medtranslate.records import Derivation

Read = Callable[[Path, str | None, int | None], Volume]
ReadFacts = Callable[[Path, int | None], Facts]
Write = Callable[[Volume, Path, Volume | None, Derivation | None], None]


@dataclass(frozen=True)
class Format:
    """Functions of a format: recognise it by its first bytes, read, and write.

    Attributes:
        suffixes: of an output in this format, the usual one last; "" is a folder.
        folder_from: slices from which a path without a suffix becomes a folder with a file for each;
            None for a format that holds any number in one file.
        right_angled: the axes of its volumes have to be at right angles.
        facts: reads the header alone; None for formats that `inventory` examines by itself.
        voxel_file: name of the file with the voxels beside a header; None if they follow the header.
    """

    recognise: Callable[[bytes], bool]
    read: Read
    write: Write
    suffixes: tuple[str, ...]
    folder_from: int | None = None
    right_angled: bool = False
    facts: ReadFacts | None = None
    voxel_file: Callable[[Path], str | None] | None = None
