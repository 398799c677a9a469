"""Reads, processes and writes several items at the same time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Given = TypeVar("Given")
Made = TypeVar("Made")
Done = TypeVar("Done")


def staged(
    items: Iterable[Item],
    read: Callable[[Item], Given],
    work: Callable[[Given], Made],
    write: Callable[[Made], Done],
) -> Generator[Done, None, None]:
    """Yield `write(work(read(item)))` of each item in order; read the next and write the last meanwhile.

    `read` and `write` have a thread each; `work` runs in the thread of the caller. One item at most
    waits between two stages, so at most four are held at a time. An exception of a stage is raised
    after the results of the earlier items, and no later item starts. When the iterator ends, is
    closed or interrupted, it waits for the running stages, and no thread is left.
    """
    left = iter(items)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:

        def begin() -> Future[Given] | None:
            return next((reader.submit(read, item) for item in left), None)

        going: Future[Done] | None = None
        try:
            coming = begin()
            while coming is not None:
                given = coming.result()
                coming = begin()
                made = work(given)
                del given
                if going is not None:
                    yield going.result()
                going = writer.submit(write, made)
                del made
        except Exception:
            if going is not None:
                last, going = going, None
                yield last.result()
            raise
        if going is not None:
            yield going.result()
