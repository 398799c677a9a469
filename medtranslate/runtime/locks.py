"""Locks that end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from medtranslate.errors import UsageError

_WAIT = 0.05
_held: set[BinaryIO] = set()


def _let_go() -> None:
    """Close in a forked process what its parent holds, which would outlive the parent there."""
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file, which is made where there is none and stays.

    It is flock's: released when the process that took it ends, by SIGKILL too; processes forked from it do
    not hold it. NFS passes it on to the server (Linux 2.6.12 and later), so it holds between machines.

    Args:
        shared: hold it together with others that share it.
        wait: seconds to wait for others.

    Raises:
        UsageError: others hold it; or the file system has no locks.
    """
    with path.open("a+b") as file:
        end = time.monotonic() + wait
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        while not _take(file, kind):
            if time.monotonic() > end:
                raise UsageError(f"{path.parent}: {_holder(file)} works on it; wait for that, or end it")
            time.sleep(_WAIT)
        if not shared:
            file.truncate(0)
            file.write(f"process {os.getpid()} of {socket.gethostname()}".encode())
            file.flush()
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def _take(file: BinaryIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UsageError(
            f"{Path(file.name).parent}: its file system has no locks ({(error.strerror or '').lower()});"
            " name a folder on another"
        ) from error
    return True


def _holder(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(300).decode("utf-8", "replace") or "another process"
