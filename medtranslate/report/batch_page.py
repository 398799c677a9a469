"""The pages of a batch: what became of each item, with a picture of it."""

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
"""Of a page: with its pictures it stays within a few megabytes."""
FIRST = {"failed": 0, "doubtful": 1}
"""States that are looked at first, in their order."""


def write_batch_pages(batch: Batch, pictures: Mapping[str, Path], path: Path) -> None:
    """Write `path`, and where there are many items `path` with -2, -3, ... for the rest.

    Failed items come first, then doubtful ones.

    A page is written before the next is begun, so that the pictures of one are held at a time.

    Args:
        pictures: JPEG or PNG files by the item's name, each beside or below `path`; some may be missing.
    """
    items = sorted(batch.items, key=lambda item: FIRST.get(item.state, len(FIRST)))
    starts = range(0, max(1, len(items)), ITEMS)
    names = [path.name, *(f"{path.stem}-{number}.html" for number in range(2, len(starts) + 1))]
    for name, start in zip(names, starts, strict=True):
        shown = items[start : start + ITEMS]
        page = _page(batch, shown, pictures, {} if len(names) == 1 else _numbered(names), name)
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
    """Each item, the address of its output, and its picture as a data URI."""
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
