from __future__ import annotations

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
import yaml
from PIL import Image

from medtranslate import cli
from medtranslate.config import LossSettings, plain
from medtranslate.errors import DiskFull, Interrupted, SettingsError, Unreadable
from medtranslate.phantom import slices
from medtranslate.training import fit, loop, resume, run_folder
from medtranslate.training.journal import trim
from medtranslate.training.resume import read_checkpoint
from medtranslate.transforms import scale_ct

KILLED = """
import os, signal, sys
from medtranslate.cli import main
from medtranslate.training import batches, loop, resume, run_folder, validation

batches.MEAN_SLICES = validation.VALIDATION_SLICES = 4
place, count = sys.argv.pop(1), int(sys.argv.pop(1))
step, save = loop.train_step, resume.save

def die_in_a_step(*arguments):
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

def die_in_a_checkpoint(settings, state, pools, path):
    global count
    count -= 1
    if count == 0:
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    save(settings, state, pools, path)

if place == "step":
    loop.train_step = die_in_a_step
else:
    run_folder.save = resume.save = die_in_a_checkpoint
sys.exit(main())
"""


def killed(settings, place: str, count: int, *options: str) -> None:
    """Train in a process of its own until it kills itself at the `count`th step or checkpoint."""
    job = settings.out.parent / "job.yaml"
    job.write_text(yaml.safe_dump({"command": "train", **plain(settings)}))
    script = [sys.executable, "-c", KILLED, place, str(count), "run", str(job), "--quiet", *options]
    done = subprocess.run(script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")


def same(a: object, b: object) -> bool:
    """Equal bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def left(folder: Path, rows) -> dict[str, object]:
    """Everything that a run leaves, but for the time that it took."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    logs = [rows(folder / name) for name in ("log.csv", "validation.csv")]
    return {
        **{name: value for name, value in state.items() if name not in ("settings", "seconds")},
        "logs": [[{**row, "seconds": ""} for row in log] for log in logs],
        "pictures": {path.name: path.read_bytes() for path in (folder / "pictures").iterdir()},
        "model": (folder / "model" / "weights.safetensors").read_bytes(),
        "files": sorted(path.name for path in folder.iterdir()),
    }


@pytest.fixture
def stop_after(monkeypatch):
    """Send this process signals at the begin of a step."""
    monkeypatch.setattr(loop, "train_step", loop.train_step)
    # A shell's background jobs ignore an interrupt, and so would tests among them.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)

    def put(images: int, *numbers: signal.Signals) -> None:
        step, seen = loop.train_step, 0

        def step_and_stop(settings, *rest):
            nonlocal seen
            seen += settings.batch
            if seen == images:
                for number in numbers:
                    signal.raise_signal(number)
            return step(settings, *rest)

        monkeypatch.setattr(loop, "train_step", step_and_stop)

    yield put
    signal.signal(signal.SIGINT, former)


def test_a_run_that_was_killed_twice_ends_like_one_that_never_stopped(settings, tmp_path, rows):
    settings = replace(settings, images=24)
    fit(replace(settings, out=tmp_path / "whole"), quiet=True)
    killed(settings, "step", 4)
    assert [row["images"] for row in rows(settings.out / "log.csv")] == ["4", "8"]
    killed(settings, "checkpoint", 1, "--resume")
    assert [row["images"] for row in rows(settings.out / "validation.csv")] == ["8", "16"]
    assert read_checkpoint(settings)["images"] == 8
    fit(replace(settings, resume=True), quiet=True)
    whole, resumed = left(tmp_path / "whole", rows), left(settings.out, rows)
    assert [name for name in whole if not same(whole[name], resumed[name])] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_its_step_and_the_run_goes_on(settings, tmp_path, rows, stop_after, number):
    settings = replace(settings, precision="bfloat16")
    fit(replace(settings, out=tmp_path / "whole"), quiet=True)
    stop_after(12, number)
    with pytest.raises(Interrupted, match=r"after 12 of 16 images.*--resume"):
        fit(settings, quiet=True)
    assert read_checkpoint(settings)["images"] == 12
    assert [row["images"] for row in rows(settings.out / "validation.csv")] == ["8"]
    fit(replace(settings, resume=True), quiet=True)
    whole, resumed = left(tmp_path / "whole", rows), left(settings.out, rows)
    assert [name for name in whole if not same(whole[name], resumed[name])] == []


def test_a_signal_before_the_first_checkpoint_and_one_in_the_last_step(settings, tmp_path, stop_after):
    stop_after(4, signal.SIGINT)
    with pytest.raises(Interrupted, match="after 4 of 16 images"):
        fit(settings, quiet=True)
    stop_after(12, signal.SIGINT)
    assert fit(replace(settings, resume=True), quiet=True)["images"] == 16


def test_a_second_signal_ends_at_once_with_nothing_half_written(settings, stop_after):
    stop_after(12, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(settings, quiet=True)
    assert read_checkpoint(settings)["images"] == 8
    assert not list(settings.out.glob(".medtranslate-*"))


@pytest.mark.parametrize(("images", "model"), [(4, ""), (12, ", its model after 8")])
def test_an_interrupted_command_says_what_is_kept_and_how_to_go_on(
    settings, stop_after, capsys, images, model
):
    job = settings.out.parent / "job.yaml"
    job.write_text(yaml.safe_dump({"command": "train", **plain(settings)}))
    stop_after(images, signal.SIGTERM)
    assert cli.invoke(["run", str(job), "--quiet"]) == 130
    printed = capsys.readouterr()
    (line,) = [line for line in printed.err.splitlines() if line.startswith("error:")]
    how = "give the same command with --resume to go on"
    assert line.endswith(f"interrupted after {images} of 16 images, and kept{model}; {how}")


def test_settings_that_change_what_is_learnt_are_refused_or_recorded(settings, capsys):
    fit(settings, quiet=True)
    with pytest.raises(SettingsError, match="made with other batch, loss;"):
        fit(replace(settings, resume=True, batch=8, loss=LossSettings()), quiet=True)
    with pytest.raises(SettingsError, match="made with other val_ct;"):
        fit(replace(settings, resume=True, val_ct=None), quiet=True)
    capsys.readouterr()
    longer = replace(settings, resume=True, images=20, every=4, name="other")
    done = fit(longer, quiet=True)
    (warning,) = done["warnings"]
    assert warning.startswith("images became 20 instead of 16 after 16 images")
    assert capsys.readouterr().err.count("images became 20") == 1
    assert warning in (settings.out / "model" / "model.json").read_text()
    assert yaml.safe_load((settings.out / "settings.yaml").read_text())["images"] == 20
    again = fit(longer, quiet=True)
    assert (again["images"], again["warnings"]) == (20, [warning])
    assert again["cycle_ct"] == done["cycle_ct"]
    assert "images became" not in capsys.readouterr().err


class TestImagesElsewhere:
    """A run goes on where its images lie now, if they are the same."""

    @pytest.fixture
    def draw(self, tmp_path):
        (tmp_path / "ct").mkdir()

        def draw(seed, name):
            grey = (scale_ct(slices(seed, 1, 64, contrast="t1").ct[0, 0], (-20, 100)) + 1) * 127.5
            Image.fromarray(grey.byte().numpy()).save(tmp_path / "ct" / f"{name}.png")

        draw(1, "a")
        draw(2, "b")
        return draw

    @pytest.fixture
    def begun(self, settings, draw, tmp_path, stop_after):
        """Settings to go on with a run that was stopped after 4 of 8 images."""
        settings = replace(settings, images=8, ct=str(tmp_path / "ct"), val_ct=str(tmp_path / "ct" / "a.png"))
        stop_after(4, signal.SIGINT)
        with pytest.raises(Interrupted):
            fit(settings, quiet=True)
        return replace(settings, resume=True)

    def test_under_another_path_it_ends_as_it_would_have(self, begun, tmp_path, rows):
        whole = replace(begun, resume=False, out=tmp_path / "whole")
        fit(whole, quiet=True)
        (tmp_path / "ct").rename(tmp_path / "there")
        moved = {"ct": str(tmp_path / "there"), "val_ct": str(tmp_path / "there" / "a.png")}
        fit(replace(begun, **moved), quiet=True)
        assert yaml.safe_load((begun.out / "settings.yaml").read_text())["ct"] == moved["ct"]
        one, other = left(whole.out, rows), left(begun.out, rows)
        assert [name for name in one if not same(one[name], other[name])] == []

    def test_other_images_are_refused_with_their_number(self, begun, draw):
        draw(3, "c")
        with pytest.raises(
            SettingsError, match=r"ct holds now \(1 of 3 are new, 0 of 2 are gone\); put those"
        ):
            fit(begun, quiet=True)

    def test_a_validation_image_counts_too(self, begun, tmp_path):
        with pytest.raises(SettingsError, match=r"than val_ct holds now \(1 of 1 are new, 1 of 1 are gone\)"):
            fit(replace(begun, val_ct=str(tmp_path / "ct" / "b.png")), quiet=True)

    def test_another_order_goes_on_with_a_warning(self, begun, tmp_path):
        (tmp_path / "ct" / "b.png").rename(tmp_path / "ct" / "0.png")
        assert any("ct images come in another order" in text for text in fit(begun, quiet=True)["warnings"])

    @pytest.mark.parametrize("texts", [{"ct": "phantom:0-9"}, {"mr": "FOLDER"}, {"val_ct": None}])
    def test_files_do_not_become_phantoms(self, begun, tmp_path, texts):
        texts = {key: text and text.replace("FOLDER", str(tmp_path / "ct")) for key, text in texts.items()}
        with pytest.raises(SettingsError, match=f"made with other {next(iter(texts))};"):
            fit(replace(begun, **texts), quiet=True)


def test_a_full_disk_keeps_the_checkpoint_before(settings, monkeypatch):
    save, disks = resume.save, iter(["free", "full"])

    def save_until_full(settings, state, pools, path):
        save(settings, state, pools, path)
        if next(disks) == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for module in (resume, run_folder):
        monkeypatch.setattr(module, "save", save_until_full)
    with pytest.raises(DiskFull, match=r"checkpoint\.pt: .*file system is full"):
        fit(settings, quiet=True)
    assert read_checkpoint(settings)["images"] == 0
    assert not list(settings.out.glob(".medtranslate-*"))


class TestCheckpointsThatAreNone:
    @pytest.fixture
    def run(self, settings):
        """A folder with the checkpoint of a run that was just begun."""

        def stop(*_):
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(loop, "sides", stop)
            fit(settings, quiet=True)
        return settings.out

    @pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped", "code", "foreign", "later"])
    def test_one_line_and_the_run_is_left_alone(self, settings, run, damage, capsys):
        path = run / "checkpoint.pt"
        raw = path.read_bytes()
        saved = torch.load(path, weights_only=True)
        with ZipFile(path) as archive:
            largest = max(archive.infolist(), key=lambda record: record.file_size)
        half = largest.header_offset + largest.file_size // 2
        broken = {
            "empty": b"",
            "text": b"no checkpoint\n" * 99,
            "cut": raw[:half],
            "flipped": raw[:half] + bytes([raw[half] ^ 255]) + raw[half + 1 :],
            "code": pickle.dumps(Path),
        }
        if damage in broken:
            path.write_bytes(broken[damage])
        else:
            torch.save({"foreign": [1, 2], "later": {**saved, "schema": "x/2"}}[damage], path)
        before = path.read_bytes()
        command = ["train", "--ct", "phantom:0-9", "--mr", "phantom:0-9", "--out", str(run), "--resume"]
        assert cli.invoke(command) == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {path}: ")
        assert path.read_bytes() == before

    def test_parts_that_do_not_fit_are_refused(self, settings, run):
        path = run / "checkpoint.pt"
        saved = torch.load(path, weights_only=True)
        for part in ("model", "optimisers", "pools", "means"):
            torch.save({**saved, part: {}}, path)
            with pytest.raises((Unreadable, SettingsError), match="does not fit this version"):
                fit(replace(settings, resume=True), quiet=True)

    def test_there_is_none(self, settings, tmp_path):
        settings.out.mkdir()
        (settings.out / "translation.json").write_text("{}")
        for folder in (settings.out, tmp_path / "nothing"):
            with pytest.raises(SettingsError, match=r"holds no checkpoint\.pt"):
                fit(replace(settings, resume=True, out=folder), quiet=True)
        assert [path.name for path in settings.out.iterdir()] == ["translation.json"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("images,a\r\n4,1\r\n8,2\r\n12,3\r\n", "images,a\r\n4,1\r\n8,2\r\n"),
        ("images,a\r\n4,1\r\n1", "images,a\r\n4,1\r\n"),
        ("images,a\r\n12,3\r\n", ""),
        ("images", ""),
        ("", ""),
    ],
)
def test_rows_after_the_checkpoint_are_taken_away(tmp_path, text, kept):
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode())
    trim(path, 8)
    assert path.read_bytes().decode() == kept
    shutil.rmtree(tmp_path)
    trim(path, 8)
    assert not path.exists()
