"""Signals that wait for a step's end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM be a request, which the block asks for where it can stop.

    The second does what a signal does outside: it ends the work at once. A signal that was ignored
    before stays so, as that of a shell's background job is. Python hears signals in the main thread
    alone; in others the block is never asked to stop.

    Yields:
        Whether a signal has come.
    """
    asked = threading.Event()
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in former.items() if handler not in (signal.SIG_IGN, None)]
    if threading.current_thread() is not threading.main_thread():
        heard = []

    def give_back() -> None:
        for number in heard:
            signal.signal(number, former[number])

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        give_back()

    for number in heard:
        signal.signal(number, note)
    try:
        yield asked.is_set
    finally:
        give_back()
