"""The planes that head a page: which they are, at which scale, and what a page without them says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medtranslate.records import Evaluation, SliceScores
from medtranslate.report import VIEWS, Pictures, Shown
from medtranslate.report.key_planes import key_cuts, key_of_pair, key_of_translation
from medtranslate.report.wording import name_images

SPACING = (1.0, 2.0, 3.0)


def pair(depth: int = 20) -> tuple[Evaluation, Pictures]:
    mask = np.zeros((40, 30, depth), bool)
    mask[5:35, 5:25] = True
    mask[:, :, -1] = False
    mask[10, 10, -1] = True  # a tip of the head, whose score is the worst of all
    values = np.random.default_rng(0).uniform(-20, 100, mask.shape).astype(np.float32)
    scores = [
        SliceScores(index=k, scores={"mae": 10.0 + (k == 7) + 90 * (k == depth - 1)}) for k in range(depth)
    ]
    result = Evaluation(profile="image", unit="HU", name="head", volume={"mae": 10.0}, slices=scores)
    found = Pictures(values, values[::-1], mask, (-20.0, 100.0), SPACING, source=values, affine=np.eye(4))
    return result, found


def test_the_worst_slice_that_shows_a_head_is_first() -> None:
    result, found = pair()
    figure = key_of_pair(result, found, name_images(result))
    assert figure.rows == ["Source", "Translation", "Reference"]
    assert [plane.title for plane in figure.planes] == ["Axial 7, worst", "Coronal 14", "Sagittal 19"]
    assert [plane.left for plane in figure.planes] == ["R", "R", "A"]
    assert "worst slice by MAE" in figure.caption


def test_all_planes_have_one_scale_and_do_not_overlap() -> None:
    result, found = pair()
    figure = key_of_pair(replace(result, slices=[]), found, name_images(result))
    axial, coronal, sagittal = (plane.pictures[0] for plane in figure.planes)
    assert axial.width == coronal.width
    assert axial.height == sagittal.width
    assert coronal.height == sagittal.height
    assert (axial.width - 30 * 1.0) / 1.0 == pytest.approx(2 * round(0.06 * 40))
    boxes = [picture for plane in figure.planes for picture in plane.pictures]
    for k, one in enumerate(boxes):
        assert 0 <= one.left < one.left + one.width <= figure.width + 1e-9
        assert 0 <= one.top < one.top + one.height <= figure.height + 1e-9
        for other in boxes[k + 1 :]:
            apart = one.left + one.width <= other.left or one.top + one.height <= other.top
            assert apart or other.left + other.width <= one.left or other.top + other.height <= one.top


def test_pictures_have_one_plane_and_tilted_slices_their_own() -> None:
    flat = np.ones((20, 20, 1), bool)
    assert [(cut.axis, cut.index) for cut in key_cuts(flat)[0]] == [(2, 0)]
    deep = np.ones((20, 20, 30), bool)
    cuts, caption = key_cuts(deep, regular=False)
    assert {cut.axis for cut in cuts} == {2}
    assert len(cuts) == 3
    assert "as acquired" in caption
    volume = np.zeros((20, 20, 1), np.float32)
    figure = key_of_translation(Shown(volume, volume, None, flat, (0.0, 1.0), (0.0, 1.0), (1.0, 1.0, 1.0)))
    assert [plane.title for plane in figure.planes] == ["Source", "Translation"]
    assert [plane.left for plane in figure.planes] == ["", ""], "a picture has no sides"
    assert figure.width > 2 * figure.height, "side by side"


def test_a_page_shows_them_before_any_prose_and_opens_without_them(tmp_path: Path) -> None:
    result, found = pair()
    VIEWS["html"](result, {"head": found}, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.index('class="key-planes"') < text.index("What was done") < text.index("Reader’s comment")
    VIEWS["html"](result, {}, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'class="key-planes"' not in text
    assert "the images were not at hand" in text


def test_the_day_of_a_page_can_be_fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    result, found = pair()
    pages = []
    for _ in range(2):
        VIEWS["html"](result, {"head": found}, tmp_path)
        pages.append((tmp_path / "report.html").read_bytes())
    assert pages[0] == pages[1]
    assert b"1970-01-02" in pages[0]
