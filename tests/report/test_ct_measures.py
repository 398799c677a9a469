from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

import medtranslate
from medtranslate.metrics import path_maps, radiographs
from medtranslate.records import (
    Anatomy,
    Cohort,
    Densities,
    Evaluation,
    Mask,
    ModelInfo,
    PathLength,
    Provenance,
    Source,
    Tissue,
    Translation,
)
from medtranslate.report import VIEWS, Pictures, Projections
from medtranslate.report.ct_measures import MOST_ROWS, case_table
from medtranslate.report.methods import methods
from medtranslate.report.radiographs import project

SPACING = (2.0, 3.0, 4.0)
SHAPE = (30, 40, 20)
ATTACK = "<script>alert(1)</script> [x](y) `z`"


def ct(*places: tuple[int, int, int]) -> NDArray[np.float32]:
    """A block of water with a cube of bone at each place."""
    found = np.full(SHAPE, -1000, np.float32)
    found[5:25, 8:32, 2:18] = 0
    for x, y, z in places:
        found[x : x + 3, y : y + 3, z : z + 3] = 1000
    return found


def pictures(prediction: NDArray[np.float32], reference: NDArray[np.float32]) -> Pictures:
    mask = reference > -500
    both = prediction, reference
    paths = [path_maps(volume, mask, SPACING) for volume in both]
    drawn = [radiographs(volume, SPACING) for volume in both]
    return Pictures(
        *both,
        mask,
        (-1000.0, 1000.0),
        SPACING,
        projections=Projections(
            {beam: (paths[0][beam], paths[1][beam]) for beam in paths[0]},
            {beam: (drawn[0][beam], drawn[1][beam]) for beam in drawn[0]},
        ),
    )


def brightest(image: Image.Image) -> tuple[float, float]:
    """Place of the brightest pixels, as shares of the width and of the height."""
    values = np.asarray(image.convert("L"), np.float64)
    rows, columns = np.nonzero(values > 0.9 * values.max())
    return float(columns.mean() / values.shape[1]), float(rows.mean() / values.shape[0])


@pytest.mark.parametrize(
    ("place", "left", "top", "front"),
    [((6, 20, 14), True, True, None), ((21, 20, 3), False, False, None), ((14, 9, 14), None, True, True)],
    ids=["right, up", "left, down", "in front, up"],
)
def test_radiographs_have_the_right_side_on_the_left_and_the_top_up(
    place: tuple[int, int, int], left: bool | None, top: bool, front: bool | None
) -> None:
    drawn = pictures(ct(place), ct(place))
    x, y = brightest(project(drawn, "front", 5.0)["reference"])
    assert (y < 0.5) == top
    if left is not None:
        assert (x < 0.5) == left
    across, height = brightest(project(drawn, "side", 5.0)["prediction"])
    assert (height < 0.5) == top
    if front is not None:
        assert (across < 0.5) == front


def test_a_longer_path_is_orange_and_a_shorter_one_blue() -> None:
    drawn = pictures(ct((6, 20, 14)), ct((21, 20, 14)))
    image = np.asarray(project(drawn, "front", 3.0)["difference"]).astype(int)
    redder = image[..., 0] - image[..., 2]
    columns = np.arange(image.shape[1]) / image.shape[1]
    # The prediction has bone on the patient's right, which is on the left.
    assert np.average(columns, weights=(redder > 50).sum(axis=0)) < 0.4
    assert np.average(columns, weights=(redder < -50).sum(axis=0)) > 0.6
    assert (project(drawn, "front", 3.0)["reference"].width, image.shape[1]) == (image.shape[1],) * 2


def translation() -> Translation:
    source = Source(modality="mr", shape=SHAPE, spacing_mm=SPACING, affine=((1, 0, 0, 0),) * 4)
    model = ModelInfo(name="m1", sha256="c" * 64, to="ct", output_range=(-1024, 3071), unit="HU")
    return Translation(source=source, model=model, output="o")


def result(name: str = "head", **changes: object) -> Evaluation:
    values: dict[str, object] = {
        "profile": "synthrad2023",
        "unit": "HU",
        "name": name,
        "volume": {"mae": 60.0, "psnr": 30.0, "ssim": 0.9},
        "data_range": (-1024.0, 3000.0),
        "mask": Mask(rule="the body", share=0.4),
        "tissues": {
            "body": Tissue(range_hu=(None, None), share=0.9, mae=60.0, me=-4.5, rmse=120.0),
            "bone": Tissue(range_hu=(200, None), share=0.1, mae=200.0, me=-150.0, rmse=250.0, dice=0.9),
        },
        "anatomy": Anatomy(
            bone_hu=200,
            bone_hd95_mm=2.5,
            skull_mm={"prediction": 6.5, "reference": 7.5, "difference": 1.25},
            ventricles_ml={"prediction": 30.0, "reference": 40.0},
        ),
        "paths": {
            "front": PathLength(reference_mm=150.0, mean_mm=-1.5, sd_mm=2.25, rays=999),
            "side": PathLength(reference_mm=120.0, mean_mm=0.5, sd_mm=1.75, rays=888),
        },
        "densities": Densities(name="Schneider", hu=(-1000.0, 0.0, 3000.0), density=(0.0, 1.0, 2.5)),
        "translation": translation(),
    }
    return Evaluation(**(values | changes))  # type: ignore[arg-type]


def test_a_page_shows_numbers_pictures_and_methods(tmp_path: Path) -> None:
    VIEWS["html"](result(), {"head": pictures(ct((6, 20, 14)), ct((21, 20, 14)))}, tmp_path)
    page = (tmp_path / "report.html").read_text()
    words = (
        *("-4.50", "120.0", "2.5 mm apart", "6.5 mm", "1.25 mm along a ray", "30.0 ml", "-25%"),
        *("-1.5 mm on average (standard deviation 2.25 mm) over 999 rays", "table Schneider, 3 knots"),
        *("Methods, to paste", "SynthRAD2023 Grand Challenge", "ME is the mean error"),
    )
    for text in words:
        assert text in page, text
    assert page.count('alt="Radiograph of the') == 4
    assert page.count('alt="Difference of the path lengths') == 2


def test_without_images_the_radiographs_are_left_out(tmp_path: Path) -> None:
    VIEWS["html"](result(), {}, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Pictures are left out: the images were not at hand." in page
    assert "over 888 rays" in page


def test_what_is_missing_has_its_reason_in_its_place(tmp_path: Path) -> None:
    found = result(anatomy=None, paths={}, densities=None, unmeasured={"ventricles": "none <found>"})
    VIEWS["html"](found, {}, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "ventricles: none &lt;found&gt;." in page
    assert "Path lengths and radiographs" not in page


def test_methods_name_model_data_scores_and_measures() -> None:
    cohort = Cohort(
        items=[result("Doe^Jane"), result("b")],
        mean={"mae": 60.0},
        failed={"c": "no"},
        settings={"prediction": "/home/doe/x"},
    )
    found = methods(cohort)
    for words in (
        "2 MR images of 30 × 40 × 20 voxels of 2 × 3 × 4 mm were translated to CT with medtranslate",
        "The model was m1 (SHA-256 cccccccccccc), whose CT has values from -1024 to 3071 HU.",
        "profile synthrad2023",
        "the mask (the body)",
        "body (outline of the reference), bone (above 200 HU)",
        "table Schneider",
        "Values are means over 2 cases. 1 further cases could not be scored",
    ):
        assert words in found.text, words
    assert not re.search("Doe|Jane|/home|None|nan", found.text)
    assert found.references[0].startswith("medtranslate contributors.")
    assert any("Schneider U" in reference for reference in found.references)
    table = Densities(name="mine.csv", hu=(0.0, 1.0), density=(0.0, 1.0))
    own = methods(result(densities=table))
    assert "table mine.csv" in own.text
    assert not any("Schneider U" in reference for reference in own.references)


def test_methods_of_a_prediction_without_a_record_say_so() -> None:
    found = methods(result(translation=None, tissues={}, anatomy=None, paths={}))
    assert found.text.startswith("One CT image was evaluated; describe here their origin")
    assert "tissue" not in found.text


def test_text_from_outside_is_inert_in_markdown(tmp_path: Path) -> None:
    source = translation().source
    provenance = Provenance(inputs={"source": source}, versions={"numpy": ATTACK})
    found = result(ATTACK, profile=ATTACK, mask=Mask(rule=ATTACK, share=1.0), provenance=provenance)
    VIEWS["methods"](found, {}, tmp_path)
    text = (tmp_path / "methods.md").read_text()
    assert "alert(1)" in text
    assert not re.search(r"(?<!\\)[<\[`]", text)


def test_a_long_table_is_cut_and_its_means_are_of_all() -> None:
    items = [result(f"case{k}") for k in range(MOST_ROWS)] + [result("odd", paths={})]
    found = case_table(items)
    assert found is not None
    assert (len(found.rows), found.more) == (MOST_ROWS, 1)
    means = dict(zip(found.heads, found.means, strict=True))
    assert means["Path length, front, mean error, mm"] == "-1.5"
    assert case_table([result(tissues={}, anatomy=None, paths={})]) is None


def test_the_citation_file_is_of_this_version() -> None:
    cited = yaml.safe_load((Path(medtranslate.__file__).parents[1] / "CITATION.cff").read_text())
    assert (cited["title"], cited["license"]) == ("medtranslate", "Apache-2.0")
    assert medtranslate.__version__.startswith(cited["version"])
    assert cited["cff-version"] == "1.2.0"
    assert cited["authors"]
