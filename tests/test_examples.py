from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import medtranslate as mt
from medtranslate.notebook import View
from medtranslate.phantom import Study

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def head() -> Study:
    return mt.digital_head(910_003, size=48, spacing=5.0)


def run(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_translation_is_scored_and_written(
    head: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mt.write(head.mr, tmp_path / "mr")
    mt.write(head.ct, tmp_path / "ct.nii.gz")
    paths = [str(tmp_path / name) for name in ("mr", "ct.nii.gz", "synthetic")]
    run("translate_and_score.py", paths, monkeypatch)
    assert "MAE" in capsys.readouterr().out
    assert len(list((tmp_path / "synthetic").glob("*.dcm"))) == 48
    assert (tmp_path / "synthetic" / "translation.json").is_file()


def test_arrays_and_images_share_a_model(
    head: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mt.write(head.mr, tmp_path / "mr.nii.gz")
    run("many_arrays.py", [str(tmp_path / "mr.nii.gz")], monkeypatch)
    assert "(48, 48, 48) voxels" in capsys.readouterr().out


def test_every_cell_of_the_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    cells = json.loads((EXAMPLES / "explore.ipynb").read_text(encoding="utf-8"))["cells"]
    values: dict[str, Any] = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        *lines, last = "".join(cell["source"]).splitlines()
        exec("\n".join(lines), values)
        shown.append(eval(last, values))
    views = [value for value in shown if isinstance(value, View)]
    assert len(views) == 2
    assert "slice" in views[1].page


def test_all_examples_are_run_here() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")} == {
        "translate_and_score.py",
        "many_arrays.py",
        "explore.ipynb",
    }
