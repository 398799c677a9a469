"""Pages of a batch: the state and a picture of each item."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from medtranslate.records import Batch, Outcome
from medtranslate.report.page import render
from medtranslate.runtime import whole_output

ITEMS = 500
"""Items of a page, which then has a few megabytes with its pictures."""
FIRST = {"failed": 0, "doubtful": 1}
"""Order of the states on the pages; all others come last."""


def write_batch_pages(batch: Batch, pictures: Mapping[str, Path], path: Path) -> None:
    """Write `path`, and further pages with -2, -3, ... in their names for more than `ITEMS` items.

    Failed items come first, then doubtful ones. Each page is written before the next begins, so that only its
    own pictures are in memory.

    Args:
        pictures: JPEG or PNG files by the item's name, each beside or below `path`; some may be missing.
    """
    items = sorted(batch.items, key=lambda item: FIRST.get(item.state, len(FIRST)))
    starts = range(0, max(1, len(items)), ITEMS)
    names = [path.name, *(f"{path.stem}-{number}.html" for number in range(2, len(starts) + 1))]
    for name, start in zip(names, starts, strict=True):
        part = items[start : start + ITEMS]
        page = _page(batch, part, pictures, {} if len(names) == 1 else _numbered(names), name)
        with whole_output(path.with_name(name), overwrite=True, folder=False) as fresh:
            fresh.write_text(page, encoding="utf-8")


def _page(
    batch: Batch, items: Sequence[Outcome], pictures: Mapping[str, Path], pages: Mapping[str, str], name: str
) -> str:
    counts = {state: len(batch.of(state)) for state in ("failed", "doubtful", "done", "skipped")}
    return render(
        "batch.html",
        "cohort.js",
        title=f"{len(batch.items)} translations to {str(batch.settings.get('to', '')).upper()}",
        kind="medtranslate batch",
        home=None,
        counts=counts,
        batch=batch,
        rows=list(_rows(items, pictures)),
        pages=pages,
        here=name,
    )


def _rows(items: Sequence[Outcome], pictures: Mapping[str, Path]) -> Iterator[tuple[Outcome, str, str]]:
    """Yield each item, the address of its output, and its picture as a data URI."""
    for item in items:
        drawn = ""
        if item.state != "failed" and item.name in pictures:
            with suppress(OSError):
                raw = pictures[item.name].read_bytes()
                kind = "png" if pictures[item.name].suffix == ".png" else "jpeg"
                drawn = f"data:image/{kind};base64," + base64.b64encode(raw).decode("ascii")
        yield item, quote(item.output), drawn


def _numbered(names: Sequence[str]) -> dict[str, str]:
    return {name: str(number) for number, name in enumerate(names, 1)}
