"""The module of mercure, called as mercure 0.4.1 calls it: two folders in variables, and task.json.

The folder is one that mercure's own router and processor made of a study, with the values of its `Task`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from medtranslate import cli
from medtranslate.engines.mercure import MAX_TASK_BYTES
from medtranslate.records import Translation, read_result

CANARY = "CANARY^NAME"
Receive = Callable[..., Path]
INFO = {
    "action": "both",
    "uid": "1.2.1",
    "uid_type": "study",
    "triggered_rules": {"all": True},
    "applied_rule": "all",
    "patient_name": CANARY,
    "mrn": CANARY,
    "acc": "",
    "sender_address": "MISSING",
    "mercure_version": "0.4.1",
}
MODULE = {"docker_tag": "medtranslate", "environment": "", "docker_arguments": "", "requires_root": False}
PROCESS = {"module_name": "synthetic", "retain_input_images": True, "output": None}


@pytest.fixture
def receive(tmp_path: Path, dicom_study: Path, small_model: Path) -> Receive:
    """Lay out a task as mercure's router does; `settings` are those of module and rule."""

    def put(*series: str, **settings: object) -> Path:
        folder = tmp_path / "in"
        folder.mkdir()
        (tmp_path / "out").mkdir()
        for name in series:
            for file in (dicom_study / name).glob("*.dcm"):
                header = dcmread(file)
                header.PatientName = CANARY
                name = f"{header.SeriesInstanceUID}#{header.SOPInstanceUID}"
                header.save_as(folder / f"{name}.dcm")
                (folder / f"{name}.tags").write_text(json.dumps({"PatientName": CANARY}))
        for path in folder.iterdir():
            path.chmod(0o666)
        chosen = {"to": "mr", "model": str(small_model), "device": "cpu", **settings}
        task = {
            "id": "1",
            "info": INFO,
            "dispatch": {"target_name": ["there"], "status": {"there": {"state": "waiting", "time": ""}}},
            "process": {"module_config": {**MODULE, "settings": {"to": "ct"}}, "settings": chosen} | PROCESS,
            "study": {"study_uid": "1.2.1", "received_series": ["one", CANARY], "complete_force": False},
            "nomad_info": None,
        }
        (folder / "task.json").write_text(json.dumps(task))
        return folder

    return put


def call(folder: Path) -> int:
    return cli.invoke(["mercure", str(folder), str(folder.parent / "out"), "--quiet"])


def names(folder: Path) -> Iterator[str]:
    return (path.name for path in sorted(folder.parent.joinpath("out").iterdir()))


@pytest.mark.slow
def test_mercure_starts_a_module_with_two_variables_and_sends_what_it_finds(
    receive: Receive, tmp_path: Path
) -> None:
    folder = receive("ct")
    places = {"MERCURE_IN_DIR": str(folder), "MERCURE_OUT_DIR": str(tmp_path / "out")}
    command = [sys.executable, "-m", "medtranslate", "mercure"]
    done = subprocess.run(
        command, env={**os.environ, **places}, cwd="/", capture_output=True, text=True, check=True
    )
    assert "1 of 1 series" in done.stdout
    assert CANARY not in done.stdout + done.stderr
    assert (tmp_path / "out" / "result.json").is_file()


def test_a_series_becomes_a_series_of_the_same_study_under_mercures_names(
    receive: Receive, dicom_study: Path
) -> None:
    folder = receive("ct", "mr")
    assert call(folder) == 0
    out = folder.parent / "out"
    sources = {header.SOPInstanceUID: header for header in map(dcmread, (dicom_study / "ct").glob("*.dcm"))}
    series = set()
    for file in out.glob("*.dcm"):
        header = dcmread(file)
        assert file.stem == f"{header.SeriesInstanceUID}#{header.SOPInstanceUID}"
        series.add(str(header.SeriesInstanceUID))
        (reference,) = header.SourceImageSequence
        source = sources.pop(reference.ReferencedSOPInstanceUID)
        assert header.StudyInstanceUID == source.StudyInstanceUID
        assert header.ImagePositionPatient == source.ImagePositionPatient
        assert (header.PatientName, header.Modality) == (CANARY, "MR")
    assert sources == {}
    (uid,) = series
    others = {name for name in names(folder) if not name.endswith(".dcm")}
    assert others == {f"{uid}.translation.json", f"{uid}.preview.png", "result.json"}
    record = read_result(Translation, out / f"{uid}.translation.json")
    assert (record.output, record.settings["output"]) == (uid, str(out))
    result = json.loads((out / "result.json").read_text())
    assert [item["output"] for item in result["items"]] == [uid]  # the MR is no source
    assert result["model"]["name"] == "small"
    assert CANARY not in (out / "result.json").read_text()


def test_a_refused_series_beside_a_good_one_is_told_to_those_who_are_notified(
    receive: Receive, put_slices: Callable[..., Any]
) -> None:
    folder = receive("ct")
    more = {"SeriesInstanceUID": "1.2.9", "StudyInstanceUID": "1.2.1"}
    put_slices(folder, [0.0, 3.0, 7.0, 7.0], "ct", **more)
    assert call(folder) == 0
    result = json.loads((folder.parent / "out" / "result.json").read_text())
    assert sorted(item["state"] for item in result["items"]) == ["done", "failed"]
    message = result["__mercure_notification"]
    assert message["requested"]
    assert message["text"].startswith("synthetic MR made of 1 of 2 series; 1 refused: ")
    assert "CANARY" not in json.dumps(result)


@pytest.mark.parametrize(
    ("process", "code", "said"),
    [
        ({"settings": {"to": "mr", "sigma": 7}}, 2, "sigma: no setting of this name"),
        ({"settings": {}}, 2, "to: missing"),
        ({"settings": {"to": "pet"}}, 2, "should be 'ct' or 'mr'"),
        ([{"settings": {"to": "mr"}}], 3, "settings of one module"),
        ({"settings": ["to"]}, 3, "settings of one module"),
        ("x" * MAX_TASK_BYTES, 3, "over the bound of 1 MiB"),
        (None, 3, "settings of one module"),
    ],
)
def test_a_task_that_is_not_understood_fails_and_leaves_nothing(
    receive: Receive, process: object, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = receive("ct")
    task = json.loads((folder / "task.json").read_text())
    (folder / "task.json").write_text(json.dumps({**task, "process": process}))
    assert call(folder) == code
    assert said in capsys.readouterr().err
    assert list(names(folder)) == []


def test_a_task_without_its_file_or_without_a_source_fails(
    receive: Receive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = receive("mr")
    assert call(folder) == 3
    assert "none of its 1 series is CT" in capsys.readouterr().err
    (folder / "task.json").write_text("[" * 100_000)
    assert call(folder) == 3
    assert "no JSON (RecursionError)" in capsys.readouterr().err
    (folder / "task.json").unlink()
    assert call(folder) == 3
    assert "task.json: does not exist" in capsys.readouterr().err
    monkeypatch.delenv("MERCURE_OUT_DIR", raising=False)
    assert cli.invoke(["mercure", str(folder)]) == 2
    assert "MERCURE_OUT_DIR" in capsys.readouterr().err
    assert list(names(folder)) == []


def test_an_output_that_cannot_be_written_fails_with_nothing_half_written(
    receive: Receive, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = receive("ct")
    out = folder.parent / "out"
    shutil.rmtree(out)
    out.write_text("a file in place of the folder")
    assert call(folder) == 2
    assert "cannot be written there" in capsys.readouterr().err
    assert out.read_text() == "a file in place of the folder"
