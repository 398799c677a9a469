"""The same work on many items, in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import TypeVar

from medtranslate.errors import RunFailed

T = TypeVar("T")
Key = TypeVar("Key")
R = TypeVar("R")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    act: Callable[[T], R], items: Mapping[Key, T], workers: int, ready: Callable[[], object]
) -> Iterator[tuple[Key, R]]:
    """`act` on each item, in processes that end with this one; results as they come, with their keys.

    The processes start from a clean one (`forkserver`, or `spawn` where there is none), because a process
    that has run torch can't be forked safely. So the main script is imported again: a script that calls this
    needs `if __name__ == "__main__":`. Where the block that takes the results ends early (Ctrl-C), what the
    processes were at is dropped.

    Args:
        act: a function of a module, with an argument and a result that can be pickled.
        items: what it is called with.
        workers: processes.
        ready: called in each process first.

    Raises:
        RunFailed: a process was ended from outside, as one is that takes too much memory.
        Exception: what `act` raises.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(items)), mp_context=process_context(ready), initializer=_begin, initargs=(ready,)
    )
    finished = False
    try:
        futures = {pool.submit(act, item): key for key, item in items.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
        finished = True
    except BrokenProcessPool as error:
        raise RunFailed(
            "a worker process was ended from outside, for its memory perhaps; take fewer with --workers"
        ) from error
    finally:
        if not finished:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
        pool.shutdown(cancel_futures=True)


def process_context(first: Callable[..., object]) -> ForkServerContext | SpawnContext:
    """How processes start whose first call is `first`; its module is imported once for all of them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([getattr(first, "func", first).__module__])
    if threading.current_thread() is threading.main_thread():
        # The server imports for seconds; a Ctrl-C meant for this process must not end it with a traceback.
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)
        forkserver.ensure_running()
        signal.signal(signal.SIGINT, former)
    return context


def begin_process() -> None:
    """A worker leaves Ctrl-C to its parent, and never outlives it."""
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
