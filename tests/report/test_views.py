from __future__ import annotations

import base64
import csv
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from medtranslate.records import (
    UNCALIBRATED,
    Agreement,
    Cohort,
    Coverage,
    Cycle,
    Evaluation,
    Histograms,
    Mask,
    ModelInfo,
    Provenance,
    Scores,
    SliceScores,
    Source,
    Tissue,
    Translation,
    Uncertainty,
)
from medtranslate.report import TRANSLATION_VIEWS, VIEWS, Pictures, Shown

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"


def result(name: str = "head", text: str = "", mae: float = 12.25, **changes: object) -> Evaluation:
    slices = [
        SliceScores(
            index=k, position_mm=3.0 * k, scores={"mae": mae + k, "psnr": 20.0, "ssim": 0.9 - k / 100}
        )
        for k in range(8)
    ]
    values: dict[str, object] = {
        "profile": "image",
        "unit": "HU",
        "name": name,
        "volume": {"mae": mae, "psnr": 21.5, "ssim": 0.875},
        "data_range": (-20.0, 100.0),
        "data_range_rule": "given" + text,
        "slices": slices,
        "baselines": {
            "source copied": {"mae": 30.5, "psnr": 12.0, "ssim": 0.5},
            "histogram match": {"mae": 11.5, "psnr": 22.0, "ssim": 0.6},
        },
        "mask": Mask(rule="head" + text, share=0.4),
        "warnings": ["look out" + text],
    }
    return Evaluation(**(values | changes))  # type: ignore[arg-type]


def translation(name: str) -> Translation:
    source = Source(
        digest="a" * 64, format="png", shape=(1, 1, 1), spacing_mm=(1, 1, 1), affine=((1, 0, 0, 0),) * 4
    )
    card = {"name": name, "summary": f"No patients. {name}"}
    model = ModelInfo(**card, sha256="c" * 64, to="ct", output_range=(-20, 100), unit="HU")
    return Translation(source=source, model=model, output="o")


def pictures(seed: int = 0) -> Pictures:
    reference = np.random.default_rng(seed).uniform(-20, 100, (30, 24, 8)).astype(np.float32)
    mask = np.zeros(reference.shape, bool)
    mask[4:26, 4:20] = True
    return Pictures(
        reference[::-1].copy(), reference, mask, (-20.0, 100.0), (1.0, 1.5, 3.0), reference, (0, 1)
    )


def cohort(count: int = 3, text: str = "") -> Cohort:
    return Cohort(
        items=[result(f"case{k}{text}", text, mae=10.0 + k) for k in range(count)],
        mean={"mae": 11.0, "psnr": 20.0, "ssim": 0.8},
        baselines={"source copied": {"mae": 30.0, "psnr": 10.0, "ssim": 0.5}},
        warnings=[f"case{k}: look out{text}" for k in range(count)],
    )


def cycle(count: int = 3, text: str = "") -> Cycle:
    many = cohort(count, text)
    model = translation("m" + text).model
    return Cycle(
        items=many.items,
        mean=many.mean,
        baselines=many.baselines,
        path=("ct", "mr", "ct"),
        model=model,
        noise=0.05,
    )


class Page(HTMLParser):
    """Tags, attributes, visible text and scripts of a page."""

    def __init__(self, folder: Path, name: str = "report.html") -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.code = "", ""
        self.feed((folder / name).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        last, attributes = self.tags[-1] if self.tags else ("", {})
        if last in ("script", "style") and self.cdata_elem == last:
            self.code += data if last == "script" and "type" not in attributes else ""
        else:
            self.text += data

    def policy(self) -> str:
        found = [meta["content"] for meta in self.all("meta") if meta.get("http-equiv")]
        assert len(found) == 1
        assert found[0]
        return found[0]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(found: Evaluation | Cohort | Cycle, drawn: dict[str, Pictures], folder: Path) -> Page:
    VIEWS["html"](found, drawn, folder)
    return Page(folder)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("drawn", [{}, {"head": pictures(), "case1": pictures(1)}], ids=["bare", "drawn"])
@pytest.mark.parametrize(
    "found",
    [
        result(),
        cohort(),
        cycle(),
        cycle(1),
        result(slices=[], volume={}, baselines={}, mask=None, data_range=None, data_range_rule=None),
        result(volume={"mae": 0.0, "psnr": float("inf"), "ssim": 1.0}, translation=translation("m")),
        result(profile="of another version"),
    ],
    ids=["pair", "cohort", "cycle", "lone cycle", "empty", "perfect", "unknown profile"],
)
def test_every_view_takes_every_result(
    view: str, found: Evaluation | Cohort | Cycle, drawn: dict[str, Pictures], tmp_path: Path
) -> None:
    if isinstance(found, Evaluation) and not found.slices:
        drawn = {}
    VIEWS[view](found, drawn, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_csv_has_a_row_per_slice_and_empty_cells_for_what_is_unknown(tmp_path: Path) -> None:
    lone = result("a,b", slices=[SliceScores(index=4, scores={"mae": 1.5, "psnr": 2.5})])
    VIEWS["csv"](lone, {}, tmp_path)
    with (tmp_path / "slices.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "name": "a,b",
            "index": "4",
            "position_mm": "",
            "mae": "1.5",
            "psnr": "2.5",
            "ssim": "",
            "mae_unit": "HU",
        }
    ]


@pytest.mark.parametrize("many", [False, True], ids=["pair", "cohort"])
def test_text_from_outside_comes_out_inert(many: bool, tmp_path: Path) -> None:
    lone = result(ATTACK, ATTACK, translation=translation(ATTACK), unit="HU" + ATTACK)
    found = cohort(text=ATTACK) if many else lone
    names = [item.name for item in found.items] if isinstance(found, Cohort) else [ATTACK]
    page = page_of(found, {name: pictures() for name in names}, tmp_path)
    assert "alert(1)" in page.text
    assert_inert(page)


def assert_inert(page: Page) -> None:
    """Nothing but the page's own script runs, told by its digest; no element carries code or leads away."""
    assert page.code
    digest = base64.b64encode(hashlib.sha256(page.code.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.policy()
    assert "alert" not in page.code
    assert len([found for found in page.all("script") if "type" not in found]) == 1
    assert {found.get("type") for found in page.all("script")} <= {None, "application/json", "text/plain"}
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in page.all("img"))


def test_the_page_needs_no_network_and_forbids_it(tmp_path: Path) -> None:
    page = page_of(result(), {"head": pictures()}, tmp_path)
    assert not page.all("link")
    whole = (tmp_path / "report.html").read_text()
    assert "@import" not in whole
    assert not re.search(r"https?:|//[a-z]+\.", re.sub(r"<script.*?</script>", "", whole, flags=re.DOTALL))
    rules = [rule.split(" ", 1) for rule in page.policy().split("; ")]
    assert rules[:2] == [["default-src", "'none'"], ["img-src", "data:"]]
    assert all(value.startswith("'sha256-") for _, value in rules[2:])


@pytest.mark.parametrize("many", [False, True])
def test_pages_say_what_the_card_of_the_model_says(many: bool, tmp_path: Path) -> None:
    made = result("one", translation=translation("m"))
    VIEWS["html"](replace(cohort(), items=[made, result("two")]) if many else made, {}, tmp_path)
    assert "The card of the model says: No patients." in Page(tmp_path).text


def test_every_picture_says_what_it_shows(tmp_path: Path) -> None:
    images = page_of(result(), {"head": pictures()}, tmp_path).all("img")
    assert len(images) == 4 * (6 + 2)
    texts = [image["alt"] or "" for image in images]
    assert len(set(texts)) == len(texts)
    assert any("the worst slice" in text and "Slice 7" in text for text in texts)


@pytest.mark.parametrize(
    ("volume", "headline"),
    [
        ({"mae": 12, "psnr": 20, "ssim": 0.7}, "Good: 61% less error than the source copied, SSIM 0.700"),
        (
            {"mae": 24, "psnr": 20, "ssim": 0.7},
            "Fair: better than doing nothing (21% less error than the source",
        ),
        ({"mae": 12, "psnr": 20, "ssim": 0.69}, "Fair: better than doing nothing (61% less"),
        ({"mae": 12, "psnr": 9, "ssim": 0.7}, "Fair: better than doing nothing in some scores only"),
        (
            {"mae": 12, "psnr": 20, "ssim": 0.44},
            "Poor: less error than doing nothing, but unlike the reference",
        ),
        ({"mae": 31, "psnr": 9, "ssim": 0.4}, "Poor: not better than doing nothing"),
        ({"mae": 30.5, "psnr": 12, "ssim": 0.9}, "Poor: not better than doing nothing in its error"),
    ],
)
def test_the_summary_is_honest(volume: Scores, headline: str, tmp_path: Path) -> None:
    page = page_of(result(volume=volume), {}, tmp_path)
    assert f"\n{headline}" in page.text
    assert {found.get("class") for found in page.all("section")} >= {
        f"verdict {headline.partition(':')[0].lower()}"
    }
    assert "Good takes a mean absolute error at least 25% below the best baseline" in page.text
    assert "does not better a histogram match" in page.text
    assert "For research only" in page.text


def test_without_a_source_nothing_is_claimed(tmp_path: Path) -> None:
    page = page_of(result(baselines={}), {}, tmp_path)
    assert "Nothing to compare with" in page.text
    assert "etter than doing nothing\n" not in page.text


def test_warnings_are_shown_and_bounded(tmp_path: Path) -> None:
    page = page_of(cohort(25), {}, tmp_path)
    assert "case0: look out" in page.text
    assert "and 5 more in result.json" in page.text


def challenge(**changes: object) -> Evaluation:
    """A result of the profile synthrad2025, whose slices have no similarity."""
    return result(
        profile="synthrad2025",
        volume={"mae": 60.0, "psnr": 30.5, "ms_ssim": 0.934},
        slices=[
            SliceScores(index=k, position_mm=3.0 * k, scores={"mae": 60.0 + k, "psnr": 30.0})
            for k in range(8)
        ],
        baselines={"source copied": {"mae": 300.0, "psnr": 18.0, "ms_ssim": 0.512}},
        **changes,
    )


def test_a_profile_of_several_scales_shows_what_it_has(tmp_path: Path) -> None:
    page = page_of(challenge(), {"head": pictures()}, tmp_path)
    assert "MS-SSIM 0.934, against 0.512" in page.text
    assert "Good: 80% less error than the source copied, MS-SSIM 0.934" in page.text
    assert "on five scales" in page.text
    assert "SSIM n/a" not in page.text
    assert "SSIM per slice" not in page.text


def test_tissues_agreement_and_unmasked_scores_are_shown(tmp_path: Path) -> None:
    found = challenge(
        tissues={
            "air": Tissue(range_hu=(None, -200.0), share=0.3, mae=33.25),
            "bone": Tissue(range_hu=(200.0, None), share=0.1, dice=0.871, representable=False),
        },
        agreement=Agreement(bias=-7.5, limits=(-207.5, 192.5), wasserstein=14.25),
        unmasked={"mae": 20.25, "psnr": 35.0, "ms_ssim": 0.99},
        reference=["brought onto the prediction's grid"],
    )
    text = page_of(found, {}, tmp_path).text
    assert "below -200 HU" in text
    assert "above 200 HU" in text
    assert "33.2" in text
    assert "not representable" in text
    assert "0.871" in text
    assert "-7.5 HU; limits of agreement -207.5 to 192.5 HU" in text
    assert "14.2 HU apart" in text
    assert "Every voxel" in text
    assert "improves every score" in text
    assert "brought onto the prediction's grid" in text


def test_histograms_seams_and_coverage_are_shown(tmp_path: Path) -> None:
    found = result(
        histograms=Histograms(
            edges=[-20.0, 0.0, 40.0, 100.0],
            counts={"prediction": [90, 5, 9], "reference": [50, 10, 7]},
            below={"prediction": 0, "reference": 0},
            above={"prediction": 0, "reference": 0},
        ),
        seams={"prediction": 0.061, "reference": 0.042},
        coverage=Coverage(within_1_sd=0.2, within_2_sd=0.39, mean_sd=1.5, rms_ratio=12.0, correlation=0.82),
        provenance=Provenance(
            inputs={"reference": replace(translation("m").source, digest="b" * 64)}, versions={"numpy": "2.4"}
        ),
    )
    page = page_of(found, {}, tmp_path)
    lines = [line["points"] for line in page.all("polyline") if "outline" in (line["class"] or "")]
    assert len(lines) == 2
    first = [tuple(map(float, point.split(","))) for point in (lines[0] or "").split()]
    assert first[2][1] == first[3][1] == 75.0  # 5 of 10, the highest of the inner bins
    assert "prediction 6.1%, reference 4.2%" in page.text
    assert "39% within two (95%)" in page.text
    assert f"SHA-256 {'b' * 64}" in page.text
    assert "numpy 2.4" in page.text


def test_coverage_of_error_limits_is_shown_beside_their_share(tmp_path: Path) -> None:
    limits = Coverage(share=0.9, expected=(0.9, 0.999), within_1_sd=0.87, within_2_sd=0.96, mean_sd=20.5)
    text = page_of(result(coverage=limits), {}, tmp_path).text
    assert "87% of the errors lie within the error limit (90% is right), 96% within twice it" in text
    assert "standard deviation" not in text


def test_what_was_not_asked_for_is_not_shown(tmp_path: Path) -> None:
    text = page_of(result(), {}, tmp_path).text
    assert "Where it errs" not in text
    assert "Every voxel" not in text


@pytest.mark.parametrize("count", [1, 3])
def test_a_cycles_page_says_what_its_score_does_not(count: int, tmp_path: Path) -> None:
    page = page_of(cycle(count, ATTACK), {}, tmp_path)
    assert "CT → MR → CT" in page.text
    assert "no evidence that the intermediate image is right" in page.text
    assert "5.0% of the range" in page.text
    if count > 1:
        assert_inert(page)


@pytest.mark.parametrize("spread", ["", "of samples", "calibrated", "limit"])
def test_a_page_without_reference_claims_no_score(spread: str, tmp_path: Path) -> None:
    drawn = pictures()
    shown = Shown(
        source=drawn.reference,
        translation=drawn.prediction,
        uncertainty=np.abs(drawn.reference) if spread else None,
        mask=drawn.mask,
        source_range=(-20.0, 100.0),
        range=(-20.0, 100.0),
        spacing_mm=drawn.spacing_mm,
    )
    heads = f"three heads {ATTACK}" if spread in ("calibrated", "limit") else None
    share = 0.9 if spread == "limit" else None
    meaning = "90% are smaller" if share else UNCALIBRATED
    found = Uncertainty(
        samples=4, seed=1, unit="HU", mean_std=2.5, calibrated_on=heads, share=share, meaning=meaning
    )
    record = replace(
        translation(ATTACK), uncertainty=found if spread else None, seams={"source": 0.01, "output": 0.02}
    )
    TRANSLATION_VIEWS["html"]([record], [(ATTACK, shown)], tmp_path)
    page = Page(tmp_path)
    assert "Not scored" in page.text
    assert ("not calibrated" in page.text) == (spread in ("of samples", "calibrated"))
    assert ("90% error limit per slice" in page.text) == (spread == "limit")
    assert ("90% of the errors on three heads" in page.text) == (spread == "limit")
    assert ("Standard deviation" in page.text) == (spread in ("of samples", "calibrated"))
    assert ("as large as errors were on three heads" in page.text) == (spread == "calibrated")
    assert ("where they agree, it can still be wrong" in page.text) == (spread == "of samples")
    assert len(page.all("img")) == (6 + 2) * (3 if spread else 2)
    assert_inert(page)


def test_a_page_of_ever_so_many_slices_stays_small(tmp_path: Path) -> None:
    slices = [
        SliceScores(index=k, scores={"mae": 1.0 + (k == 12_345), "psnr": 20.0, "ssim": 0.5})
        for k in range(50_000)
    ]
    found = result(slices=slices)
    for name in ("html", "pdf"):
        VIEWS[name](found, {}, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 1_000_000
    assert "one in 13 of 50000 slices is drawn" in page
    assert "slice 12345" in page
    assert (tmp_path / "report.pdf").stat().st_size < 1_000_000
