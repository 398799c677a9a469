from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from medtranslate.batch.overview import write_overview
from medtranslate.batch.preview import thumbnail_of
from medtranslate.records import (
    Batch,
    GateVerdict,
    ModelInfo,
    Outcome,
    Plausibility,
    Source,
    Translation,
)
from medtranslate.report import batch_page
from medtranslate.report.item_measures import MEASURES, measures_of

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


def record(**changes: object) -> Translation:
    source = Source(digest="a" * 64, shape=(1, 1, 1), spacing_mm=(1, 1, 1), affine=((1, 0, 0, 0),) * 4)
    model = ModelInfo(name="m", sha256="c" * 64, to="ct", output_range=(-20, 100), unit="HU")
    return Translation(source=source, model=model, output="o", **changes)  # type: ignore[arg-type]


def test_measures_are_those_of_the_record_and_never_infinite() -> None:
    gate = GateVerdict(verdict="pass", scores={"distance": 1.25, "mr": 3.0}, limits={"distance": (1.5, 2.0)})
    found = measures_of(
        record(
            gate=gate,
            saturated=0.25,
            seams={"source": 0.01, "output": 0.02},
            plausibility=Plausibility(fluid=12.0, brain=35.0, bone_outside_ml=0.5, black=float("nan")),
        )
    )
    assert found == {
        "gate_distance": 1.25,
        "gate_distance_limit": 1.5,
        "saturated": 0.25,
        "seams": 0.02,
        "seams_source": 0.01,
        "contrast_hu": 23.0,
        "fluid_hu": 12.0,
        "brain_hu": 35.0,
        "bone_outside_ml": 0.5,
    }
    assert measures_of(record()) == {}


def test_each_dot_leads_to_the_row_of_its_item_and_doubtful_ones_to_the_first(tmp_path: Path) -> None:
    items = [
        outcome(f"{k}.nii", measures={"gate_distance": 1.0 + k / 1000, "gate_distance_limit": 1.3})
        for k in range(700)
    ]
    items[600] = outcome(
        "600.nii", state="doubtful", measures={"gate_distance": 1.9, "gate_distance_limit": 1.3}
    )
    items[601] = outcome("601.nii", state="failed", reason="no head found")
    write_overview(Batch(items=items, seconds=3.0, settings={"to": "ct"}), tmp_path)
    text = {
        name: (tmp_path / name).read_text(encoding="utf-8") for name in ("overview.html", "overview-2.html")
    }
    dots = re.findall(
        r'<a href="([^"]*)"[^>]*><circle class="dot( doubtful)?" [^>]*><title>(.*?):', text["overview.html"]
    )
    assert len(dots) == 300
    assert [(address, name) for address, doubtful, name in dots if doubtful] == [("#item-1", "600.nii")]
    assert len({address.partition("#")[0] for address, *_ in dots}) == 2
    for address, _, name in dots:
        page, _, row = address.partition("#")
        assert re.search(
            rf'<tr[^>]* id="{row}">(?:(?!</tr>).)*>{re.escape(name)}</a>',
            text[page or "overview.html"],
            re.DOTALL,
        )
    assert "doubtful above 1.3" in text["overview.html"]
    assert "<circle" not in text["overview-2.html"]
    assert "Bone outside the head, ml" in text["overview.html"].partition("Not measured in any")[2]


def test_a_summary_has_a_column_for_each_measure(tmp_path: Path) -> None:
    items = [
        outcome("a.nii", measures={"contrast_hu": 13.5, "closed": 0.123456789}),
        outcome("b.nii", state="failed"),
    ]
    write_overview(Batch(items=items, seconds=3.0, settings={"to": "ct"}), tmp_path)
    with (tmp_path / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(MEASURES) < set(rows[0])
    assert (rows[0]["contrast_hu"], rows[0]["closed"], rows[0]["black"]) == ("13.5", "0.123457", "")
    assert not any(rows[1][name] for name in MEASURES)


def test_a_measure_that_is_the_same_in_all_is_a_sentence(tmp_path: Path) -> None:
    items = [outcome(f"{k}.nii", measures={"black": 0.01, "closed": 0.5 + k / 10}) for k in range(3)]
    write_overview(Batch(items=items, seconds=3.0), tmp_path)
    text = (tmp_path / "overview.html").read_text(encoding="utf-8")
    assert "The same in all: Black inside the skull, % of the brain: 1." in text
    assert text.count("<circle") == 3


def test_a_batch_without_measures_has_no_plots(tmp_path: Path) -> None:
    write_overview(Batch(items=[outcome("a.nii", state="failed")], seconds=3.0), tmp_path)
    assert "<circle" not in (tmp_path / "overview.html").read_text(encoding="utf-8")


def test_heavy_pictures_are_spread_over_more_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_page, "PICTURES", 10_000)
    items = [outcome(f"{k}.nii") for k in range(7)]
    for item, size in zip(items, [4000, 4000, 4000, 20_000, 1, 4000, 4000], strict=True):
        picture = tmp_path / thumbnail_of(Path(item.output))
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(bytes(size))
    write_overview(Batch(items=items, seconds=3.0, settings={"to": "ct"}), tmp_path)
    names = ["overview.html", *(f"overview-{k}.html" for k in range(2, 5))]
    assert [Page(tmp_path / name).pictures for name in names] == [2, 1, 1, 3]
    assert not (tmp_path / "overview-5.html").exists()
