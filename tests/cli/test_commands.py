from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from medtranslate import cli
from medtranslate.config import (
    DemoSettings,
    EvaluateSettings,
    PhantomSettings,
    TrainSettings,
    TranslateSettings,
    plain,
)
from medtranslate.records import Batch, Cohort, Evaluation, Outcome, Translation

Stub = Callable[..., None]

TRAIN = ["train", "--ct", "a", "--mr", "b", "--out", "c"]


@pytest.fixture
def trained(stub: Stub) -> list[TrainSettings]:
    """The settings that `fit` was called with."""
    calls: list[TrainSettings] = []

    def fit(settings: TrainSettings, *, quiet: bool) -> dict[str, Any]:
        calls.append(settings)
        return {"images": settings.images}

    stub("training", fit=fit)
    return calls


def test_options_reach_the_settings(trained: list[TrainSettings]) -> None:
    given = [
        "--images", "12", "--loss.cycle", "2.5", "--network.channels", "8,16", "--no-unpaired",
        "--scale.ct-window", "-1000", "500", "--augment.no-copy-each", "--precision", "float32",
        "--overwrite",
    ]  # fmt: skip
    assert cli.invoke([*TRAIN, *given]) == 0
    (settings,) = trained
    assert (settings.ct, settings.mr, settings.out) == ("a", "b", Path("c"))
    assert (settings.images, settings.loss.cycle, settings.network.channels) == (12, 2.5, (8, 16))
    assert settings.scale.ct_window == (-1000.0, 500.0)
    assert not settings.unpaired
    assert not settings.augment.copy_each
    assert settings.precision == "float32"
    assert settings.overwrite


@pytest.mark.parametrize("fold", [1, 2, 4, 8])
def test_a_choice_of_numbers_is_taken_from_its_text(trained: list[TrainSettings], fold: int) -> None:
    assert cli.invoke([*TRAIN, "--network.fold", str(fold)]) == 0
    assert trained[-1].network.fold == fold


@pytest.mark.parametrize("fold", ["3", "eight", "-4", ""])
def test_what_is_none_of_a_choice_of_numbers_is_refused(
    trained: list[TrainSettings], capsys: pytest.CaptureFixture[str], fold: str
) -> None:
    assert cli.invoke([*TRAIN, "--network.fold", fold]) == 2
    assert f"network.fold: input should be 1, 2, 4 or 8 (got {fold!r})" in capsys.readouterr().err
    assert trained == []


def test_options_that_are_not_given_leave_the_defaults(trained: list[TrainSettings]) -> None:
    assert cli.invoke(TRAIN) == 0
    assert trained == [TrainSettings(ct="a", mr="b", out=Path("c"))]


@pytest.mark.parametrize("word", ["mr", "mri", "MRI", "Mr"])
def test_mri_in_any_case_is_accepted_and_becomes_mr(stub: Stub, translation: Translation, word: str) -> None:
    calls: list[TranslateSettings] = []

    def translate(settings: TranslateSettings, *, quiet: bool) -> list[Translation]:
        calls.append(settings)
        return [translation]

    stub("translation", translate=translate)
    assert cli.invoke(["translate", "in", "out", "--to", word, "--model", "m"]) == 0
    assert calls == [TranslateSettings(input=Path("in"), output=Path("out"), to="mr", model="m")]


class TestJson:
    def parsed(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
        assert cli.invoke([*arguments, "--json"]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return json.loads(printed.out)

    def test_translate(
        self, stub: Stub, translation: Translation, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["translate", "in", "out", "--to", "ct", "--model", "m"]
        stub("translation", translate=lambda settings, quiet: [translation])
        assert self.parsed(command, capsys)["schema"] == "medtranslate/translation/1"
        stub("translation", translate=lambda settings, quiet: [translation] * 2)
        assert [item["output"] for item in self.parsed(command, capsys)["items"]] == ["out.nii.gz"] * 2

    def test_evaluate(self, stub: Stub, result: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["evaluate", "p", "r", "--out", "o"]
        stub("evaluation", evaluate=lambda settings, quiet: result)
        assert self.parsed(command, capsys)["volume"] == {"mae": 3.25, "psnr": "Infinity"}
        stub("evaluation", evaluate=lambda settings, quiet: Cohort(items=[result], mean=result.volume))
        assert self.parsed(command, capsys)["schema"] == "medtranslate/cohort/1"

    def test_demo(self, stub: Stub, result: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
        stub("demo", run_demo=lambda settings, quiet: result)
        assert self.parsed(["demo", "o"], capsys)["schema"] == "medtranslate/result/1"

    def test_phantom(self, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
        stub("phantom", write_study=lambda settings: None)
        assert self.parsed(["phantom", "o", "--seed", "7"], capsys)["seed"] == 7

    def test_train(self, trained: list[TrainSettings], capsys: pytest.CaptureFixture[str]) -> None:
        assert self.parsed([*TRAIN, "--images", "9"], capsys) == {"images": 9}

    def test_models(self, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
        class Model:
            name, summary = "phantom", "digital heads"

        known: dict[str, Any] = {key: {} for key in ("input", "output", "parameters", "digests")}
        known |= {
            "summary": "red \x1b[31m",
            "anatomy": "head",
            "licence": None,
            "network": {"size": 32, "frame": "head"},
            "training": {"score": 1},
            "calibrated": {"ct": "two heads"},
            "card": "# card \x1b[2J",
            "foreign": ["weights.pt"],
        }
        stub("checkpoint.card", FRAMES={"head": "framed to the head"})
        stub("checkpoint", list_models=lambda: [Model], facts=lambda name: known | {"name": name})
        assert self.parsed(["models", "list"], capsys) == {"models": {"phantom": "digital heads"}}
        assert self.parsed(["models", "show", "phantom"], capsys) == known | {"name": "phantom"}
        assert cli.invoke(["models", "show", "phantom"]) == 0
        said = capsys.readouterr()
        assert {"training.score: 1", "calibrated.ct: two heads"} <= set(said.out.splitlines())
        assert "\x1b" not in said.out + said.err
        assert "weights.pt" in said.err

    def test_a_failure_leaves_stdout_empty(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.invoke(["phantom", "o", "--size", "3", "--json"]) == 2
        assert capsys.readouterr().out == ""


def test_people_get_lines_and_warnings(
    stub: Stub, translation: Translation, result: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    stub("translation", translate=lambda settings, quiet: [translation])
    stub("evaluation", evaluate=lambda settings, quiet: result)
    assert cli.invoke(["translate", "in", "out", "--to", "ct", "--model", "m"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "written: out\n"
    assert printed.err == "warning: half of the source lies outside the window\n"
    named = replace(translation, model=replace(translation.model, summary="Not fit for patients."))
    stub("translation", translate=lambda settings, quiet: [named])
    assert cli.invoke(["translate", "in", "out", "--to", "ct", "--model", "m"]) == 0
    assert capsys.readouterr().err.splitlines()[1:] == [
        "note: the card of the model phantom says: Not fit for patients."
    ]
    assert cli.invoke(["translate", "in", "out", "--to", "ct", "--model", "m", "--quiet"]) == 0
    assert capsys.readouterr().err == printed.err
    stub("evaluation", evaluate=lambda settings, quiet: result)
    assert cli.invoke(["evaluate", "p", "r", "--out", "o"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "profile image: MAE 3.25 HU, PSNR inf dB, SSIM -",
        "source copied: MAE 40.00 HU, PSNR 10.00 dB, SSIM 0.500",
        f"report: {Path('o') / 'report.html'}",
    ]


def test_quiet_reaches_the_work_and_drops_the_lines(
    stub: Stub, result: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[bool] = []

    def run_demo(settings: DemoSettings, *, quiet: bool) -> Evaluation:
        heard.append(quiet)
        return result

    stub("demo", run_demo=run_demo)
    assert cli.invoke(["demo", "o"]) == 0
    capsys.readouterr()
    assert cli.invoke(["demo", "o", "--quiet"]) == 0
    assert heard == [False, True]
    assert capsys.readouterr().out == ""


class TestRun:
    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Path:
        path = tmp_path / "job.yaml"
        values = {"command": "train", "ct": "a", "mr": "b", "out": "c", "images": 5, "batch": 2}
        path.write_text(yaml.safe_dump({**values, "loss": {"cycle": 5.0, "kl": 0.5}}))
        return path

    def test_option_then_set_then_file_then_default(
        self, pipeline: Path, trained: list[TrainSettings]
    ) -> None:
        changes = ["--set", "images=6", "--set", "loss.cycle=6", "--set", "loss.identity=1e-1"]
        assert cli.invoke(["run", str(pipeline), *changes, "--loss.cycle", "7", "--images=7"]) == 0
        (settings,) = trained
        assert (settings.images, settings.loss.cycle) == (7, 7.0)  # option
        assert settings.loss.identity == 0.1  # --set
        assert (settings.batch, settings.loss.kl) == (2, 0.5)  # file
        assert settings.seed == TrainSettings(ct="", mr="", out=Path()).seed  # default

    def test_the_file_alone(self, pipeline: Path, trained: list[TrainSettings]) -> None:
        assert cli.invoke(["run", str(pipeline)]) == 0
        assert plain(trained[0])["loss"] == {**plain(trained[0])["loss"], "cycle": 5.0, "kl": 0.5}

    def test_an_option_that_equals_the_default_wins_over_the_file(
        self, pipeline: Path, trained: list[TrainSettings]
    ) -> None:
        default = TrainSettings(ct="", mr="", out=Path()).batch
        assert cli.invoke(["run", str(pipeline), "--batch", str(default)]) == 0
        assert trained[0].batch == default

    @pytest.mark.parametrize(
        ("change", "path", "value"),
        [
            ("unpaired=false", ("unpaired",), False),
            ("network.channels=[8, 16]", ("network", "channels"), [8, 16]),
            ("learning-rate=1e-3", ("learning_rate",), 1e-3),
            ("val_ct=null", ("val_ct",), None),
            ("notes='1'", ("notes",), "1"),
            ("scale={ct_window: [0, 80]}", ("scale", "ct_window"), [0.0, 80.0]),
        ],
    )
    def test_set_takes_yaml_values(
        self, pipeline: Path, trained: list[TrainSettings], change: str, path: tuple[str, ...], value: object
    ) -> None:
        assert cli.invoke(["run", str(pipeline), "--set", change]) == 0
        found: Any = plain(trained[0])
        for key in path:
            found = found[key]
        assert found == value

    def test_shared_options_and_arguments_of_the_command(
        self, tmp_path: Path, stub: Stub, result: Evaluation, capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls: list[EvaluateSettings] = []

        def evaluate(settings: EvaluateSettings, *, quiet: bool) -> Evaluation:
            calls.append(settings)
            return result

        stub("evaluation", evaluate=evaluate)
        job = tmp_path / "job.yaml"
        job.write_text("command: evaluate\nprediction: p\nreference: r\nout: o\n")
        assert cli.invoke(["run", str(job), "--json", "other"]) == 0
        assert json.loads(capsys.readouterr().out)["profile"] == "image"
        assert (calls[0].prediction, calls[0].reference) == (Path("other"), Path("r"))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("command: train\nct: a\nmr: b\nout: c\ncylce: 3\n", "cylce"),
            ("command: train\nct: a\nmr: b\nout: c\nloss: {cylce: 3}\n", "loss.cylce"),
            ("command: train\nct: a\nmr: b\n", "out: missing"),
            ("command: train\nct: a\nmr: b\nout: c\nloss: 3\n", "loss"),
            ("command: sudo\n", "command is 'sudo'"),
            ("command: [train]\n", "command is ['train']"),
            ("ct: a\n", "command is None"),
            ("- a\n- b\n", "holds no"),
            ("command: !!python/object/apply:os.getcwd []\n", "not plain YAML"),
            ("a: [", "not plain YAML"),
        ],
    )
    def test_a_wrong_file_is_refused(
        self,
        tmp_path: Path,
        trained: list[TrainSettings],
        capsys: pytest.CaptureFixture[str],
        text: str,
        said: str,
    ) -> None:
        job = tmp_path / "job.yaml"
        job.write_text(text)
        assert cli.invoke(["run", str(job)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert str(job) in line
        assert said in line
        assert not trained

    @pytest.mark.parametrize("change", ["loss.cycle", "=3", "a=[", "a=!!python/name:os.getcwd", "cylce=1"])
    def test_a_wrong_set_is_refused(
        self, pipeline: Path, trained: list[TrainSettings], capsys: pytest.CaptureFixture[str], change: str
    ) -> None:
        assert cli.invoke(["run", str(pipeline), "--set", change]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert not trained

    @pytest.fixture
    def stretches(self, tmp_path: Path) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(
            "command: train\nct: a\nmr: b\nout: small\nimages: 50\nloss: {kl: 0.5, cycle: 2.0}\n"
            "---\nfrom: small\nout: large\nloss: {kl: 0.25}\n"
            f"---\ncommand: phantom\nout: {tmp_path}/study\n"
        )
        return path

    def test_documents_run_in_turn_and_take_over_the_settings_of_their_command(
        self, stretches: Path, trained: list[TrainSettings], stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        studies: list[PhantomSettings] = []
        stub("phantom", write_study=studies.append)
        monkeypatch.setattr("medtranslate.cli.train._Train.complete", lambda self, values: dict(values))
        assert cli.invoke(["run", str(stretches), "--set", "seed=3"]) == 0
        small, large = trained
        assert (small.out, small.parent) == (Path("small"), None)
        assert (large.out, large.parent, large.images, large.ct) == (Path("large"), "small", 50, small.ct)
        assert (large.loss.kl, large.loss.cycle) == (0.25, 2.0)
        assert (small.seed, large.seed, studies[0].seed) == (3, 3, 3)

    def test_resume_begins_what_has_not_begun(
        self,
        stretches: Path,
        trained: list[TrainSettings],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        text = stretches.read_text().rpartition("---")[0]
        (tmp_path / "small").mkdir()
        stretches.write_text(text.replace("small", f"{tmp_path}/small").replace("large", f"{tmp_path}/large"))
        monkeypatch.setattr("medtranslate.cli.train._Train.complete", lambda self, values: dict(values))
        assert cli.invoke(["run", str(stretches), "--resume"]) == 0
        assert [settings.resume for settings in trained] == [True, False]

    @pytest.mark.parametrize(
        ("second", "said"),
        [
            ("out: small\n", "small is the output of several steps"),
            ("out: large\nimages: many\n", "images"),
            ("out: large\nloss: {cylce: 1}\n", "loss.cylce"),
            ("- a\n", "holds no settings"),
            ("command: sudo\n", "command is 'sudo'"),
        ],
    )
    def test_a_fault_of_a_later_document_is_known_before_the_first_runs(
        self,
        stretches: Path,
        trained: list[TrainSettings],
        capsys: pytest.CaptureFixture[str],
        second: str,
        said: str,
    ) -> None:
        stretches.write_text(stretches.read_text().split("---")[0] + "---\n" + second)
        assert cli.invoke(["run", str(stretches)]) == 2
        assert said in capsys.readouterr().err
        assert not trained

    def test_one_output_for_all_documents_is_refused(
        self, stretches: Path, trained: list[TrainSettings], capsys: pytest.CaptureFixture[str]
    ) -> None:
        stretches.write_text(stretches.read_text().rpartition("---")[0])
        assert cli.invoke(["run", str(stretches), "--out", "mine"]) == 2
        assert "an option holds for all steps" in capsys.readouterr().err
        assert not trained

    def test_an_unknown_pipeline_names_the_shipped_ones(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.invoke(["run", "nothing"]) == 2
        assert "phantom" in capsys.readouterr().err

    def test_a_shipped_pipeline_by_name(self, trained: list[TrainSettings]) -> None:
        assert cli.invoke(["run", "phantom", "--out", "elsewhere"]) == 0
        assert (trained[0].name, trained[0].out) == ("phantom", Path("elsewhere"))


def test_phantom_settings(stub: Stub) -> None:
    calls: list[PhantomSettings] = []
    stub("phantom", write_study=calls.append)
    assert cli.invoke(["phantom", "o", "--format", "dicom", "--spacing", "2"]) == 0
    assert calls == [PhantomSettings(out=Path("o"), format="dicom", spacing=2.0)]


def test_a_batch_tells_a_table_and_ends_with_four_if_something_failed_or_is_doubtful(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Outcome(name="a.nii", state="done", output="a.nii", slices=30, seconds=2.5)
    failed = Outcome(name="b\n.nii", state="failed", output="b\n.nii", reason="b\n.nii: empty file")
    batches = [Batch(items=[done], seconds=3.0), Batch(items=[done, failed], seconds=3.0)]
    stub("batch", run_batch=lambda settings, quiet: batches.pop(0))
    stub("batch.folder", part_of=lambda settings: "", own=lambda name, part: name)
    command = ["batch", "src", "out", "--to", "ct", "--model", "m"]
    assert cli.invoke(command) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["done", "1", "30", "2.5"]
    assert cli.invoke(command) == 4
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "warning: failed: b\\n.nii: b\\n.nii: empty file"
    assert said[1].startswith("error: of 2 items: 1 failed; see ")
    doubtful = replace(done, name="c.nii", state="doubtful", reason="Bone outside the head.")
    for items, counts in (
        ([failed, doubtful], "of 2 items: 1 failed, 1 doubtful; see "),
        ([doubtful], "of 1 items: 1 doubtful; see "),
    ):
        batches.append(Batch(items=items, seconds=3.0))
        assert cli.invoke(command) == 4
        printed = capsys.readouterr()
        said = printed.err.splitlines()
        assert said[-2] == "warning: doubtful: c.nii: Bone outside the head."
        assert said[-1].startswith(f"error: {counts}")
        assert ["doubtful", "1", "30", "2.5"] in [line.split() for line in printed.out.splitlines()]
