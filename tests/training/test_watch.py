"""The page by which a run is watched."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medtranslate.errors import Diverged, Interrupted
from medtranslate.report.training_page import (
    MOMENTS,
    ROWS,
    SHOWN,
    Plot,
    TrainingPage,
    TrainingView,
    draw_plot,
    moments,
    read_rows,
)
from medtranslate.training import fit, loop, watch
from medtranslate.training.normal import MEASURED, nearest
from medtranslate.training.pictures import Row, draw_sheet, save_sheet
from medtranslate.training.watch import MOST_POINTS, PAGE, Means


class Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.outlines, self.pictures, self.reloads = "", list[str](), list[str](), False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.outlines += [known.get("points") or ""] if tag == "polyline" else []
        self.pictures += [known.get("alt") or ""] if tag == "img" else []
        self.reloads |= known.get("http-equiv") == "refresh"

    def handle_data(self, data: str) -> None:
        self.text += data if self.cdata_elem is None else ""


def test_a_run_leaves_a_page_with_its_curves_and_labelled_pictures(settings):
    fit(settings, quiet=True)
    page = Page(settings.out / PAGE)
    assert "16 of 16 images (100%): all images seen" in page.text
    assert not page.reloads
    assert {"CT, validation", "MR to CT", "true CT", "CT to MR", "true MR"} <= set(page.pictures)
    assert page.pictures.count("4") == page.pictures.count("8") == page.pictures.count("16") == 2
    for title in ("Error on digital heads", "Anchor: slices whose truth is known", "KL of the posterior"):
        assert title in page.text
    places = [float(place) for points in page.outlines for place in points.replace(",", " ").split()]
    assert min(places) >= 0
    assert "after 160 images at 48 pixels, three runs from noise had errors of 58.3 ± 13.8 %" in page.text


def test_a_page_that_is_resumed_equals_one_that_was_never_stopped(settings, monkeypatch):
    whole, cut = replace(settings, out=settings.out / "a"), replace(settings, out=settings.out / "b")
    settings.out.mkdir()
    fit(whole, quiet=True)
    step, steps = loop.train_step, iter(range(3))
    with monkeypatch.context() as patch, pytest.raises(StopIteration):
        patch.setattr(loop, "train_step", lambda *arguments: (next(steps), step(*arguments))[1])
        fit(cut, quiet=True)
    assert "ended by an error" in Page(cut.out / PAGE).text
    fit(replace(cut, resume=True), quiet=True)
    one, two = (Page(run.out / PAGE) for run in (whole, cut))
    assert one.outlines == two.outlines
    assert one.pictures == two.pictures


def test_a_run_that_is_asked_to_stop_says_so_and_one_that_runs_reloads(settings, monkeypatch):
    seen = []
    write = watch.Watch.write

    def note(self, state):
        write(self, state)
        seen.append((state, Page(settings.out / PAGE).reloads))

    monkeypatch.setattr(watch.Watch, "write", note)
    monkeypatch.setattr(loop, "stop_requests", lambda: StopAtOnce())
    with pytest.raises(Interrupted):
        fit(settings, quiet=True)
    assert seen[0] == ("running", True)
    assert seen[-1] == ("interrupted", False)


class StopAtOnce:
    def __enter__(self):
        return lambda: True

    def __exit__(self, *error):
        return None


def test_a_page_that_cannot_be_written_ends_no_run_and_hides_no_error(settings, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no space")

    monkeypatch.setattr(watch, "whole_output", refuse)
    fit(replace(settings, images=4), quiet=True)
    assert not (settings.out / PAGE).exists()
    broken = replace(settings, learning_rate=1e30, overwrite=True)
    with pytest.raises(Diverged):
        fit(broken, quiet=True)


def test_between_validations_the_page_takes_a_hundredth_of_the_time(settings, monkeypatch):
    now, written = [0.0], []
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    settings.out.mkdir()
    seen = watch.Watch(settings, 0, {})

    def write(state):
        written.append(now[0])
        seen.written = now[0]

    monkeypatch.setattr(seen, "write", write)
    seen.cost = 2.0
    for images in range(1, 1001):
        now[0] = float(images)
        seen.see_step(images, now[0], {"total": 1.0})
    assert written == [201.0, 402.0, 603.0, 804.0]


@given(st.integers(1, 5000))
def test_a_long_log_keeps_its_means_and_few_points(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    table = Means()
    for k, value in enumerate(values):
        table.add(k, {"total": float(value)})
    images, found = table.curves()["total"] if table.curves() else ([], [])
    assert len(images) == len(found) <= 2 * MOST_POINTS
    whole = len(images) * table.each
    assert count - whole < table.each
    assert np.mean(found) == pytest.approx(values[:whole].mean(), abs=1e-9)
    assert images == pytest.approx(np.arange(whole).reshape(-1, table.each).mean(axis=1))


@pytest.mark.parametrize("side", [8, 64, 200])
def test_the_rows_of_a_sheet_are_found_again(tmp_path: Path, side: int) -> None:
    slices = torch.rand(3, 1, side, side) * 2 - 1
    rows = [Row("CT, validation", slices), Row("CT to MR", -slices)]
    save_sheet(draw_sheet(rows, "after 8 of 16 images"), tmp_path / "8.png")
    with Image.open(tmp_path / "8.png") as sheet:
        found = read_rows(sheet)
    assert [label for label, _ in found] == ["CT, validation", "CT to MR"]
    for (_, strip), row in zip(found, rows, strict=True):
        assert strip.shape == (side, SHOWN * side)
        shown = np.concatenate([*row.slices[:, 0].numpy()], axis=1)
        assert strip[:, : 3 * side] == pytest.approx((shown + 1) * 127.5, abs=1)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{}",
        "no json",
        '{"labels": [], "left": 0, "top": 0, "step": 9, "side": 9}',
        '{"labels": ["a"], "left": 0, "top": 0, "step": 900, "side": 900}',
        '{"labels": ["a"], "left": 0, "top": -9, "step": 9, "side": 9}',
    ],
)
def test_a_picture_without_rows_is_left_out_of_the_page(tmp_path: Path, text: str | None) -> None:
    info = PngInfo()
    if text is not None:
        info.add_text(ROWS, text)
    Image.new("L", (40, 40)).save(tmp_path / "8.png", pnginfo=info)
    (tmp_path / "16.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    pictures = {images: tmp_path / f"{images}.png" for images in (8, 16, 32)}
    view = TrainingView("<i>t</i>", False, "h", [], ["<script>"], [], [], pictures, [])
    page = TrainingPage().render(view)
    assert "The first come after" in page
    assert "<script" not in page
    assert "<i>" not in page


def test_moments_hold_the_first_and_the_last() -> None:
    assert moments([5]) == [5]
    assert moments([8, 1, 4]) == [1, 4, 8]
    shown: set[int] = set()
    for count in range(1, 200):
        found = moments(range(count))
        assert len(found) <= MOMENTS
        assert (found[0], found[-1]) == (0, count - 1)
        assert set(found[:-1]) <= shown  # so that no picture is read again
        shown |= set(found)


def test_the_first_steps_do_not_flatten_a_curve() -> None:
    drawn = draw_plot(Plot("t", {"": (range(200), [1e6, *[1.0] * 199])}))
    heights = [float(pair.split(",")[1]) for pair in drawn.outlines[""].split()]
    assert heights[0] == 0
    assert heights[-1] < drawn.height / 2


def test_what_is_compared_was_measured_and_lies_around_the_length(settings) -> None:
    at_300 = nearest(replace(settings, network=replace(settings.network, size=96)), 300)
    assert [(found.images, found.size) for found in at_300] == [(160, 128), (320, 128)]
    assert [found.images for found in nearest(settings, 5)] == [160]
    assert [found.images for found in nearest(settings, 20_000)] == [10_000, 58_000]
    docs = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    for found in MEASURED:
        assert re.search(re.escape(found.to_ct), docs), found
        assert re.search(re.escape(found.to_mr), docs), found
