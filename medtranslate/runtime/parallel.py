"""Does the same work on many items in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from medtranslate.errors import RunFailed, UsageError

if TYPE_CHECKING:  # Windows has no ForkServerContext
    from multiprocessing.context import ForkServerContext, SpawnContext

_UNGUARDED = 79
"""Exit code of a worker process that ran its script instead of importing it."""
_EXIT_SECONDS = 2.0
"""Wait for the exit code of a process that has ended: the system gives it a moment later."""
_GUARD = (
    "worker processes import the script that began them, and this one begins its work at once; put the call"
    ' below `if __name__ == "__main__":`'
)

T = TypeVar("T")
Key = TypeVar("Key")
R = TypeVar("R")


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    act: Callable[[T], R], items: Mapping[Key, T], workers: int, ready: Callable[[], object]
) -> Iterator[tuple[Key, R]]:
    """Call `act` on each item in processes that end with this one; yield results with keys as they arrive.

    The processes start from a clean one (`forkserver`, or `spawn` where there is none), because a process
    that has run torch can't be forked safely. So the main script is imported again: a script that calls this
    needs `if __name__ == "__main__":`. If the block that takes the results ends early (Ctrl-C), unfinished
    work is dropped.

    Args:
        act: a function of a module, with an argument and a result that can be pickled.
        items: keys and arguments.
        workers: number of processes.
        ready: called first in each process.

    Raises:
        UsageError: the script that calls this is no file, or calls it where it is imported.
        RunFailed: a process was killed from outside, by the OOM killer for example.
        Exception: raised by `act`.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(items)), mp_context=process_context(ready), initializer=_begin, initargs=(ready,)
    )
    finished = False
    children: set[BaseProcess] = set()
    try:
        futures = {}
        for key, item in items.items():
            futures[pool.submit(act, item)] = key  # which starts a process while there are too few
            children |= set(multiprocessing.active_children()) - others
        for future in as_completed(futures):
            yield futures[future], future.result()
        finished = True
    except BrokenProcessPool as error:
        require_guard(children)
        raise RunFailed(
            "a worker process was ended from outside, for its memory perhaps; take fewer with --workers"
        ) from error
    finally:
        if not finished:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
        pool.shutdown(cancel_futures=True)


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


def require_guard(ended: Collection[BaseProcess]) -> None:
    """Refuse a script that starts its work on import.

    Args:
        ended: worker processes that have ended.

    Raises:
        UsageError: one of them ended because it ran the script.
    """
    end = time.monotonic() + _EXIT_SECONDS
    while True:
        codes = {process.exitcode for process in ended}
        if _UNGUARDED in codes:
            raise UsageError(_GUARD)
        if None not in codes or time.monotonic() > end:
            return
        time.sleep(0.02)


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


def _begin(ready: Callable[[], object]) -> None:
    begin_process()
    ready()
