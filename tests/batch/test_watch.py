from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medtranslate.batch import Item, watch
from medtranslate.config import BatchSettings

Settings = Callable[..., BatchSettings]
Place = Callable[..., Path]


class Clock:
    """Seconds that pass when they are looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.25
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    return clock


def until(clock: Clock, end: float, arriving: Iterator[Item | None]) -> list[str]:
    """Names of what is found up to a time."""
    found = []
    while clock.now < end:
        if item := next(arriving):
            found.append(item.name)
    return found


def test_what_arrives_is_taken_once_it_has_stopped_changing(
    place: Place, settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    busy: set[str] = set()
    found = watch.arriving(settings(watch=True, settle=10), busy)
    old = place("old.nii")
    assert until(clock, 9, found) == []
    assert until(clock, 20, found) == ["old.nii"]
    new = tmp_path / "src" / "new.nii"
    for size in (100, 1000, old.stat().st_size):
        new.write_bytes(old.read_bytes()[:size])
        assert until(clock, clock.now + 8, found) == []
    assert until(clock, clock.now + 12, found) == ["new.nii"]
    busy.add("old.nii")
    os.utime(old, (1, 1))
    assert until(clock, clock.now + 30, found) == []
    busy.clear()
    assert until(clock, clock.now + 30, found) == ["old.nii"]
    assert until(clock, clock.now + 30, found) == []


def test_a_slice_that_joins_a_series_makes_it_anew(
    place: Place, settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    series = place("series")
    late = sorted(series.iterdir())[-1].rename(tmp_path / "late.dcm")
    found = watch.arriving(settings(watch=True, settle=1), set())
    (name,) = until(clock, 10, found)
    late.rename(series / "late.dcm")
    assert until(clock, 20, found) == [name]


def test_a_source_that_is_away_comes_back(
    place: Place, settings: Settings, tmp_path: Path, clock: Clock
) -> None:
    place("a.nii")
    found = watch.arriving(settings(watch=True, settle=1), set())
    (tmp_path / "src").rename(tmp_path / "away")
    assert until(clock, 10, found) == []
    (tmp_path / "away").rename(tmp_path / "src")
    assert until(clock, 20, found) == ["a.nii"]


@pytest.mark.slow
def test_a_watch_goes_on_until_ctrl_c_and_then_says_what_it_did(
    place: Place, settings: Settings, tmp_path: Path
) -> None:
    place("a.nii")
    command = [
        sys.executable,
        "-m",
        "medtranslate",
        "batch",
        tmp_path / "src",
        tmp_path / "out",
        "--to",
        "mr",
    ]
    command += ["--model", settings().model, "--device", "cpu", "--watch", "--settle", "0.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        for name in ("a.nii", "b.nii"):
            end = time.monotonic() + 60
            made = tmp_path / "out" / name.replace(".", "_synthetic-mr.")
            while not made.exists() and time.monotonic() < end:
                time.sleep(0.1)
            if name == "a.nii":
                place("b.nii", 1)
        time.sleep(2)
        running.send_signal(signal.SIGINT)
        said, complained = running.communicate(timeout=60)
    assert running.returncode == 0, complained
    assert said.splitlines()[1].split()[:2] == ["done", "2"]
