"""Pages of a batch: the state and a picture of each item."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from medtranslate.records import Batch, Outcome
from medtranslate.report.batch_strips import MOST_DOTS, Strip, draw_measures
from medtranslate.report.page import render
from medtranslate.runtime import whole_output

ITEMS = 500
"""Most items of a page."""
PICTURES = 2_500_000
"""Most bytes of the pictures of a page; with four thirds of them it has less than 5 MB."""
FIRST = {"failed": 0, "doubtful": 1}
"""Order of the states on the pages; all others come last."""


def write_batch_pages(batch: Batch, pictures: Mapping[str, Path], path: Path) -> None:
    """Write `path`, and further pages with -2, -3, ... in their names if one would hold too much.

    Failed items come first, then doubtful ones. The first page draws the measures of all items. Each page is
    written before the next begins, so that only its own pictures are in memory.

    Args:
        pictures: JPEG or PNG files by the item's name, each beside or below `path`; some may be missing.
    """
    items = sorted(batch.items, key=lambda item: FIRST.get(item.state, len(FIRST)))
    parts = list(_parts(items, pictures))
    names = [path.name, *(f"{path.stem}-{number}.html" for number in range(2, len(parts) + 1))]
    addresses = [
        f"{name if name != path.name else ''}#item-{k}"
        for name, part in zip(names, parts, strict=True)
        for k in part
    ]
    drawn = draw_measures(items, addresses)
    for name, part in zip(names, parts, strict=True):
        pages = {} if len(names) == 1 else _numbered(names)
        page = _page(batch, items, part, pictures, pages, name, drawn if name == path.name else ([], []))
        with whole_output(path.with_name(name), overwrite=True, folder=False) as fresh:
            fresh.write_text(page, encoding="utf-8")


def _parts(items: Sequence[Outcome], pictures: Mapping[str, Path]) -> Iterator[range]:
    """Divide items among pages, by their number and the size of their pictures; at least one page."""
    start, size = 0, 0
    for k, item in enumerate(items):
        own = 0
        with suppress(OSError):
            own = pictures[item.name].stat().st_size if item.name in pictures else 0
        if k > start and (k - start >= ITEMS or size + own > PICTURES):
            yield range(start, k)
            start, size = k, 0
        size += own
    yield range(start, len(items))


def _page(
    batch: Batch,
    items: Sequence[Outcome],
    part: range,
    pictures: Mapping[str, Path],
    pages: Mapping[str, str],
    name: str,
    drawn: tuple[list[Strip], list[str]],
) -> str:
    counts = {state: len(batch.of(state)) for state in ("failed", "doubtful", "done", "skipped")}
    strips, remarks = drawn
    return render(
        "batch.html",
        "cohort.js",
        title=f"{len(batch.items)} translations to {str(batch.settings.get('to', '')).upper()}",
        kind="medtranslate batch",
        home=None,
        counts=counts,
        batch=batch,
        strips=strips,
        remarks=remarks,
        most_dots=MOST_DOTS,
        first=part.start,
        rows=list(_rows([items[k] for k in part], pictures)),
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
