from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from PIL import Image
from pydicom import DataElement, Dataset, dcmread

from medtranslate import cli
from medtranslate.batch import find_items, folder, run_batch, translate_items
from medtranslate.batch.tree import JOURNAL
from medtranslate.checkpoint import load_model
from medtranslate.config import BatchSettings, TranslateSettings
from medtranslate.errors import ModelRefused, OutputExists, Unreadable, UsageError
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.records import Batch, Plausibility, Translation, read_result
from medtranslate.runtime.locks import locked
from medtranslate.runtime.worker_pool import LIVES
from medtranslate.translation import Translated, Translator, translate

Settings = Callable[..., BatchSettings]
Place = Callable[..., Path]


def states(batch: Batch) -> dict[str, str]:
    return {item.name: item.reason or item.state for item in batch.items}


def outputs(out: Path) -> dict[str, bytes]:
    """All that was translated, by name; what is told of it (records have times) left out."""
    told = (".json", ".jsonl", ".yaml", ".csv", ".html", ".lock")
    return {
        str(path.relative_to(out)): timeless(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.endswith(told)
    }


def timeless(path: Path) -> bytes:
    """A file's bytes, of DICOM without the times of writing."""
    if path.suffix != ".dcm":
        return path.read_bytes()
    header = dcmread(path)

    def forget(_: Dataset, element: DataElement) -> None:
        if element.VR in ("DA", "TM", "DT"):
            element.value = ""

    header.walk(forget)
    return str(header).encode() + header.PixelData


def here(settings: BatchSettings) -> dict[str, str]:
    """Outcomes of the work as a worker does it, in this process."""
    settings.out.mkdir(exist_ok=True)
    translator = Translator(load_model(settings.model), settings.to, force=settings.force)
    done = translate_items(settings, translator, find_items(settings))
    return {outcome.name: outcome.reason or outcome.state for outcome in done}


def test_each_is_translated_as_translate_does_it(place: Place, settings: Settings, tmp_path: Path) -> None:
    for seed, name in enumerate(("a/one.nii.gz", "a/two.mha", "series")):
        place(name, seed)
    batch = run_batch(settings(), quiet=True)
    assert {item.state for item in batch.items} == {"done"}
    assert len(batch.items) == 3
    for item in batch.items:
        source = (tmp_path / "src" / item.name) if "series" not in item.name else tmp_path / "src" / "series"
        alone = tmp_path / "alone" / item.output
        model = settings().model
        translate(
            TranslateSettings(input=source, output=alone, to="mr", model=model, device="cpu"), quiet=True
        )
        made, wanted = (read_volume(path) for path in (tmp_path / "out" / item.output, alone))
        # The command may use several threads, whose sums round otherwise.
        assert abs(made.values - wanted.values).max() < 1
        np.testing.assert_array_equal(made.affine, wanted.affine)
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["done"] * 3
    lines = (tmp_path / "out" / "batch.jsonl").read_text().splitlines()
    assert {json.loads(line)["value"]["state"] for line in lines} == {"done"}
    page = (tmp_path / "out" / "overview.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    sheets = {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*preview.png")
    }
    series = next(item.output for item in batch.items if "series" in item.output)
    assert sheets == {
        *(f"a/{name}_synthetic-mr.preview.png" for name in ("one", "two")),
        f"{series}/preview.png",
    }


def test_a_doubtful_item_is_reported_as_such_and_again_and_not_made_again(
    place: Place, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place("a.nii")
    doubt = "bone outside the head: 35 ml, where 5 ml is the limit"
    run = Translator.run

    def spoilt(*given: Any, **more: Any) -> list[Translated]:
        found = Plausibility(bone_outside_ml=35.0, doubts=[doubt])
        return [
            replace(made, record=replace(made.record, plausibility=found)) for made in run(*given, **more)
        ]

    monkeypatch.setattr(Translator, "run", spoilt)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / JOURNAL).touch()  # the command takes the folder for its own
    said = "Bone outside the head: 35 ml, where 5 ml is the limit."
    assert here(settings()) == {"a.nii": said}
    assert read_result(Translation, tmp_path / "out" / "a_synthetic-mr.translation.json").doubts == [doubt]
    before = outputs(tmp_path / "out"), (tmp_path / "out" / "a_synthetic-mr.nii").stat().st_mtime_ns
    monkeypatch.setattr(Translator, "run", lambda *given: pytest.fail("made again"))
    translator = Translator(load_model(settings().model), "mr")
    done = translate_items(settings(), translator, find_items(settings()))
    (again,) = list(done)
    assert (again.state, again.reason) == ("doubtful", said)
    assert (outputs(tmp_path / "out"), (tmp_path / "out" / "a_synthetic-mr.nii").stat().st_mtime_ns) == before
    # Through the command, whose workers are processes.
    command = ["batch", str(tmp_path / "src"), str(tmp_path / "out"), "--to", "mr", "--device", "cpu"]
    assert cli.invoke([*command, "--model", settings().model, "--workers", "1", "--quiet"]) == 4
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["state"], row["reason"]) == ("doubtful", said)
    assert "0 failed, 1 doubtful, 0 done" in (tmp_path / "out" / "overview.html").read_text()


def test_a_rerun_does_what_is_left_and_what_has_changed(
    place: Place, settings: Settings, tmp_path: Path, heads: list[Volume]
) -> None:
    for seed, name in enumerate(("a.nii", "b.nii.gz", "series")):
        place(name, seed)
    first = here(settings())
    (series,) = (name for name in first if "series" in name)
    assert set(first.values()) == {"done"}
    twins = outputs(tmp_path / "out")
    assert here(settings(workers=7, device="auto", fail_fast=True)) == dict.fromkeys(first, "skipped")
    (tmp_path / "out" / "a_synthetic-mr.nii").write_bytes(b"cut short")
    (tmp_path / "out" / "b_synthetic-mr.translation.json").unlink()
    slice_file = next((tmp_path / "out" / f"{series}_synthetic-mr").glob("*.dcm"))
    slice_file.unlink()
    again = here(settings())
    assert again.pop("b.nii.gz").endswith("no batch wrote it; give --overwrite")
    assert again == {"a.nii": "done", series: "done"}
    assert outputs(tmp_path / "out") == twins
    write_volume(heads[2], tmp_path / "src" / "a.nii", overwrite=True)
    assert here(settings())["a.nii"] == "done"
    assert outputs(tmp_path / "out")["a_synthetic-mr.nii"] != twins["a_synthetic-mr.nii"]
    assert here(settings(precision="bfloat16"))["a.nii"] == "done"
    assert here(settings(overwrite=True)) == dict.fromkeys(first, "done")


def test_another_model_makes_everything_anew_and_one_moved_elsewhere_nothing(
    place: Place, settings: Settings, tmp_path: Path, small_model: Path
) -> None:
    place("a.nii")
    assert here(settings()) == {"a.nii": "done"}
    shutil.copytree(small_model, tmp_path / "moved")
    assert here(settings(model=str(tmp_path / "moved"))) == {"a.nii": "skipped"}
    text = (tmp_path / "moved" / "model.json").read_text()
    (tmp_path / "moved" / "model.json").write_text(text.replace('"small"', '"other"'))
    assert here(settings(model=str(tmp_path / "moved"))) == {"a.nii": "done"}


def test_what_fails_says_why_and_the_others_are_done(
    place: Place, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    src = tmp_path / "src"
    for name in ("good.nii.gz", "sub/good 2.nii", "wrong"):
        place(name)
    (src / "empty.nii").touch()
    whole = (src / "good.nii.gz").read_bytes()
    (src / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    nib.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)).to_filename(src / "air.nii")
    header = bytearray((src / "sub" / "good 2.nii").read_bytes())
    header[42:48] = np.array([30000] * 3, "<i2").tobytes()
    (src / "enormous.nii").write_bytes(header)
    arguments = ["batch", str(src), str(tmp_path / "out"), "--to", "mr", "--model", settings().model]
    assert cli.invoke([*arguments, "--workers", "1", "--device", "cpu"]) == 4
    said = capsys.readouterr()
    assert said.err.count("error:") == 1
    assert "of 7 items: 4 failed" in said.err
    for name, why in {
        "empty.nii": "empty or damaged",
        "truncated.nii.gz": "truncated.nii.gz: ",
        "air.nii": "air.nii: ",
        "enormous.nii": "more than the bound",
    }.items():
        assert any(
            line.startswith(f"warning: failed: {name}: ") and why in line for line in said.err.splitlines()
        )
    assert said.out.splitlines()[1].split() == ["done", "3", "96", said.out.splitlines()[1].split()[3]]
    found = outputs(tmp_path / "out")
    assert {"good_synthetic-mr.nii.gz", "sub/good 2_synthetic-mr.nii"} < found.keys()
    assert not any(name.startswith(("empty", "truncated", "air", "enormous")) for name in found)
    assert cli.invoke([*arguments, "--workers", "1", "--to", "ct", "--json"]) == 4
    wrong = {item["name"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    assert any("is a CT, not an MR; --to ct" in item.get("reason", "") for item in wrong.values())


def test_fail_fast_ends_at_the_first_failure(place: Place, settings: Settings, tmp_path: Path) -> None:
    for number in range(12):
        place(f"{number}.nii")
    (tmp_path / "src" / "0.nii").write_bytes(b"broken")
    batch = run_batch(settings(fail_fast=True, workers=1), quiet=True)
    assert batch.items[0].state == "failed"
    assert batch.left > 0
    assert len(batch.items) + batch.left == 12


def test_pictures_keep_their_sizes(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "src" / "p").mkdir(parents=True)
    y, x = np.mgrid[-1:1:40j, -1:1:30j]
    disc = np.where(x**2 + y**2 < 0.7, 180, 0).astype(np.uint8)
    for name in ("1.png", "2.png"):
        Image.fromarray(disc).save(tmp_path / "src" / "p" / name)
    assert here(settings()) == {"p/1.png": "done", "p/2.png": "done"}
    with Image.open(tmp_path / "out" / "p" / "1_synthetic-mr.png") as made:
        assert made.size == (30, 40)
    assert not list((tmp_path / "out").rglob("*.preview.png"))


def test_voxels_beside_a_header_are_part_of_the_input(
    place: Place, settings: Settings, tmp_path: Path, heads: list[Volume]
) -> None:
    image = SimpleITK.GetImageFromArray(heads[0].values.T.copy())
    image.SetSpacing((8.0, 8.0, 8.0))
    (tmp_path / "src").mkdir()
    SimpleITK.WriteImage(image, str(tmp_path / "src" / "a.mhd"))
    assert here(settings()) == {"a.mhd": "done"}
    raw = bytearray((tmp_path / "src" / "a.raw").read_bytes())
    raw[-4:] = np.array([1.0], "<f4").tobytes()
    (tmp_path / "src" / "a.raw").write_bytes(raw)
    assert here(settings()) == {"a.mhd": "done"}
    assert here(settings()) == {"a.mhd": "skipped"}


def test_foreign_files_are_left_alone(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("a.nii")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_synthetic-mr.nii").write_text("mine")
    assert "no batch wrote it" in here(settings())["a.nii"]
    assert (tmp_path / "out" / "a_synthetic-mr.nii").read_text() == "mine"
    (tmp_path / "out" / "summary.csv").write_text("mine")
    with pytest.raises(OutputExists, match=r"holds a_synthetic-mr\.nii, summary\.csv, which no batch wrote"):
        run_batch(settings(), quiet=True)
    assert here(settings(overwrite=True)) == {"a.nii": "done"}


def test_a_batch_that_settled_nothing_goes_on(place: Place, settings: Settings, tmp_path: Path) -> None:
    """Its journal was empty, and so is not there."""
    place("a.nii")
    run_batch(settings(), quiet=True)
    (tmp_path / "out" / "batch.jsonl").unlink()
    assert states(run_batch(settings(), quiet=True)) == {"a.nii": "skipped"}


def test_what_cannot_begin_writes_nothing(place: Place, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(Unreadable, match="no image"):
        run_batch(settings(), quiet=True)
    place("a.nii")
    with pytest.raises(ModelRefused):
        run_batch(settings(model="absent"), quiet=True)
    assert not (tmp_path / "out").exists()


def test_two_batches_on_one_folder_do_not_collide(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("a.nii")
    (tmp_path / "out").mkdir()
    script = (
        "import sys, time; from pathlib import Path; from medtranslate.runtime.locks import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / "out" / ".batch.lock"
    other = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(UsageError, match=f"process {other.pid} of .* works on it"):
        run_batch(settings(), quiet=True)
    other.kill()
    other.wait()
    other.stdout.close()
    assert states(run_batch(settings(), quiet=True)) == {"a.nii": "done"}


def test_a_batch_waits_for_the_workers_of_a_killed_one(tmp_path: Path) -> None:
    names = [".batch.worker-one-1.lock", ".batch.worker-two-1.lock"]
    with (
        locked(tmp_path / names[0]),
        locked(tmp_path / names[1]),
        pytest.raises(UsageError, match=f"process {os.getpid()} of"),
    ):
        folder.wait_for_workers(tmp_path, 0.1)
    folder.wait_for_workers(tmp_path, 0.0)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_batch_are_removed(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("a/b.nii")
    half = tmp_path / "out" / "a" / ".medtranslate-xyz"
    half.mkdir(parents=True)
    (half / "b.nii").write_text("half")
    (tmp_path / "out" / ".batch.lock").touch()
    run_batch(settings(), quiet=True)
    assert list((tmp_path / "out").rglob(".medtranslate*")) == []


@pytest.mark.parametrize("small_disk", ["400k"], indirect=True)
def test_a_full_disk_fails_what_does_not_fit_and_leaves_nothing_half(
    place: Place, settings: Settings, tmp_path: Path, small_disk: Path
) -> None:
    for number in range(6):
        place(f"{number}.nii")
    out = small_disk / "out"
    batch = run_batch(settings(out=out, workers=1), quiet=True)
    failed = batch.of("failed")
    assert len(batch.items) == 6
    assert 0 < len(failed) < 6
    assert all("the file system is full" in (item.reason or "") for item in failed)
    assert list(out.rglob(".medtranslate*")) == []
    for item in batch.of("done"):
        assert nib.load(out / item.output).get_fdata().shape == (32, 32, 32)


def test_a_killed_worker_costs_a_try_and_not_the_batch(
    place: Place, settings: Settings, tmp_path: Path
) -> None:
    for number in range(10):
        place(f"{number}.nii", number % 3)
    wanted = settings(workers=2, out=tmp_path / "calm")
    run_batch(wanted, quiet=True)
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        import multiprocessing

        while not ended.wait(0.05) and len(killed) < LIVES - 1:  # one item may be hit each time
            busy = any((tmp_path / "out").rglob(".medtranslate-*"))
            for child in multiprocessing.active_children()[:1] if busy else []:
                if child.pid:
                    os.kill(child.pid, signal.SIGKILL)
                    killed.append(child.pid)
                    time.sleep(0.5)

    thread = threading.Thread(target=kill)
    thread.start()
    batch = run_batch(settings(), quiet=True)
    ended.set()
    thread.join()
    assert killed
    assert {item.state for item in batch.items} <= {"done", "skipped"}
    assert outputs(tmp_path / "out") == outputs(tmp_path / "calm")


def test_a_bids_dataset_becomes_a_derivative(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("sub-01/anat/sub-01_T1w.nii.gz")
    (tmp_path / "src" / "dataset_description.json").write_text('{"Name": "heads", "BIDSVersion": "1.9.0"}')
    batch = run_batch(settings(to="ct", workers=1), quiet=True)
    assert [item.state for item in batch.items] != ["failed"]
    out = tmp_path / "out"
    told = json.loads((out / "dataset_description.json").read_text())
    assert told["DatasetType"] == "derivative"
    assert told["GeneratedBy"][0]["Name"] == "medtranslate"
    assert (out / told["DatasetLinks"]["raw"]).resolve() == tmp_path / "src"
    stem = out / "sub-01" / "ct" / "sub-01_desc-fromT1w_ct"
    assert nib.load(f"{stem}.nii.gz").shape == (32, 32, 32)
    beside = json.loads(Path(f"{stem}.json").read_text())
    assert beside["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    record = read_result(Translation, Path(f"{stem}.translation.json"))
    assert record.finished
    # What the standard has no names for is in .bidsignore, as its validator wants it.
    ignored = (out / ".bidsignore").read_text().split()
    files = [path.relative_to(out) for path in out.rglob("[!.]*") if path.is_file()]
    strange = {
        path.as_posix()
        for path in files
        if not ("ct" in path.parts and "**/ct" in ignored)
        and not any(part.startswith(".") for part in path.parts)
        and not any(fnmatch(path.name, pattern) for pattern in ignored)
    }
    assert strange == {"dataset_description.json", "README"}
    (out / "README").write_text("mine")
    run_batch(settings(to="ct", workers=1), quiet=True)
    assert (out / "README").read_text() == "mine"
    # A derivative is a dataset, too.
    assert find_items(replace(settings(), source=out, to="mr", out=tmp_path / "back"))


@pytest.mark.slow
def test_workers_that_are_spawned_do_the_same(
    place: Place, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which has no `forkserver`."""
    place("a.nii")
    run_batch(settings(out=tmp_path / "calm"), quiet=True)
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert states(run_batch(settings(), quiet=True)) == {"a.nii": "done"}
    assert outputs(tmp_path / "out") == outputs(tmp_path / "calm")
