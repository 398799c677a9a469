"""Turns signals into requests that wait for the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a request that the block checks when it can stop.

    The second signal has its usual effect: it ends the work at once. An ignored signal stays
    ignored, for example in a shell's background job. Python handles signals in the main thread
    alone; in other threads the request never comes.

    Yields:
        A function that returns True after a signal.
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
