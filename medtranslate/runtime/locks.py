"""Locks files, so that one process at a time writes into a folder, however the process ends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from medtranslate.errors import UsageError

_WAIT = 0.05
_LOCKED_BYTES = 1
"""Size of the locked region. On Windows no other process can read it, so the holder's name follows."""
MOVES_OPEN_FILES = os.name != "nt"
"""False on Windows, which renames no folder with an open file in it."""
_held: set[BinaryIO] = set()


def _close_inherited() -> None:
    """Close a parent's locks in a forked process, where they would outlive the parent."""
    for file in _held:
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


@contextmanager
def locked(path: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file, which is made if there is none and stays.

    The operating system's lock is taken (by filelock: `flock`, on Windows `LockFileEx`). It is released when
    the process that took it ends, also by SIGKILL; processes forked from it do not hold it. NFS passes it on
    to the server (Linux 2.6.12 and later), so it works between machines.

    Args:
        wait: seconds to wait for others.

    Raises:
        UsageError: another process holds it; or the file system has no locks.
    """
    with path.open("a+b") as file:
        end = time.monotonic() + wait
        while not _take(file):
            if time.monotonic() > end:
                raise UsageError(f"{path.parent}: {_holder(file)} works on it; wait for that, or end it")
            time.sleep(_WAIT)
        file.truncate(0)
        file.write(b" " * _LOCKED_BYTES + f"process {os.getpid()} of {socket.gethostname()}".encode())
        file.flush()
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def _take(file: BinaryIO) -> bool:
    """Take the lock of an open file; False if another process holds it."""
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        raise UsageError(
            f"{Path(file.name).parent}: its file system has no locks ({(error.strerror or '').lower()});"
            " name a folder on another"
        ) from error


def _holder(file: BinaryIO) -> str:
    """Name the process that holds a lock, by its entry in the file."""
    file.seek(_LOCKED_BYTES)
    return file.read(300).decode("utf-8", "replace") or "another process"
