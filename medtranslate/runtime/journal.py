"""Journals the finished parts of a long command, so that the same command can continue."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Journal:
    """Finished pieces of work by key; a key is a digest of everything on which the piece depends.

    Attributes:
        path: file of the journal, one JSON object a line.
        done: pieces that earlier runs finished.
    """

    path: Path
    done: Mapping[str, Any]
    _file: FileIO
    _durable: bool = False

    def keep(self, key: str, value: Any) -> None:
        """Write a finished piece at once.

        Raises:
            OSError: the disk is full; no part of the line stays.
        """
        line = (json.dumps({"key": key, "value": value}, allow_nan=False) + "\n").encode()
        end = self._file.seek(0, os.SEEK_END)
        if self._file.write(line) < len(line):
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        if self._durable:
            os.fsync(self._file.fileno())


def read_journal(path: Path) -> dict[str, Any]:
    """Read the finished pieces of a journal, by key; there are none where it does not exist.

    A line that was truncated, by a full disk or a kill, counts as not done.
    """
    done: dict[str, Any] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                done[str(entry["key"])] = entry["value"]
            except (ValueError, TypeError, KeyError):
                continue
    return done


@contextmanager
def journal(path: Path, *, durable: bool = False) -> Iterator[Journal]:
    """Open the journal at `path`, made if there is none; at the end an empty one is removed.

    Args:
        durable: wait until each piece is on the disk, so that it survives a loss of power, too.
    """
    done = read_journal(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A new line first: the last one may have been cut short.
    with path.open("ab", buffering=0) as file:
        file.write(b"\n" if done else b"")
        try:
            yield Journal(path, done, file, durable)
        finally:
            if not path.stat().st_size:
                path.unlink()
