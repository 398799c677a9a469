"""Starts batches of heads as processes, and looks at them: what the benchmarks of batches share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from medtranslate.io import write_volume
from medtranslate.phantom import HELD_OUT, study


def make_list(folder: Path, count: int, size: int = 48) -> Path:
    """Write a tree of MR of heads, of ten that differ."""
    source = folder / f"list{count}"
    kinds = [study(HELD_OUT + seed, size=size, spacing=256 / size).mr for seed in range(min(count, 10))]
    for number in range(count):
        path = source / f"part {number // 50}" / f"head {number}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        first = source / "part 0" / f"head {number % 10}.nii.gz"
        if number < 10:
            write_volume(kinds[number], path)
        else:
            shutil.copy(first, path)
    return source


def start(
    source: Path, out: Path, workers: int, *, cores: int | None = None, cluster: str | None = None
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "medtranslate", "batch", str(source), str(out), "--to", "ct"]
    command += ["--model", "phantom", "--device", "cpu", "--workers", str(workers), "--quiet"]
    command += ["--cluster", cluster] if cluster else []
    pinned = ["taskset", "-c", ",".join(map(str, range(cores)))] if cores else []
    return subprocess.Popen([*pinned, *command], stderr=subprocess.DEVNULL)


def in_place(out: Path) -> list[Path]:
    """List the outputs, without those that are being written."""
    return [
        Path(folder) / name
        for folder, _, names in os.walk(out)  # which passes over what vanishes meanwhile
        for name in names
        if name.endswith(".nii.gz") and not Path(folder).name.startswith(".")
    ]


def parents() -> dict[int, int]:
    """Read the parent of each process of this machine."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            found[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return found


def below(pid: int) -> Iterator[int]:
    known = parents()
    for child in [child for child, parent in known.items() if parent == pid]:
        yield child
        yield from below(child)
