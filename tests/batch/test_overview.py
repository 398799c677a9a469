from __future__ import annotations

import csv
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

from medtranslate.batch.overview import write_overview
from medtranslate.batch.preview import thumbnail_of
from medtranslate.records import Batch, Outcome

ATTACK = "<script>alert(1)</script>\n\"'&.nii"


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.pictures = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append(tag)
        self.links += [unquote(known.get("href") or "")] if tag == "a" else []
        self.pictures += tag == "img" and (known.get("src") or "").startswith("data:image/jpeg;base64,")


def outcome(name: str, **changes: object) -> Outcome:
    values: dict[str, object] = {"name": name, "state": "done", "output": name, "slices": 4, "seconds": 1.5}
    return Outcome(**(values | changes))  # type: ignore[arg-type]


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    failed = outcome("b.nii", state="failed", reason=f"{ATTACK}: broken", warnings=[])
    batch = Batch(items=[outcome(ATTACK), failed], seconds=3.0, settings={"to": "ct"})
    picture = tmp_path / thumbnail_of(Path(ATTACK))
    picture.parent.mkdir(parents=True)
    Image.new("L", (8, 4)).save(picture)
    write_overview(batch, tmp_path)
    page = Page(tmp_path / "overview.html")
    assert page.tags.count("script") == 1
    assert page.links == [ATTACK]
    assert page.pictures == 1
    with (tmp_path / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [ATTACK, "b.nii"]
    assert rows[1]["reason"] == f"{ATTACK}: broken"


def test_many_items_are_spread_over_pages_that_lead_to_each_other(tmp_path: Path) -> None:
    items = [outcome(f"{number}.nii") for number in range(1001)]
    items[700] = outcome("700.nii", state="failed", reason="no head found")
    write_overview(Batch(items=items, seconds=3.0, settings={"to": "ct"}), tmp_path)
    names = ["overview.html", "overview-2.html", "overview-3.html"]
    assert sorted(path.name for path in tmp_path.glob("*.html")) == sorted(names)
    pages = [Page(tmp_path / name) for name in names]
    assert [page.tags.count("tr") - 1 for page in pages] == [500, 500, 1]
    assert pages[0].links[:2] == names[1:]
    first = (tmp_path / "overview.html").read_text(encoding="utf-8")
    assert first.index("700.nii") < first.index("0.nii</a>")
