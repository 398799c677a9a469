"""The BIDS App, called as runners of BIDS Apps call it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from medtranslate import cli
from medtranslate.batch import folder
from medtranslate.cli.bids_app import spelled
from medtranslate.config import BatchSettings
from medtranslate.engines import bids_app
from medtranslate.errors import InputRefused, UsageError
from medtranslate.io import write_volume
from medtranslate.phantom import study

IMAGES = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-02/ses-pre/anat/sub-02_ses-pre_T1w.nii.gz",
    "sub-02/ses-post/anat/sub-02_ses-post_T1w.nii.gz",
    "sub-03/anat/sub-03_inplaneT1.nii.gz",
)
Hold = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three participants: one with a T1w, one with two sessions, one with no image to translate."""
    root = tmp_path_factory.mktemp("bids") / "heads"
    image = study(900_000, size=32, spacing=8.0).mr
    for name in IMAGES:
        (root / name).parent.mkdir(parents=True)
        write_volume(image, root / name)
    description = {"Name": "heads", "BIDSVersion": "1.10.0", "License": "CC0", "Authors": ["A", "B"]}
    (root / "dataset_description.json").write_text(json.dumps(description))
    (root / "README").write_text("Digital heads for a test: nobody was scanned for these images. " * 3)
    return root


@pytest.fixture
def app(dataset: Path, tmp_path: Path, small_model: Path) -> Callable[..., int]:
    def call(*arguments: str) -> int:
        command = ["bids-app", str(dataset), str(tmp_path / "out"), *arguments, "--skip_bids_validation"]
        return cli.invoke([*command, "--model", str(small_model), "--device", "cpu", "--nprocs", "1"])

    return call


@pytest.mark.slow
def test_two_participants_at_once_and_a_group_make_a_derivative_that_the_validator_passes(
    dataset: Path, tmp_path: Path, small_model: Path
) -> None:
    out = tmp_path / "derivatives" / "medtranslate"
    command = [sys.executable, "-m", "medtranslate", "bids-app", str(dataset), str(out)]
    options = ["--model", str(small_model), "--device", "cpu", "--n_cpus", "1"]
    jobs = [
        subprocess.Popen([*command, "participant", "--participant_label", label, *options])
        for label in ("01", "sub-02")
    ]
    assert [job.wait() for job in jobs] == [0, 0]
    subprocess.run([*command, "group"], check=True, capture_output=True)
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*_ct.nii.gz"))
    assert made == [
        "sub-01/ct/sub-01_desc-fromT1w_ct.nii.gz",
        "sub-02/ses-post/ct/sub-02_ses-post_desc-fromT1w_ct.nii.gz",
        "sub-02/ses-pre/ct/sub-02_ses-pre_desc-fromT1w_ct.nii.gz",
    ]
    assert len((out / "summary.csv").read_text().splitlines()) == 1 + len(made)
    assert list(out.rglob(".medtranslate*")) == []
    bids_app.validate(out)
    if shutil.which(bids_app.VALIDATOR, path=str(Path(sys.executable).parent)) is None:
        pytest.skip(f"{bids_app.VALIDATOR} is not installed: pip install medtranslate[bids]")


def test_a_participant_is_translated_and_the_group_shows_what_is_there(
    app: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("participant", "--participant_label", "02", "--session-label", "pre") == 0
    out = tmp_path / "out"
    (made,) = out.rglob("*.nii.gz")
    assert made.name == "sub-02_ses-pre_desc-fromT1w_ct.nii.gz"
    assert (out / "overview_sub-02.html").is_file()
    assert app("group", "--quiet") == 0
    assert "sub-02_ses-pre_T1w" in (out / "overview.html").read_text()
    made.unlink()
    capsys.readouterr()
    assert app("group") == 4
    assert "is not there; run the level participant again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("participant", "--participant-label", "01", "09"), 2, "has no participant 09; it has 01, 02, 03"),
        (("participant", "--participant_label", "sub-03"), 3, "no image found in it of sub-03"),
        (("participant", "--participant_label", "02", "--session_id", "later"), 2, "has no session later"),
        (("participant", "--participant_label", "../01"), 2, "has no participant ../01"),
        (("session",), 2, "should be 'participant' or 'group'"),
        (("group",), 3, "run the level participant first"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_written(
    app: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert app(*arguments) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_dataset_and_an_output_that_is_a_file_are_refused(
    app: Callable[..., int], dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.invoke(["bids-app", str(dataset / "sub-01"), str(tmp_path / "out"), "participant"]) == 3
    assert "holds no dataset_description.json" in capsys.readouterr().err
    (tmp_path / "out").write_text("mine")
    assert app("participant") == 2
    assert "out" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("line", "spelt"),
    [
        (
            "in out participant --participant_label 01 02",
            "in out participant --participant-label 01,02",
        ),
        (
            "in out --participant-label sub-01 --skip_bids_validator",
            "in out --participant-label sub-01 --skip-bids-validation",
        ),
        ("--participant_label=01 in", "--participant-label=01 in"),
        ("--session-label a b --n_cpus 2 in", "--session-id a,b --workers 2 in"),
        ("--participant_label 01 -h", "--participant-label 01 -h"),
        ("in out group", "in out group"),
        ("in_put out_put group --bids_filter_file a_b", "in_put out_put group --bids-filter-file a_b"),
    ],
)
def test_options_are_read_as_other_bids_apps_spell_them(line: str, spelt: str) -> None:
    assert list(spelled(line.split())) == spelt.split()


def batch(dataset: Path, out: Path, *labels: str) -> BatchSettings:
    return BatchSettings(source=dataset, out=out, to="ct", participant_label=labels)


def test_participants_share_an_output_and_a_participant_is_not_shared(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_PASSING", 0.1)
    one, two, both = (batch(dataset, tmp_path, *labels) for labels in (["01"], ["sub-02"], ["01", "02"]))
    half = tmp_path / "sub-02" / "ct" / ".medtranslate-x"
    half.mkdir(parents=True)
    with folder.held(one), folder.locked(folder.worker_lock(one, "host-1")):
        assert half.exists()  # it may be of a batch that works
        with folder.held(two):
            assert not half.exists()
        for other in (one, both, batch(dataset, tmp_path)):
            with pytest.raises(UsageError, match="works on it"), folder.held(other):
                pass
    with folder.held(both), pytest.raises(UsageError, match="works on it"), folder.held(one):
        pass
    with folder.held(one):
        pass


@pytest.fixture
def validator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Put a program of the validator's name in place: what it prints, how it ends."""
    monkeypatch.setattr(bids_app.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    def put(report: str, code: int) -> None:
        (tmp_path / "report").write_text(report)
        program = tmp_path / bids_app.VALIDATOR
        program.write_text(f'#!/bin/sh\ncat "{tmp_path}/report"\necho "last words" >&2\nexit {code}\n')
        program.chmod(0o755)

    return put


def test_errors_of_the_validator_refuse_the_dataset(
    validator: Callable[[str, int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bids_app.validate(tmp_path)
    assert "not validated" in capsys.readouterr().err
    validator("", 0)
    bids_app.validate(tmp_path)
    issues = [
        {"code": "NOT_INCLUDED", "severity": "error", "location": "/sub-01/odd.nii"},
        {"code": "NOT_INCLUDED", "severity": "error", "location": "/sub-02/odd.nii"},
        {"code": "README", "severity": "warning", "location": "/README"},
    ]
    validator(json.dumps({"issues": {"issues": issues}}), 16)
    with pytest.raises(InputRefused, match=r"finds 2 errors \(NOT_INCLUDED\), the first in sub-01/odd.nii"):
        bids_app.validate(tmp_path)
    for report in ("", "[]", "{", '{"issues": {"issues": [{}]}}'):
        validator(report, 1)
        with pytest.raises(InputRefused, match=r"ended with 1 \(last words\)"):
            bids_app.validate(tmp_path)
