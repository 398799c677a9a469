from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medtranslate import cli
from medtranslate.errors import GeometryRefused
from medtranslate.evaluation import ScoringRules, score_pair
from medtranslate.io import Volume, write_volume
from medtranslate.phantom import Study, study

RULES = ScoringRules(profile="synthrad2023", resample_reference=True)


@pytest.fixture(scope="module")
def head() -> Study:
    return study(910_004, size=48, spacing=5.0)


def crop(volume: Volume, *, low: int, high: int) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 2] * low
    return Volume(volume.values[:, :, low:high], affine, volume.meta)


def test_a_prediction_in_another_unit_is_the_first_word_of_screen_and_page(
    head: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_volume(head.ct, tmp_path / "truth.nii.gz")
    write_volume(head.ct.with_values(head.ct.values + 1024), tmp_path / "made.nii.gz")
    command = ["evaluate", str(tmp_path / "made.nii.gz"), str(tmp_path / "truth.nii.gz"), "--modality", "ct"]
    assert cli.invoke([*command, "--out", str(tmp_path / "out")]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert "as of HU + 1024" in first
    assert "--prediction-scale 1 -1024" in first
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index("as of HU + 1024") < page.index("Mean absolute error")
    assert "Good:" not in page

    again = [*command, "--out", str(tmp_path / "again"), "--prediction-scale", "1", "-1024"]
    assert cli.invoke(again) == 0
    result = json.loads((tmp_path / "again" / "result.json").read_text())
    assert result["volume"]["mae"] < 0.01
    assert result["suspicions"] == []
    assert any("--prediction-scale" in text for text in result["warnings"])


def test_a_scale_that_the_data_contradict_is_refused(
    head: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_volume(head.ct, tmp_path / "ct.nii.gz")
    path = str(tmp_path / "ct.nii.gz")
    command = ["evaluate", path, path, "--modality", "ct", "--out", str(tmp_path / "out")]
    assert cli.invoke([*command, "--prediction-scale", "1", "-1024"]) == 2
    assert "contradicts the data: The prediction may not be in HU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_cropped_prediction_states_what_it_leaves_out_and_can_be_scored_whole(head: Study) -> None:
    body = head.ct.values > -500
    missing = 1 - body[:, :, 24:40].sum() / body.sum()
    part = crop(head.ct, low=24, high=40)
    left = score_pair(part, head.ct, RULES)
    assert left.volume["mae"] < 0.01
    (said,) = left.suspicions
    share = int(said.partition("cover ")[2].partition("%")[0]) / 100
    assert share == pytest.approx(missing, abs=0.03)
    whole = score_pair(
        part, head.ct, ScoringRules(profile="synthrad2023", resample_reference=True, missing_is_air=True)
    )
    assert whole.volume["mae"] > 100
    assert whole.suspicions == []
    same = score_pair(head.ct, head.ct, RULES)
    assert same.suspicions == []


def test_the_given_mask_says_what_counts_as_covered(head: Study) -> None:
    inside = np.zeros(head.ct.shape, np.float32)
    inside[20:28, 20:28, 26:36] = 1
    part = crop(head.ct, low=24, high=40)
    result = score_pair(part, head.ct, RULES, mask=head.ct.with_values(inside))
    assert result.suspicions == []


def test_a_source_on_the_old_grid_is_refused_with_advice_that_helps(head: Study) -> None:
    part = crop(head.ct, low=24, high=40)
    with pytest.raises(GeometryRefused, match=r"the prediction has .*; bring it to the prediction's grid,"):
        score_pair(part, head.ct, RULES, source=head.mr)
