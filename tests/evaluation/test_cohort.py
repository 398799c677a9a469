from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medtranslate import cli
from medtranslate.config import EvaluateSettings
from medtranslate.errors import DiskFull, InputRefused, Interrupted
from medtranslate.evaluation import cohort as room
from medtranslate.evaluation import evaluate
from medtranslate.evaluation.cohort import journal_path
from medtranslate.records import Cohort, Evaluation, read_result

NAMES = [f"slice-{k}" for k in range(6)]
Crew = Generator[tuple[Any, Any], None, None]


def picture(seed: int) -> NDArray[np.uint8]:
    x, y = np.meshgrid(*(np.linspace(-1.3, 1.3, 48),) * 2)
    inside = x**2 + y**2 < 1
    return np.where(inside, np.random.default_rng(seed).uniform(80, 200, x.shape), 0).astype(np.uint8)


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., EvaluateSettings]:
    """Settings over folders of six pairs of pictures."""
    for folder in ("fake", "real"):
        (tmp_path / folder).mkdir()
        for k, name in enumerate(NAMES):
            Image.fromarray(picture(k + 10 * (folder == "fake"))).save(tmp_path / folder / f"{name}.png")

    def build(**changes: object) -> EvaluateSettings:
        paths = {"prediction": tmp_path / "fake", "reference": tmp_path / "real", "out": tmp_path / "out"}
        return EvaluateSettings(**paths | changes)  # type: ignore[arg-type]

    return build


def cohort(settings: EvaluateSettings) -> Cohort:
    found = evaluate(settings, quiet=True)
    assert isinstance(found, Cohort)
    return found


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pairs that are scored in this process."""
    names: list[str] = []
    attempt = room._attempt

    def note(settings: EvaluateSettings, pages: Path, pair: tuple[str, room.Paths]) -> Evaluation | str:
        names.append(pair[0])
        return attempt(settings, pages, pair)

    monkeypatch.setattr(room, "_attempt", note)
    return names


def test_several_processes_give_what_one_gives(settings: Callable[..., EvaluateSettings]) -> None:
    one, two = (cohort(settings(workers=n, overwrite=n > 1)) for n in (1, 2))
    same = {"workers": None, "overwrite": None}
    assert [replace(item, settings=item.settings | same) for item in two.items] == [
        replace(item, settings=item.settings | same) for item in one.items
    ]
    assert [item.name for item in two.items] == NAMES
    assert (two.mean, two.warnings) == (one.mean, one.warnings)
    assert two.items[0].provenance is not None
    assert len(two.items[0].provenance.inputs["reference"].digest or "") == 64


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when so many pairs are kept."""
    keep = room.Journal.keep
    kept: list[str] = []

    def stop(self: room.Journal, key: str, value: object) -> None:
        if len(kept) == count:
            raise KeyboardInterrupt
        kept.append(key)
        keep(self, key, value)

    monkeypatch.setattr(room.Journal, "keep", stop)


def test_a_pair_that_ends_its_processes_is_in_no_mean_and_the_others_are_scored(
    settings: Callable[..., EvaluateSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crew(begin: Callable[[int], Any], pairs: Iterator[Any], workers: int) -> Crew:
        yield next(pairs), None
        tasks = [*pairs]
        yield from zip(tasks, begin(0)(iter(tasks)), strict=True)

    monkeypatch.setattr(room, "crew", crew)
    found = cohort(settings(workers=2))
    assert len(found.items) == len(NAMES) - 1
    assert [*found.failed] == NAMES[:1]
    assert "fewer --workers" in found.failed[NAMES[0]]


def test_a_full_disk_in_a_process_ends_the_evaluation(
    settings: Callable[..., EvaluateSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*args: object) -> None:
        raise DiskFull(f"{tmp_path}: no space is left")

    def crew(begin: Callable[[int], Any], pairs: Iterator[Any], workers: int) -> Crew:
        tasks = [*pairs]
        yield from zip(tasks, begin(0)(iter(tasks)), strict=True)

    monkeypatch.setattr(room, "write_case", full)
    monkeypatch.setattr(room, "crew", crew)
    with pytest.raises(DiskFull, match="no space is left"):
        cohort(settings(workers=2))
    assert not (tmp_path / "out").exists()


def test_an_interrupted_evaluation_goes_on_where_it_was(
    settings: Callable[..., EvaluateSettings],
    scored: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = cohort(settings(workers=1, out=tmp_path / "whole"))
    scored.clear()
    with monkeypatch.context() as patch:
        interrupt_after(4, patch)
        with pytest.raises(Interrupted, match=r"4 of 6 pairs are kept in .*out\.pairs\.jsonl"):
            evaluate(settings(workers=1), quiet=True)
    assert not (tmp_path / "out").exists()
    with journal_path(tmp_path / "out").open("a") as file:
        file.write('{"key": "cut sho')
    scored.clear()
    Image.fromarray(picture(99)).save(tmp_path / "fake" / "slice-1.png")
    found = cohort(settings(workers=1))
    assert scored == ["slice-1", "slice-4", "slice-5"]
    assert not journal_path(tmp_path / "out").exists()
    unlike = [a.name for a, b in zip(found.items, whole.items, strict=True) if a.volume != b.volume]
    assert unlike == ["slice-1"]
    assert [item.slices for item in found.items[2:]] == [item.slices for item in whole.items[2:]]
    assert read_result(Cohort, tmp_path / "out" / "result.json") == found


def test_other_settings_start_anew(
    settings: Callable[..., EvaluateSettings], scored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(3, patch)
        with pytest.raises(Interrupted):
            evaluate(settings(workers=1), quiet=True)
    scored.clear()
    cohort(settings(workers=1, unmasked=True))
    assert scored == NAMES


def test_patients_and_facts_change_no_score_and_are_of_the_scored_pairs_alone(
    settings: Callable[..., EvaluateSettings],
    scored: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = tmp_path / "facts.csv"
    table.write_text("name,age\n" + "".join(f"{name},{40 + k}\n" for k, name in enumerate(NAMES)))
    chosen = settings(workers=1)
    Image.fromarray(picture(3)[1:]).save(tmp_path / "real" / "slice-5.png")  # refused
    first = cohort(chosen)
    assert first.patients is not None
    assert (first.patients.subjects, first.patients.scores) == ({}, {})
    scored.clear()
    command = ["evaluate", str(tmp_path / "fake"), str(tmp_path / "real"), "--out", str(tmp_path / "out")]
    code = cli.invoke([*command, "--overwrite", "--subjects", "slice-[0-2]|slice", "--table", str(table)])
    assert code == 4
    assert scored == ["slice-5"]
    assert "over 4 patients: MAE" in capsys.readouterr().out
    found = read_result(Cohort, tmp_path / "out" / "result.json").patients
    assert found is not None
    assert list(found.subjects.values()) == ["slice-0", "slice-1", "slice-2", "slice", "slice"]
    assert found.columns["age"] == {name: 40.0 + k for k, name in enumerate(NAMES[:5])}
    assert cli.invoke([*command, "--overwrite", "--subjects", "("]) == 2
    one = [str(tmp_path / folder / "slice-0.png") for folder in ("fake", "real")]
    assert cli.invoke(["evaluate", *one, "--out", str(tmp_path / "one"), "--subjects", "x"]) == 2
    assert "are for folders of pairs" in capsys.readouterr().err


def test_a_refused_pair_is_listed_and_the_others_are_scored(
    settings: Callable[..., EvaluateSettings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(picture(3)[1:]).save(tmp_path / "fake" / "slice-2.png")
    (tmp_path / "real" / "slice-4.png").write_bytes((tmp_path / "real" / "slice-4.png").read_bytes()[:200])
    command = ["evaluate", str(tmp_path / "fake"), str(tmp_path / "real"), "--out", str(tmp_path / "out")]
    assert cli.invoke([*command, "--json"]) == 4
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert list(answer["failed"]) == ["slice-2", "slice-4"]
    assert "48 x 47 x 1 voxels" in answer["failed"]["slice-2"]
    assert [item["name"] for item in answer["items"]] == [NAMES[k] for k in (0, 1, 3, 5)]
    assert said.err.splitlines()[-1].startswith("error: 2 of 6 pairs could not be scored: slice-2, slice-4")
    assert answer["mean"]["mae"] == pytest.approx(
        np.mean([item["volume"]["mae"] for item in answer["items"]])
    )
    # Once it is mended only what failed is left to do.
    for k in (2, 4):
        for folder in ("fake", "real"):
            Image.fromarray(picture(k)).save(tmp_path / folder / f"slice-{k}.png")
    assert cli.invoke([*command, "--overwrite"]) == 0
    assert "not scored" not in capsys.readouterr().err
    assert not journal_path(tmp_path / "out").exists()


@pytest.mark.parametrize("damage", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_file_fails_its_own_pair_alone(
    settings: Callable[..., EvaluateSettings],
    damage: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings()
    (tmp_path / "real" / "slice-3.png").write_bytes(damage)
    command = ["evaluate", str(tmp_path / "fake"), str(tmp_path / "real"), "--out", str(tmp_path / "out")]
    assert cli.invoke([*command, "--json"]) == 4
    printed = capsys.readouterr()
    assert "1 of 6 pairs could not be scored: slice-3" in printed.err
    answer = json.loads(printed.out)
    assert "slice-3.png" in answer["failed"]["slice-3"]
    assert len(answer["items"]) == 5


def test_nothing_is_written_where_every_pair_is_refused(
    settings: Callable[..., EvaluateSettings], tmp_path: Path
) -> None:
    for name in NAMES:
        Image.fromarray(picture(3)[1:]).save(tmp_path / "fake" / f"{name}.png")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputRefused, match="none of 6 pairs could be scored; the first, slice-0: prediction"):
        evaluate(settings(), quiet=True)
    assert sorted(tmp_path.iterdir()) == before


def test_tissues_are_meant_over_the_items(
    tmp_path: Path, volume: Callable[..., object], head: NDArray[np.float32], noisy: NDArray[np.float32]
) -> None:
    from medtranslate.io import write_volume

    for k, name in enumerate("ab"):
        for folder, values in (("fake", noisy + 10 * k), ("real", head)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_volume(volume(values), tmp_path / folder / f"{name}.nii.gz")  # type: ignore[arg-type]
    found = cohort(
        EvaluateSettings(
            prediction=tmp_path / "fake", reference=tmp_path / "real", out=tmp_path / "o", modality="ct"
        )
    )
    for name, tissue in found.tissues.items():
        parts = [item.tissues[name] for item in found.items]
        known = [part.mae for part in parts if part.mae is not None]
        assert tissue.mae == (pytest.approx(np.mean(known)) if known else None)
        assert tissue.share == pytest.approx(np.mean([part.share for part in parts]))
    assert found.tissues["bone"].mae
    assert found.tissues["bone"].dice == pytest.approx(
        np.mean([i.tissues["bone"].dice or 0 for i in found.items])
    )


def alive(group: int) -> list[str]:
    """Processes of a group that are not ended (zombies are)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            found += [path.parent.name] if int(its_group) == group and state != "Z" else []
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_signal_ends_all_processes_and_the_command_goes_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    for folder in ("fake", "real"):
        (tmp_path / folder).mkdir()
        for k in range(150):
            Image.fromarray(np.kron(picture(k % 7 + (folder == "fake")), np.ones((12, 12), np.uint8))).save(
                tmp_path / folder / f"{k}.png"
            )
    command = [
        sys.executable,
        "-m",
        "medtranslate",
        "evaluate",
        "fake",
        "real",
        "--out",
        "out",
        "--workers",
        "2",
    ]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    kept = tmp_path / "out.pairs.jsonl"
    give_up = time.monotonic() + 120
    while (not kept.exists() or kept.read_text().count("\n") < 5) and time.monotonic() < give_up:
        time.sleep(0.1)
    # A terminal's Ctrl-C goes to all of them, a kill to the one.
    (os.killpg if number == signal.SIGINT else os.kill)(child.pid, number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == code
    assert "Traceback" not in said
    assert sum(line.startswith("error: ") for line in said.splitlines()) == (number != signal.SIGKILL)
    give_up = time.monotonic() + 20
    while alive(child.pid) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert alive(child.pid) == []
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".medtranslate-")}
    assert left == {"fake", "real", "out.pairs.jsonl", "out.pairs.pages"}
    assert number == signal.SIGKILL or len(list(tmp_path.iterdir())) == 4
    done = kept.read_text().count("key")
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0
    assert 5 <= done < 150
    assert len(read_result(Cohort, tmp_path / "out" / "result.json").items) == 150
    assert len(list((tmp_path / "out" / "cases").iterdir())) == 150
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {"fake", "real", "out"}
