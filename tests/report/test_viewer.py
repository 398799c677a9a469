"""What a page's script is given, read as the script reads it."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medtranslate.errors import InputRefused
from medtranslate.records import Cohort, Evaluation, SliceScores, Tissue
from medtranslate.report import VIEWS, Pictures, viewer, write_case
from medtranslate.report.as_html import case_place
from medtranslate.report.viewer import (
    COARSEST_HU,
    Grid,
    Image,
    Packed,
    build_viewer,
    offered_windows,
    pack,
)

SHAPE = (12, 10, 8)
AFFINE = np.diag([-1.0, -1.5, 3.0, 1.0])


def volume(
    low: float, high: float, shape: tuple[int, int, int] = SHAPE, seed: int = 0
) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def unpack(packed: Packed, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """The values [X, Y, Z] as the page's script reads them."""
    count = math.prod(shape)
    data = np.frombuffer(zlib.decompress(base64.b64decode(packed.text)), np.uint8).astype(np.int64)
    folded = data[:count] + (data[count:] << 8 if packed.wide else 0)
    codes = np.cumsum((folded >> 1) ^ -(folded & 1)) % (65536 if packed.wide else 256)
    return packed.low + packed.step * codes.reshape(shape[::-1]).T


def pair(**changes: object) -> tuple[Evaluation, Pictures]:
    truth = volume(-900, 1400).round()
    found = Pictures(
        prediction=volume(-20, 100, seed=1),
        reference=truth.clip(-20, 100),
        mask=truth > -800,
        data_range=(-20.0, 100.0),
        spacing_mm=(1.0, 1.5, 3.0),
        source=volume(0, 800, seed=2).round(),
        source_range=(10.0, 700.0),
        source_unit="a.u.",
        unclipped=truth,
        uncertainty=volume(0, 3, seed=3),
        affine=AFFINE,
    )
    result = Evaluation(
        profile="image",
        unit="HU",
        name="head",
        volume={"mae": 12.0, "psnr": 20.0, "ssim": 0.8},
        data_range=(-20.0, 100.0),
        slices=[SliceScores(index=k, position_mm=3.0 * k, scores={"mae": 10.0 + k}) for k in range(8)],
    )
    return replace(result, **changes), found  # type: ignore[arg-type]


def read_page(path: Path) -> tuple[dict[str, object], dict[str, NDArray[np.float64]]]:
    """The facts and the volumes of a page."""
    page = path.read_text(encoding="utf-8")
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    texts = dict(re.findall(r'id="volume-(\w+)">(.*?)</script>', page, re.DOTALL))
    shape = tuple(facts["shape"])
    volumes = {
        image["key"]: unpack(Packed(image["low"], image["step"], image["wide"], texts[image["key"]]), shape)
        for image in facts["images"]
    }
    volumes["mask"] = unpack(Packed(0.0, 1.0, False, texts["mask"]), shape)
    return facts, volumes


@given(
    st.integers(0, 99),
    st.sampled_from([(0, 255), (-1024, 3071), (0, 65535), (-20.0, 100.0), (0.0, 1e-3), (5, 5)]),
    st.booleans(),
)
@settings(max_examples=40)
def test_values_come_back_to_half_a_step(seed: int, ends: tuple[float, float], whole: bool) -> None:
    values = volume(*ends, seed=seed)
    values = values.round() if whole else values
    packed = pack(values)
    found = unpack(packed, SHAPE)
    assert np.abs(found - values).max() <= packed.step * 0.5001
    assert packed.step <= max(1.0, (ends[1] - ends[0]) / 4096 * 2.5)
    if whole:
        assert np.array_equal(found, values)


def test_the_page_holds_the_arrays(tmp_path: Path) -> None:
    result, pictures = pair()
    VIEWS["html"](result, {"head": pictures}, tmp_path)
    facts, volumes = read_page(tmp_path / "report.html")
    assert list(volumes) == ["source", "translation", "reference", "spread", "mask"]
    assert np.array_equal(volumes["source"], pictures.source)
    assert np.array_equal(volumes["reference"], pictures.unclipped)
    assert np.array_equal(volumes["mask"], pictures.mask)
    steps = {image["key"]: image["step"] for image in facts["images"]}
    assert np.abs(volumes["translation"] - pictures.prediction).max() <= steps["translation"] * 0.5001
    assert steps["translation"] == 0.05
    assert facts["error"] == {"limit": 120.0, "unit": "HU", "of": "HU", "clip": [-20.0, 100.0]}
    assert facts["affine"] == AFFINE.tolist()
    assert facts["slices"]["7"] == 17.0
    assert "in steps of: Source 1 a.u., Translation 0.05 HU" in (tmp_path / "report.html").read_text()


def test_a_large_volume_becomes_coarser_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    values = volume(-1000, 3000, (64, 64, 20))
    mask = np.ones(values.shape, bool)

    def built(most: int) -> viewer.Viewer:
        monkeypatch.setattr(viewer, "MOST_TEXT", most)
        return build_viewer([Image("source", "Source", "HU", values)], mask, Grid((1.0, 1.0, 5.0)))

    finest, coarser, smaller = built(250_000), built(180_000), built(60_000)
    bounded = zip((finest, coarser, smaller), (250_000, 180_000, 60_000), strict=True)
    assert all(len(found.texts["source"]) <= most for found, most in bounded)
    steps = [found.facts["images"][0]["step"] for found in (finest, coarser, smaller)]  # type: ignore[index]
    assert steps == [1.0, COARSEST_HU, COARSEST_HU]
    assert [found.facts["stride"] for found in (finest, coarser)] == [[1, 1, 1]] * 2
    stride = smaller.facts["stride"][0]  # type: ignore[index]
    assert stride > 1
    assert smaller.facts["spacing"] == [stride, stride, 5.0]
    assert "only every" in smaller.notes[1]
    low = smaller.facts["images"][0]["low"]  # type: ignore[index]
    shape = tuple(smaller.facts["shape"])  # type: ignore[arg-type]
    found = unpack(Packed(low, COARSEST_HU, True, smaller.texts["source"]), shape)
    assert np.abs(found - values[::stride, ::stride]).max() <= COARSEST_HU / 2 + 1e-6


@pytest.mark.parametrize(("unit", "said"), [("grey levels", "1 grey level."), ("a.u.", "1 a.u..")])
def test_one_grey_level_is_one(unit: str, said: str) -> None:
    grey = volume(0, 255).round()
    notes = build_viewer([Image("source", "Source", unit, grey)], grey > 0, Grid((1, 1, 1))).notes
    assert notes == [f"Values are shown in steps of: Source {said}"]


def test_what_is_not_finite_is_refused() -> None:
    values = volume(0, 1)
    values[3, 3, 3] = np.nan
    with pytest.raises(InputRefused, match="Source: 1 of 960 voxels are not finite"):
        build_viewer([Image("source", "Source", "HU", values)], np.ones(SHAPE, bool), Grid((1, 1, 1)))


def test_scores_of_another_volume_are_refused(tmp_path: Path) -> None:
    result, pictures = pair(slices=[SliceScores(index=8, scores={"mae": 1.0})])
    with pytest.raises(InputRefused, match="scores of slice 8, but the volume has 8 slices"):
        VIEWS["html"](result, {"head": pictures}, tmp_path)


def test_windows_have_hounsfield_units_or_percentiles() -> None:
    values, mask = volume(-1000, 2000), np.ones(SHAPE, bool)
    ct = offered_windows("HU", values, mask, (-20.0, 100.0), "scored range")
    assert list(ct)[:4] == ["scored range", "brain", "soft tissue", "bone"]
    assert ct["brain"] == (0.0, 80.0)
    mr = offered_windows("a.u.", values, mask, (0.0, 10.0), "standard")
    assert next(iter(mr)) == "standard"
    assert all(low < high for low, high in mr.values())
    assert mr["bright tissue"] == pytest.approx((500, 2000), abs=90)


def test_one_slice_and_pictures_offer_no_planes_and_no_sides(tmp_path: Path) -> None:
    result, pictures = pair(unit="grey levels", slices=[SliceScores(index=0, scores={"mae": 1.0})])
    flat = {"prediction", "reference", "mask", "source", "unclipped", "uncertainty"}
    single = replace(pictures, affine=None, **{name: getattr(pictures, name)[..., 3:4] for name in flat})
    VIEWS["html"](result, {"head": single}, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "no side is named" in page
    assert "Coronal" not in page
    assert read_page(tmp_path / "report.html")[0]["regular"] is False


def test_uneven_slices_have_sides_but_no_places_and_no_other_planes() -> None:
    image = Image("source", "Source", "HU", volume(0, 9))
    mask = np.ones(SHAPE, bool)
    found = build_viewer([image], mask, Grid((1, 1, 1), AFFINE, regular=False))
    assert (found.facts["sides"], found.facts["affine"], found.facts["regular"]) == (True, None, False)
    assert "uneven distances" in found.notes[1]


@pytest.mark.parametrize("name", ["plain-1.2", "../../up", "a/b", "ümlaut <b>", "."])
def test_a_cohort_leads_to_the_pages_of_its_cases(name: str, tmp_path: Path) -> None:
    result, pictures = pair(name=name)
    other, _ = pair(name="other")
    write_case(result, pictures, tmp_path)
    written = [path.relative_to(tmp_path).parts for path in tmp_path.rglob("*.html")]
    assert len(written) == 1
    assert written[0][0] == "cases"
    cohort = Cohort(items=[result, other], mean=result.volume)
    VIEWS["html"](cohort, {}, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert f'href="cases/{written[0][1]}"' in page
    assert page.count('href="cases/') == 1
    assert 'href="../report.html"' in case_place(tmp_path, name).read_text()


def test_outliers_are_named(tmp_path: Path) -> None:
    items = [
        pair(name=f"case{k}", volume={"mae": 10.0 + k / 10, "psnr": 20.0, "ssim": 0.8 + k / 1000})[0]
        for k in range(9)
    ] + [pair(name="odd", volume={"mae": 60.0, "psnr": 10.0, "ssim": 0.2})[0]]
    bone = Tissue(range_hu=(200.0, None), share=0.123, mae=77.7, dice=0.8)
    found = Cohort(items=items, mean=items[0].volume, tissues={"bone": bone}, failed={"lost": "is <empty>"})
    VIEWS["html"](found, {}, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<li>lost: is &lt;empty&gt;</li>" in page
    assert "<td>12.3 %</td><td>77.7</td><td></td><td></td><td>0.800</td>" in page
    assert "<li>odd: MAE 60.0 HU; SSIM 0.200</li>" in page
    assert "1 of 10 stand out" in page
    assert "<li>case" not in page
