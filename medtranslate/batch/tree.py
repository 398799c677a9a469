"""Walks folders with links, loops and unreadable parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from natsort import natsort_keygen

from medtranslate.runtime import reason

JOURNAL, LOCK = "batch.jsonl", ".batch.lock"
"""Files of which the folder of a batch holds at least one."""

_NATURAL = natsort_keygen()


@dataclass(frozen=True)
class Refused:
    """Place in a tree that is not read, with the reason in a sentence."""

    path: Path
    why: str


def walk(root: Path, *, without: Path, follow_links: bool) -> Iterator[Path | Refused]:
    """Yield the files at or below `root` in natural order, and what is not followed; skip hidden files.

    What is neither file nor folder (pipes, sockets, devices) is passed over, too. With `follow_links` each
    folder is entered once, however many links lead to it.

    Args:
        without: a folder that is left out.
        follow_links: follow links to folders, and to files outside of `root`.
    """
    if not root.is_dir():
        yield root
        return
    yield from _Walk(root, without, follow_links).below(root)


def is_of_a_batch(folder: Path) -> bool:
    """Check if a batch wrote into a folder; such a folder in a tree is no source."""
    return any((folder / name).is_file() for name in (JOURNAL, LOCK))


class _Walk:
    def __init__(self, root: Path, without: Path, follow_links: bool) -> None:
        self.root, self.without, self.follow_links = root.resolve(), without.resolve(), follow_links
        self.seen: set[tuple[int, int]] = set()

    def below(self, folder: Path) -> Iterator[Path | Refused]:
        try:
            place = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: _NATURAL(entry.name))
        except OSError as error:
            yield Refused(folder, reason(error))
            return
        if (place.st_dev, place.st_ino) in self.seen:
            yield Refused(folder, f"{folder}: a link to a folder that is read under another name; remove it")
            return
        self.seen.add((place.st_dev, place.st_ino))
        for entry in entries:
            if not entry.name.startswith("."):
                yield from self._entry(Path(entry.path))

    def _entry(self, path: Path) -> Iterator[Path | Refused]:
        try:
            link, target = path.is_symlink(), path.resolve()
            folder, file = path.is_dir(), path.is_file()
        except (OSError, RuntimeError) as error:  # a link to itself is a RuntimeError before Python 3.13
            yield Refused(path, f"{path}: a link that leads nowhere ({type(error).__name__}); remove it")
            return
        if target == self.without or (folder and is_of_a_batch(path)):
            return
        if link and not (folder or file):
            yield Refused(path, f"{path}: a link that leads nowhere; remove it")
        elif link and folder and not self.follow_links:
            yield Refused(path, f"{path}: a link to a folder; give --follow-links, or name that folder")
        elif link and not self.follow_links and not target.is_relative_to(self.root):
            yield Refused(path, f"{path}: a link that leads out of the source; give --follow-links")
        elif folder:
            yield from self.below(path)
        elif file:
            yield path
