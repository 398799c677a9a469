from __future__ import annotations

import base64
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medtranslate.records import (
    Agreement,
    Cohort,
    Coverage,
    Evaluation,
    Histograms,
    ModelInfo,
    Provenance,
    Registration,
    SliceScores,
    Source,
    Tissue,
    Translation,
    Uncertainty,
    worst_slices,
)
from medtranslate.report import TRANSLATION_VIEWS, VIEWS, Pictures, Shown
from medtranslate.report.pdf_pictures import representative_slices

ATTACK = '<img src="/etc/hostname"/><a href="http://x.invalid">\x1b[31m</para>&'
SHAPE = (40, 48, 8)


class Document:
    """What a PDF of ReportLab holds, decoded without it."""

    def __init__(self, path: Path) -> None:
        self.raw = path.read_bytes()
        # Pages are in base 85, fonts and pictures may not be.
        streams = re.findall(rb"stream\r?\n([!-u\s]*?)~>endstream", self.raw)
        self.objects = re.sub(rb"stream\r?\n.*?endstream", b"", self.raw, flags=re.DOTALL)
        inflated = [zlib.decompress(base64.a85decode(stream.strip())) for stream in streams]
        self.pages = [page.decode("latin-1") for page in inflated if b"BT" in page and b" Tj" in page]
        self.images = len(re.findall(rb"/Subtype /Image", self.objects))

    def text(self, page: str | None = None) -> str:
        """Strings that are shown; of the characters outside ASCII other bytes."""
        shown = re.findall(r"\((.*?)(?<!\\)\) Tj", page or "\n".join(self.pages), re.DOTALL)
        return " ".join(re.sub(r"\\([()\\])", r"\1", words) for words in shown)


def result(**changes: object) -> Evaluation:
    slices = [
        SliceScores(
            index=k, position_mm=3.0 * k, scores={"mae": 10.0 + k, "psnr": 20.0 - k, "ssim": 0.9 - k / 100}
        )
        for k in range(8)
    ]
    values: dict[str, object] = {
        "profile": "image",
        "unit": "HU",
        "name": "head",
        "volume": {"mae": 12.25, "psnr": 21.5, "ssim": 0.875},
        "data_range": (-20.0, 100.0),
        "slices": slices,
        "baselines": {"source copied": {"mae": 30.5, "psnr": 12.0, "ssim": 0.5}},
    }
    return Evaluation(**(values | changes))  # type: ignore[arg-type]


def pictures(**changes: object) -> Pictures:
    reference = np.random.default_rng(0).uniform(-20, 100, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, bool)
    mask[6:34, 6:42] = True
    drawn = Pictures(reference[::-1].copy(), reference, mask, (-20, 100), (4.0, 4.0, 3.0), reference, (0, 1))
    return replace(drawn, **changes)  # type: ignore[arg-type]


def translation(name: str = "m", **changes: object) -> Translation:
    source = Source(
        digest="a" * 64, format="nifti", shape=SHAPE, spacing_mm=(4, 4, 3), affine=((1, 0, 0, 0),) * 4
    )
    card = {"name": name, "summary": f"No patients. {name}"}
    model = ModelInfo(**card, sha256="c" * 64, to="ct", output_range=(-20, 100), unit="HU")
    return Translation(source=source, model=model, output="out.nii.gz", **changes)  # type: ignore[arg-type]


def written(found: Evaluation | Cohort, drawn: dict[str, Pictures], folder: Path) -> Document:
    VIEWS["pdf"](found, drawn, folder)
    return Document(folder / "report.pdf")


def test_summary_scores_slices_and_origin_are_printed(tmp_path: Path) -> None:
    found = result(
        tissues={
            "bone": Tissue(range_hu=(200.0, None), share=0.1, dice=0.871, representable=False),
            "soft tissue": Tissue(range_hu=(-200.0, 200.0), share=0.9, mae=33.25),
        },
        agreement=Agreement(bias=-7.5, limits=(-207.5, 192.5), wasserstein=14.25),
        coverage=Coverage(within_1_sd=0.31, within_2_sd=0.52, mean_sd=1.5, rms_ratio=3.0, correlation=0.4),
        seams={"prediction": 0.031, "reference": 0.012},
        histograms=Histograms(
            edges=[-20.0, 40.0, 100.0],
            counts={"prediction": [3, 5], "reference": [4, 4]},
            below={"prediction": 0, "reference": 0},
            above={"prediction": 1, "reference": 1},
        ),
        registration=Registration(
            target="prediction",
            matrix=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
            rotation_degrees=1.25,
            translation_mm=4.5,
            mutual_information={"before": 0.3, "after": 0.5},
            overlap=0.98,
            applied=True,
        ),
        provenance=Provenance(
            inputs={"reference": replace(translation().source, digest="d" * 64)},
            versions={"numpy": "9.8.7"},
        ),
        translation=translation(),
        settings={"out": "/home/somebody/scores", "profile": "image"},
        warnings=["look out"],
    )
    document = written(found, {"head": pictures()}, tmp_path)
    text = document.text()
    for words in (
        *(
            "Good: 60% less error than the source copied, SSIM 0.875",
            "look out",
            "12.2",
            "30.5",
            "not representable",
            "33.2",
            "0.871",
        ),
        *("Bias", "-207.5 to 192.5 HU", "14.2 HU apart", "31% of the errors", "52% within two"),
        *("prediction 3.1%, reference 1.2%", "turned by 1.25 degrees", "SHA-256 " + "c" * 64),
        *("SHA-256 " + "d" * 64, "numpy 9.8.7", "Worst: slice 7", "Typical: slice 4", "Best: slice 0"),
        *("Mean absolute error, HU", "PSNR, dB", "SSIM", "Histograms", "50 mm"),
    ):
        assert words in text, words
    assert "somebody" not in text
    assert document.images == 20, "source, translation, reference and error of three slices and two planes"
    assert "worst is the worst of all" in text
    assert "Coronal, through the middle of the head" in text
    curves = [page for page in document.pages if len(re.findall(r" l\b", page)) > 30]
    assert curves, "curves are lines, not pictures"


def test_every_page_is_numbered_and_says_what_it_is_not_for(tmp_path: Path) -> None:
    document = written(result(), {"head": pictures()}, tmp_path)
    assert len(document.pages) > 1
    for number, page in enumerate(document.pages, start=1):
        assert f"{number} / {len(document.pages)}" in document.text(page)
        assert "For research only" in document.text(page)


def test_fonts_are_embedded_and_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.append(written(result(), {"head": pictures()}, tmp_path / name).raw)
    assert files[0] == files[1]
    fonts = set(re.findall(rb"/BaseFont /([\w+-]+)", files[0]))
    assert fonts == {b"AAAAAA+DejaVuSans", b"AAAAAA+DejaVuSans-Bold"}
    assert files[0].count(b"/FontFile2") == len(fonts)


@pytest.mark.parametrize("many", [False, True])
def test_text_from_outside_is_printed_as_it_is(many: bool, tmp_path: Path) -> None:
    lone = result(
        name=ATTACK,
        profile=ATTACK,
        unit="HU" + ATTACK,
        warnings=[ATTACK],
        translation=translation(ATTACK),
        settings={"key": ATTACK},
        reference=[ATTACK],
    )
    cohort = Cohort(items=[lone, replace(lone, name="b")], mean={"mae": 1.0}, warnings=[ATTACK])
    document = written(cohort if many else lone, {}, tmp_path)
    assert "img src=" in document.text()
    assert "No patients." in document.text()
    assert r"\x1b" in document.text()
    for action in (b"/URI", b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile", b"/Annot"):
        assert action not in document.objects
    assert not any("\x1b" in page for page in document.pages)
    assert document.images == 0


def test_unusual_letters_and_missing_parts_do_no_harm(tmp_path: Path) -> None:
    bare = Evaluation(
        profile="of another version", unit="", volume={"mae": float("nan")}, name="头\U0001f9e0\ud800"
    )
    assert "1 / " in written(bare, {}, tmp_path).text()


def test_a_long_table_breaks_and_repeats_its_head(tmp_path: Path) -> None:
    items = [result(name=f"case{k:03}") for k in range(80)]
    document = written(Cohort(items=items, mean={"mae": 12.0, "psnr": 20.0, "ssim": 0.8}), {}, tmp_path)
    pages = [document.text(page) for page in document.pages if "case0" in document.text(page)]
    assert len(pages) > 1
    assert all("MAE, HU" in page for page in pages)
    assert "case079" in pages[-1]


def test_the_worst_slice_is_that_of_the_table_and_the_best_shows_a_head() -> None:
    drawn = pictures()
    drawn.reference[..., [0, 7]] = -20
    assert [(rank, plane.index) for rank, plane in representative_slices(result(), drawn)] == [
        ("Worst", worst_slices(result(), 1)[0].index),
        ("Typical", 4),
        ("Best", 1),
    ]


def test_pictures_without_a_place_get_no_scale_bar(tmp_path: Path) -> None:
    flat = [SliceScores(index=k, scores={"mae": 10.0 + k}) for k in range(8)]
    assert (
        " mm" not in written(result(slices=flat, unit="grey levels"), {"head": pictures()}, tmp_path).text()
    )


def test_images_that_are_not_at_hand_are_said_to_be_left_out(tmp_path: Path) -> None:
    document = written(result(), {}, tmp_path)
    assert "Left out" in document.text()
    assert document.images == 0


def test_a_translation_without_reference_claims_no_score(tmp_path: Path) -> None:
    drawn = pictures()
    shown = Shown(
        source=drawn.reference,
        translation=drawn.prediction,
        uncertainty=np.abs(drawn.reference),
        mask=drawn.mask,
        source_range=(-20.0, 100.0),
        range=(-20.0, 100.0),
        spacing_mm=drawn.spacing_mm,
        affine=np.eye(4),
    )
    record = translation(
        uncertainty=Uncertainty(samples=4, seed=1, unit="HU", mean_std=2.5),
        seams={"source": 0.01, "output": 0.02},
    )
    TRANSLATION_VIEWS["pdf"]([record], [("head", shown)], tmp_path)
    document = Document(tmp_path / "report.pdf")
    text = document.text()
    for words in (
        "Not scored",
        "not calibrated",
        "What the translation itself shows",
        "SHA-256 " + "a" * 64,
        "50 mm",
        "no dose",
    ):
        assert words in text, words
    assert document.images == 17
    assert "MAE" not in text
