from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from medtranslate.errors import Unreadable
from medtranslate.records import Evaluation, SliceScores, read_result, to_json, write_result


def record(**volume: object) -> dict[str, object]:
    return {"schema": "medtranslate/result/1", "profile": "image", "unit": "HU", "volume": volume}


def read(values: object, folder: Path) -> Evaluation:
    (folder / "result.json").write_text(json.dumps(values), encoding="utf-8")
    return read_result(Evaluation, folder / "result.json")


def test_scores_lie_flat_in_a_record_in_their_order(tmp_path: Path) -> None:
    scores = {"mae": 1.5, "psnr": math.inf, "ssim": 0.5}
    planes = [SliceScores(index=3, position_mm=-2.5, scores=scores), SliceScores(index=4)]
    found = Evaluation(profile="image", unit="HU", volume=scores, slices=planes, baselines={"mean image": {}})
    flat = {"mae": 1.5, "psnr": "Infinity", "ssim": 0.5}
    written = to_json(found)
    assert list(written["volume"].items()) == list(flat.items())
    assert list(written["slices"][0].items()) == [*flat.items(), ("index", 3), ("position_mm", -2.5)]
    assert written["slices"][1] == {"index": 4}
    write_result(found, tmp_path / "result.json")
    assert read_result(Evaluation, tmp_path / "result.json") == found


def test_a_score_that_is_null_is_absent(tmp_path: Path) -> None:
    found = read(record(mae=1, ssim=None) | {"slices": [{"mae": None, "psnr": 2, "index": 0}]}, tmp_path)
    assert found.volume == {"mae": 1.0}
    assert found.slices == [SliceScores(index=0, scores={"psnr": 2.0})]


def test_a_score_of_a_package_that_is_not_here_is_kept(tmp_path: Path) -> None:
    found = read(record(mae=1, sharpness_95=0.25), tmp_path)
    assert to_json(found)["volume"] == {"mae": 1.0, "sharpness_95": 0.25}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"volume": {"mae": "low"}}, "volume.mae: input should be a valid number"),
        ({"volume": {"<script>": 1}}, "string should match pattern"),
        ({"volume": [1]}, "volume: input should be a valid dictionary"),
        ({"slices": [{"index": 0, "mae": {}}]}, "slices.0.scores.mae: input should be a valid number"),
        ({"slices": [{"mae": 1}]}, "slices.0.index: field required"),
        ({"slices": [[0]]}, "slices.0: input should be"),
    ],
)
def test_what_is_no_score_is_refused(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"result\.json: is no evaluation of this version") as refusal:
        read(record() | changes, tmp_path)
    assert said in str(refusal.value).lower()
