"""Watches a folder for new files that have stopped changing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from contextlib import suppress

from medtranslate.batch.items import Item, find_items
from medtranslate.config import BatchSettings
from medtranslate.errors import Unreadable

Sign = tuple[tuple[int, int] | None, ...]
"""Size and time of change of an item's files."""


def arriving(settings: BatchSettings, busy: Set[str]) -> Iterator[Item | None]:
    """Yield items unchanged for `settings.settle` seconds, again after each change; without end.

    None stands for "nothing at the moment". A series has changed when a file has joined it, too.

    Args:
        busy: names of items that are being worked on, and are left until that is over.
    """
    since: dict[str, tuple[Sign, float]] = {}
    given: dict[str, Sign] = {}
    while True:
        found: list[Item] = []
        # A source that is away (a share that is not mounted at the moment) may come back.
        with suppress(Unreadable):
            found = find_items(settings)
        now = time.monotonic()
        for item in found:
            sign = _sign(item)
            if since.get(item.name, (None,))[0] != sign:
                since[item.name] = sign, now
            settled = now - since[item.name][1] >= settings.settle
            if settled and given.get(item.name) != sign and item.name not in busy:
                given[item.name] = sign
                yield item
        while time.monotonic() - now < settings.settle / 2:
            yield None


def _sign(item: Item) -> Sign:
    signs: list[tuple[int, int] | None] = []
    for path in item.paths:
        try:
            state = path.stat()
            signs.append((state.st_size, state.st_mtime_ns))
        except OSError:
            signs.append(None)
    return tuple(signs)
