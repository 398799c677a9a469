from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medtranslate.config import BatchSettings

Settings = Callable[..., BatchSettings]
Place = Callable[..., Path]


def begin(settings: BatchSettings) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "medtranslate", "batch", settings.source, settings.out, "--to", "mr"]
    command += ["--model", settings.model, "--device", "cpu", "--workers", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def images(out: Path) -> dict[str, bytes]:
    """What is in its place: files that are being written lie in hidden folders."""
    return {path.name: path.read_bytes() for path in out.glob("*.nii")}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_ended_batch_goes_on_where_it_was(
    place: Place, settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    """50 kills at random moments are `benchmarks.quality.batch_kills`'s."""
    for head in range(40):
        place(f"{head}.nii", head % 3)
    calm = settings(out=tmp_path / "calm")
    with begin(calm) as undisturbed:
        assert undisturbed.communicate()[0].splitlines()[1].split()[:2] == ["done", "40"]
    for least in (1, 10):
        with begin(settings()) as batch:
            while batch.poll() is None and len(images(tmp_path / "out")) < least:
                time.sleep(0.01)
            batch.send_signal(number)
            said = batch.communicate(timeout=60)[1]
        if number == signal.SIGINT:
            assert batch.returncode == 130
            assert "the same command goes on from there" in said
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.nii")}
        assert len(before) >= least
    with begin(settings()) as batch:
        table = batch.communicate()[0].splitlines()
    assert batch.returncode == 0
    assert all(path.stat().st_mtime_ns == state for path, state in before.items())
    done, skipped = (int(row.split()[1]) for row in table[1:3])
    assert done + skipped == 40
    assert skipped >= len(before)
    assert images(tmp_path / "out") == images(tmp_path / "calm")
    assert list((tmp_path / "out").rglob(".medtranslate*")) == []
