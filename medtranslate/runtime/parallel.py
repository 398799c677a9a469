"""Starts worker processes, which end with this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from medtranslate.errors import UsageError

if TYPE_CHECKING:  # Windows has no ForkServerContext
    from multiprocessing.context import ForkServerContext, SpawnContext

_UNGUARDED = 79
"""Exit code of a worker process that ran its script instead of importing it."""
_GUARD = (
    "worker processes import the script that began them, and this one begins its work at once; put the call"
    ' below `if __name__ == "__main__":`'
)


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_context(first: Callable[..., object]) -> ForkServerContext | SpawnContext:
    """Choose the start method of processes whose first call is `first`; its module is imported once.

    Raises:
        UsageError: the main script is no file (a notebook is fine), so that processes cannot import it.
    """
    end_if_imported()
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script and getattr(sys.modules["__main__"], "__spec__", None) is None and not Path(script).is_file():
        raise UsageError(f"{script}: is no file that worker processes could import; save the script as one")
    if "forkserver" not in multiprocessing.get_all_start_methods():  # Windows
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([getattr(first, "func", first).__module__])
    if threading.current_thread() is threading.main_thread():
        # The server imports for seconds; a Ctrl-C meant for this process must not end it with a traceback.
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)
        forkserver.ensure_running()
        signal.signal(signal.SIGINT, former)
    return context


def end_if_imported() -> None:
    """End a worker process that runs its script instead of importing it.

    Called at the start of the work, before anything is read or written. The parent recognises the exit
    code and reports it once (`require_guard`).
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(_UNGUARDED)


def require_guard(ended: BaseProcess) -> None:
    """Refuse a script that starts its work on import.

    Args:
        ended: a worker process that has ended.

    Raises:
        UsageError: it ended because it ran the script.
    """
    if ended.exitcode == _UNGUARDED:
        raise UsageError(_GUARD)


def begin_process() -> None:
    """Leave Ctrl-C to the parent of a worker, and end the worker when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if parent := multiprocessing.parent_process():
        sentinel = parent.sentinel

        def follow() -> None:
            wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
