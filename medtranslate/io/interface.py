"""Declares what a file format is made of."""

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
    """Functions of a format, by which it is told by its first bytes, read, and written.

    Attributes:
        suffixes: of an output in this format, the usual one last; "" is a folder.
        folder_from: slices from which a path without a suffix becomes a folder with a file for each;
            None for a format that holds any number in one file.
        right_angled: whether the axes of what it holds have to be at right angles.
        facts: what `read` would find, by the header alone; None where `inventory` tells it by itself.
        voxel_file: name of the file beside a header that holds the voxels; None where they follow it.
    """

    recognise: Callable[[bytes], bool]
    read: Read
    write: Write
    suffixes: tuple[str, ...]
    folder_from: int | None = None
    right_angled: bool = False
    facts: ReadFacts | None = None
    voxel_file: Callable[[Path], str | None] | None = None
