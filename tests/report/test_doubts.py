"""What is doubtful says so before anything else; what a windowed score is of stands beside it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from medtranslate import cli, translation
from medtranslate.batch.overview import write_overview
from medtranslate.cli.scores import lines
from medtranslate.evaluation.alignment import align
from medtranslate.evaluation.pair import compare
from medtranslate.evaluation.rules import ScoringRules
from medtranslate.io import Meta, Volume
from medtranslate.metrics import SOFT_TISSUE, Range, covers, shown_range
from medtranslate.phantom import study
from medtranslate.records import (
    Batch,
    Cohort,
    Evaluation,
    GateVerdict,
    ModelInfo,
    Outcome,
    Plausibility,
    Source,
    Translation,
)
from medtranslate.report import TRANSLATION_VIEWS, VIEWS, Pictures, Shown
from medtranslate.report.doubts import measures, say_doubts
from medtranslate.report.limitations import limits

WINDOW = (-20.0, 100.0)
DOUBT = "bone outside the head: 35 ml, where 5 ml is the limit"
Array = NDArray[np.float32]


def record(*doubts: str, **changes: object) -> Translation:
    source = Source(shape=(40, 40, 30), spacing_mm=(6, 6, 6), affine=((1, 0, 0, 0),) * 4)
    model = ModelInfo(name="m", sha256="c" * 64, to="ct", output_range=WINDOW, unit="HU")
    found = Plausibility(
        air_ml=12.0,
        bone_outside_ml=35.0,
        fluid=8.25,
        brain=34.0,
        black=0.12,
        closed=0.97,
        doubts=[*doubts],
    )
    values = {"source": source, "model": model, "output": "o.nii.gz", "plausibility": found}
    return Translation(**(values | changes))  # type: ignore[arg-type]


def text_of(folder: Path) -> str:
    """What the page shows, without its tags."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", body)


@pytest.fixture(scope="module")
def head() -> tuple[Array, Array, NDArray[np.float64]]:
    """CT of a digital head [X, Y, Z], its labels, and its affine; LPS."""
    made = study(910_011, size=40, spacing=6.0)
    return made.ct.values, made.mr.values, made.ct.affine


@pytest.fixture(scope="module")
def scored(head: tuple[Array, Array, NDArray[np.float64]]) -> Callable[..., tuple[Evaluation, Pictures]]:
    """Scores of a prediction of that head, as those of a model with a brain window."""

    def score(prediction: Array, made: Translation) -> tuple[Evaluation, Pictures]:
        ct, mr, affine = head

        given = {
            "prediction": Volume(prediction, affine, Meta(modality="ct")),
            "reference": Volume(ct, affine, Meta(modality="ct")),
            "source": Volume(mr, affine, Meta(modality="mr")),
        }
        return compare(align(given), ScoringRules(), translation=made, name="head")

    return score


def good(ct: Array) -> Array:
    """The truth with a little noise in the head."""
    noise = np.random.default_rng(0).normal(0, 4, ct.shape).astype(np.float32)
    return np.where(ct > -500, ct + noise, -1000.0).clip(*WINDOW).astype(np.float32)


def slab(ct: Array) -> Array:
    """Bone in the air beside the head."""
    made = good(ct)
    side = made[:, :, 12:20].max(axis=(1, 2)) <= -16
    assert side[:3].all()
    made[:3, 10:30, 12:20] = 100.0
    return made


def bright_ventricle(ct: Array) -> Array:
    """Bone where there is fluid within the head."""
    made = good(ct)
    fluid = (ct > 0) & (ct < 16)
    assert fluid.sum() > 30
    made[fluid] = 100.0
    return made


def lost_vertex(ct: Array) -> Array:
    """Air above a height."""
    made = good(ct)
    filled = np.flatnonzero((made > 0).any(axis=(0, 1)))
    top = filled[-1] - 3 if ct is not None else 0
    made[..., top:] = WINDOW[0]
    return made


@pytest.mark.parametrize("spoil", [slab, bright_ventricle, lost_vertex])
def test_a_spoilt_translation_scores_worse_and_is_shown_to_be_doubtful(
    spoil: Callable[[Array], Array],
    head: tuple[Array, Array, NDArray[np.float64]],
    scored: Callable[..., tuple[Evaluation, Pictures]],
    tmp_path: Path,
) -> None:
    clean, _ = scored(good(head[0]), record())
    found, drawn = scored(spoil(head[0]), record(DOUBT))
    assert found.volume["mae"] > 1.1 * clean.volume["mae"]
    assert found.volume["psnr"] < clean.volume["psnr"] - 1
    assert found.volume["ssim"] < clean.volume["ssim"]
    for name, one in (("spoilt", found), ("clean", clean)):
        (tmp_path / name).mkdir()
        for view in VIEWS.values():
            view(one, {"head": drawn}, tmp_path / name)
    assert '<section class="verdict good"' in (tmp_path / "clean" / "report.html").read_text()
    page = (tmp_path / "spoilt" / "report.html").read_text()
    assert '<section class="verdict good"' not in page
    text = text_of(tmp_path / "spoilt")
    said = text.index("Bone outside the head: 35 ml, where 5 ml is the limit.")
    assert said < text.index("less error than")
    assert "Doubtful" not in text_of(tmp_path / "clean")
    # The voxels that are wrong are in the picture.
    errors = np.abs(drawn.prediction - drawn.reference)
    assert drawn.mask[errors > 60].all()


def test_what_is_doubtful_is_so_in_every_view_of_one(
    scored: Callable[..., tuple[Evaluation, Pictures]],
    head: tuple[Array, Array, NDArray[np.float64]],
    tmp_path: Path,
) -> None:
    gate = GateVerdict(verdict="warn", reasons=["it looks like PD rather than T1 (log-ratio -2)"])
    made = record(DOUBT, gate=gate)
    shown = Shown(
        source=head[1], translation=good(head[0]), uncertainty=None, mask=head[0] > -500,
        source_range=(0, 1000), range=WINDOW, spacing_mm=(6, 6, 6),
        unit="HU", source_unit="a.u.", affine=head[2],
    )  # fmt: skip
    for view in TRANSLATION_VIEWS.values():
        view([made], [("head", shown)], tmp_path)
    text = text_of(tmp_path)
    first = text.index("The model's input gate doubts the source: it looks like PD".replace("'", "&#39;"))
    assert first < text.index("Bone outside the head: 35 ml") < text.index("Not scored")
    for words in ("12 ml", "8.2 HU on average", "97 % of its ring", "12 % of the brain"):
        assert words in " ".join(text.split())
    assert 'alt="Source, Coronal, through' in (tmp_path / "report.html").read_text()


def test_many_of_which_some_are_doubtful_are_not_good(tmp_path: Path) -> None:
    def pair(name: str, made: Translation) -> Evaluation:
        return Evaluation(
            profile="image",
            unit="HU",
            name=name,
            volume={"mae": 5.0, "psnr": 25.0, "ssim": 0.9},
            translation=made,
        )

    items = [pair("a", record()), pair("b", record(DOUBT))]
    mean, nothing = (
        {"mae": 5.0, "psnr": 25.0, "ssim": 0.9},
        {"mean image": {"mae": 20.0, "psnr": 9.0, "ssim": 0.2}},
    )
    for name, listed in (("all", items), ("sound", [items[0], replace(items[0], name="c")])):
        (tmp_path / name).mkdir()
        VIEWS["html"](Cohort(items=listed, mean=mean, baselines=nothing), {}, tmp_path / name)
    text = text_of(tmp_path / "all")
    assert (
        text.index("1 of 2 translations are doubtful.") < text.index("b: Bone outside") < text.index("Fair:")
    )
    assert "Good: 75% less error" in text_of(tmp_path / "sound")


def test_an_mr_is_measured_in_its_own_unit_and_what_was_not_measured_is_not_told() -> None:
    model = ModelInfo(name="m", sha256="c" * 64, to="mr", output_range=(0, 1000), unit="a.u.")
    made = record(model=model, plausibility=Plausibility(fluid=700.0, brain=420.0))
    assert measures(made) == [
        ("Fluid inside the skull", "700 a.u. on average"),
        ("Brain", "420 a.u. (median)"),
    ]
    assert measures(None) == measures(record(plausibility=None)) == say_doubts(record()) == []


def test_a_gate_that_was_passed_by_force_is_the_first_doubt() -> None:
    gate = GateVerdict(verdict="refuse", reasons=["it is turned"], forced=True)
    assert say_doubts(record(DOUBT, gate=gate)) == [
        "The model's input gate refused the source, and --force passed it: it is turned.",
        "Bone outside the head: 35 ml, where 5 ml is the limit.",
    ]


def test_an_error_of_clipped_values_says_so_wherever_it_stands(
    scored: Callable[..., tuple[Evaluation, Pictures]],
    head: tuple[Array, Array, NDArray[np.float64]],
    tmp_path: Path,
) -> None:
    found, drawn = scored(good(head[0]), record())
    assert found.clipped == WINDOW
    words = "clipped to -20..100 HU"
    told = lines(found)
    assert told[0].startswith(f"profile image: MAE, {words}: ")
    assert all(words in line for line in told if "HU" in line and not line.startswith("not measured"))
    for view in VIEWS.values():
        view(found, {"head": drawn}, tmp_path)
    text = text_of(tmp_path)
    assert f"MAE, {words} lower is better" in " ".join(text.split())
    assert f"Mean absolute error, {words}: " in text
    assert f"Mean absolute error per slice, {words}" in text
    assert not re.findall(r"MAE [\d.]+ HU", text)
    with (tmp_path / "slices.csv").open(newline="") as file:
        assert {row["mae_unit"] for row in csv.DictReader(file)} == {words}


def test_the_overview_of_a_batch_lists_what_failed_then_what_is_doubtful(tmp_path: Path) -> None:
    items = [
        Outcome(name="a.nii", state="done", output="a.nii"),
        Outcome(name="b.nii", state="doubtful", output="b.nii", reason="Bone outside the head: <35 ml>."),
        Outcome(name="c.nii", state="failed", output="c.nii", reason="no head found"),
    ]
    write_overview(Batch(items=items, seconds=1.0, settings={"to": "ct"}), tmp_path)
    page = (tmp_path / "overview.html").read_text()
    assert "1 failed, 1 doubtful, 1 done, 0 finished before" in page
    places = [page.index(words) for words in ("no head found", "&lt;35 ml&gt;", ">a.nii</a>")]
    assert places == sorted(places)
    assert '<tr class="doubtful"' in page
    with (tmp_path / "summary.csv").open(newline="") as file:
        told = {row["name"]: (row["state"], row["reason"]) for row in csv.DictReader(file)}
    assert told["b.nii"] == ("doubtful", "Bone outside the head: <35 ml>.")


def test_the_command_says_doubts_before_other_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = record(DOUBT, warnings=["CT values are limited"])
    monkeypatch.setattr(translation, "translate", lambda settings, quiet: [made])
    assert cli.invoke(["translate", str(tmp_path), "out", "--to", "ct", "--model", "m"]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "warning: doubtful: Bone outside the head: 35 ml, where 5 ml is the limit.",
        "warning: CT values are limited",
    ]
    assert "bone left outside the head: 35 ml" in printed.out.splitlines()


@pytest.mark.parametrize(
    ("ends", "says", "never"),
    [
        ((-20.0, 100.0), "bone and air cannot be assessed", "teeth"),
        ((-1000.0, 2000.0), "teeth and metal are cut off, and no dose has been tested", "bone and air"),
        ((-1024.0, 3071.0), "", "represents"),
    ],
)
def test_what_a_range_of_hu_lacks_is_said_as_it_is(ends: Range, says: str, never: str) -> None:
    model = replace(record().model, to="ct", unit="HU", output_range=ends)
    text = " ".join(limits(model))
    assert says in text
    assert never not in text


@given(
    low=st.floats(-2000, 2000, allow_nan=False),
    width=st.floats(1, 4000),
    unit=st.sampled_from(["HU", "a.u."]),
)
def test_pictures_show_a_window_of_the_range_never_more(low: float, width: float, unit: str) -> None:
    ends = (low, low + width)
    shown = shown_range(ends, unit)
    assert covers(ends, shown)
    assert shown_range(shown, unit) == shown
    assert (shown == ends) == (unit != "HU" or not covers(ends, SOFT_TISSUE) or ends == SOFT_TISSUE)
