from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import medtranslate as mt
from medtranslate import cli
from medtranslate.config import EvaluateSettings, ReportSettings
from medtranslate.evaluation import ScoringRules, evaluate, render, score_pair
from medtranslate.io import Volume, write_volume
from medtranslate.records import Cohort, Evaluation, Translation, read_result

Build = Callable[..., Volume]
Made = Callable[..., Translation]
Array = NDArray[np.float32]

WHOLE = ScoringRules(profile="synthrad2023")
PATHS = "water-equivalent path length, radiograph"


@pytest.fixture
def skull(volume: Build) -> Build:
    """A round head of 46 x 46 x 46 voxels of 4 mm: scalp, 8 mm of bone, brain, fluid, air."""
    x, y, z = np.meshgrid(*(np.arange(46) * 4 - 90.0 for _ in range(3)), indexing="ij", sparse=True)
    radius = np.sqrt(x**2 + y**2 + z**2)
    fluid = (x / 20) ** 2 + (y / 28) ** 2 + ((z - 20) / 12) ** 2 < 1
    brain = np.where(fluid, 5.0, 35.0)
    soft = np.where(radius < 76, brain, np.where(radius < 84, 1200.0, 40.0))

    def build(change: Callable[[Array], Array] = lambda ct: ct, **meta: object) -> Volume:
        ct = np.where(radius < 90, soft, -1000.0).astype(np.float32)
        return volume(change(ct), **({"modality": "ct"} | meta))

    return build


def thinner(ct: Array) -> Array:
    """Half as much bone, and ventricles of half the contrast."""
    return np.where(ct > 1000, ct - 600, np.where(ct == 5, 15, ct)).astype(np.float32)


def test_a_whole_ct_has_every_measure(skull: Build) -> None:
    found = score_pair(skull(thinner), skull(), WHOLE)
    assert found.unmeasured == {}
    assert found.tissues["bone"].me == pytest.approx(-600)
    assert found.anatomy is not None
    assert found.anatomy.bone_hd95_mm == 0.0
    assert found.anatomy.skull_mm is not None
    assert found.anatomy.skull_mm["prediction"] < found.anatomy.skull_mm["reference"]
    assert found.anatomy.skull_mm["reference"] == pytest.approx(8.0, abs=4.0)
    assert found.anatomy.ventricles_ml is not None
    assert found.anatomy.ventricles_ml["reference"] == pytest.approx(28.1, rel=0.15)
    assert set(found.paths) == {"front", "side"}
    front, side = found.paths["front"], found.paths["side"]
    # Bone of 600 HU is less dense by (1.618 - 1.312) than of 1200 HU; a head of one shape from all sides.
    assert front.mean_mm < -3
    assert front.mean_mm == pytest.approx(side.mean_mm, rel=0.01)
    assert front.reference_mm == pytest.approx(side.reference_mm, rel=0.01)


def test_the_same_ct_twice_has_no_errors(skull: Build) -> None:
    found = score_pair(skull(), skull(), WHOLE)
    assert all((t.mae, t.me, t.rmse) == (0.0, 0.0, 0.0) for t in found.tissues.values())
    assert all((path.mean_mm, path.sd_mm) == (0.0, 0.0) for path in found.paths.values())
    assert found.anatomy is not None
    assert found.anatomy.skull_mm is not None
    assert found.anatomy.skull_mm["difference"] == 0.0


def test_a_window_says_what_it_can(skull: Build, made_by: Made) -> None:
    found = score_pair(skull(lambda ct: thinner(ct).clip(-20, 100)), skull(), translation=made_by())
    assert list(found.tissues) == ["body", "fluid", "brain", "bone"]
    assert found.tissues["fluid"].me == 10.0
    assert found.tissues["brain"].mae == 0.0
    assert found.anatomy is not None
    assert found.anatomy.bone_hu == 88.0
    assert found.anatomy.skull_mm is not None
    assert found.anatomy.ventricles_ml is not None
    assert found.unmeasured == {
        PATHS: "needs HU from -900 to 1000, and the prediction represents -20 to 100 HU"
    }


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (
            lambda ct: ct.clip(None, 60),
            {
                "Hausdorff distance of bone": "no bone in the mask of the prediction",
                "thickness of the vault": "the vault of the prediction closes 0% of its dome (limit 70%)",
            },
        ),
        (
            lambda ct: ct.clip(-20, 100),
            {PATHS: "needs HU from -900 to 1000, and the prediction ends at a window"},
        ),
    ],
    ids=["no bone", "a window that nobody declared"],
)
def test_what_a_prediction_lacks_is_named(
    skull: Build, change: Callable[[Array], Array], reasons: dict[str, str]
) -> None:
    found = score_pair(skull(change), skull(), WHOLE)
    assert {name: found.unmeasured.get(name) for name in reasons} == reasons


def test_a_grid_without_air_or_bone_has_the_rest(volume: Build) -> None:
    brain = np.random.default_rng(0).normal(35, 5, (20, 20, 12)).astype(np.float32)
    found = score_pair(volume(brain + 2, modality="ct"), volume(brain, modality="ct"), WHOLE)
    assert found.tissues["body"].share == 1.0
    assert found.tissues["soft tissue"].me == pytest.approx(2.0, abs=1e-4)
    assert (found.tissues["air"].mae, found.tissues["bone"].dice) == (None, None)
    assert "no bone in the mask" in found.unmeasured["Hausdorff distance of bone"]
    assert found.unmeasured["thickness of the vault, ventricles"] == "the reference has no bone"
    assert found.paths["front"].reference_mm == pytest.approx(80 * 1.033, rel=0.01)


def test_what_has_no_hu_says_so(volume: Build, head: Array) -> None:
    grey = volume(head.clip(0, 255), levels=255, modality="ct")
    assert score_pair(grey, grey).unmeasured == {"measures of CT": "a picture has neither HU nor millimetres"}
    assert "give --modality ct" in score_pair(volume(head), volume(head)).unmeasured["measures of CT"]
    mr = volume(head + 1000, modality="mr")
    assert score_pair(mr, mr).unmeasured == {}


@pytest.fixture
def files(skull: Build, tmp_path: Path) -> Callable[..., EvaluateSettings]:
    for folder, change in (("fake", thinner), ("truth", lambda ct: ct)):
        (tmp_path / folder).mkdir()
        for name in "ab":
            write_volume(skull(change), tmp_path / folder / f"{name}.nii.gz")

    def build(**changes: object) -> EvaluateSettings:
        values = {
            "prediction": tmp_path / "fake" / "a.nii.gz",
            "reference": tmp_path / "truth" / "a.nii.gz",
            "out": tmp_path / "out",
            "modality": "ct",
            "profile": "synthrad2023",
        }
        return EvaluateSettings(**(values | changes))  # type: ignore[arg-type]

    return build


def test_a_table_of_ones_own_gives_other_path_lengths(
    files: Callable[..., EvaluateSettings], skull: Build, tmp_path: Path
) -> None:
    table = tmp_path / "scanner.csv"
    table.write_text("HU;Density;material\n-1000;0;air\n0;1.0;water\n3000;4.0;as if bone were water\n")
    found = evaluate(files(densities=table), quiet=True)
    assert isinstance(found, Evaluation)
    assert found.densities is not None
    assert (found.densities.name, found.densities.hu) == ("scanner.csv", (-1000.0, 0.0, 3000.0))
    assert found.paths["front"].mean_mm < score_pair(skull(thinner), skull(), WHOLE).paths["front"].mean_mm
    same = mt.score(
        tmp_path / "fake" / "a.nii.gz", tmp_path / "truth" / "a.nii.gz", profile="synthrad2023",
        modality="ct", densities=table,
    )  # fmt: skip
    assert same.paths == found.paths
    table.unlink()  # the record has it
    render(ReportSettings(result=tmp_path / "out", out=tmp_path / "again", view=("html",)))
    pages = [(tmp_path / name / "report.html").read_text() for name in ("out", "again")]
    radiographs = [[line for line in page.splitlines() if 'alt="Difference of' in line] for page in pages]
    assert radiographs[0] == radiographs[1] != []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hu,density\n0,1\n-1000,0\n3000,2\n", "-1000 HU with density 0 follow 0 HU with 1"),
        ("hu,density\n-1000,0\n0,nan\n3000,2\n", "finite"),
        ("hu,density\n-1000,0\n0,one\n3000,2\n", "'one'"),
        ("hu,red\n-1000,0\n0,1\n", "columns are 'hu', 'red'"),
        ("hu,density\n-1000,0\n0,3.34\n3000,7\n", "3.34 at 0 HU"),
        ("hu,density\n", "no row"),
        ("hu,density\n" + "".join(f"{hu},{hu}\n" for hu in range(1500)), "1500 rows"),
        ("\0\1\2", "columns"),
    ],
)
def test_a_bad_table_ends_it_before_anything_is_scored(
    files: Callable[..., EvaluateSettings], tmp_path: Path, text: str, words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    table = tmp_path / "bad.csv"
    table.write_text(text)
    paths = [tmp_path / "fake", tmp_path / "truth", "--out", tmp_path / "out", "--densities", table]
    assert cli.invoke(["evaluate", *map(str, paths), "--modality", "ct"]) == 3
    told = capsys.readouterr().err.strip()
    assert words in told
    assert "bad.csv" in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_cohort_means_and_lists_them(files: Callable[..., EvaluateSettings], tmp_path: Path) -> None:
    found = evaluate(files(prediction=tmp_path / "fake", reference=tmp_path / "truth"), quiet=True)
    assert isinstance(found, Cohort)
    assert found.tissues["bone"].me == pytest.approx(-600)
    assert found.tissues["bone"].rmse == pytest.approx(600)
    assert read_result(Cohort, tmp_path / "out" / "result.json") == found
    with (tmp_path / "out" / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["a", "b"]
    assert {float(row["bone_me"]) for row in rows} == {-600.0}
    assert float(rows[0]["path_front_mean_mm"]) == found.items[0].paths["front"].mean_mm
    assert float(rows[0]["vault_reference_mm"]) > float(rows[0]["vault_prediction_mm"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Tissues, structures and path lengths, case by case" in page
    assert "Values are means over 2 cases." in page
    raw = json.loads((tmp_path / "out" / "result.json").read_text())
    assert raw["items"][1]["anatomy"]["bone_hd95_mm"] == 0.0
