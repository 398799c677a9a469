"""Runs whole processes in turn, and measures each: seconds of the CPU and of the clock, and peak memory.

The process that measures must stay small: Linux counts its memory to a child that has not begun its program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Cost:
    """Cost of one run of a process, its children included."""

    cpu: float
    wall: float
    peak_mib: float


@dataclass(frozen=True)
class Process:
    """A command line that is measured.

    Attributes:
        arguments: the program and what it is given.
        checkout: goes before everything else on the path of Python's modules.
        exit: code that it has to end with.
        writes: what it writes, which is removed before each run.
    """

    arguments: Sequence[str]
    checkout: Path | None = None
    exit: int = 0
    writes: Path | None = None


def measure(process: Process, threads: int, folder: Path) -> Cost:
    """Run a process to its end in a folder.

    Raises:
        RuntimeError: it ended with another code than it has to.
    """
    if process.writes and process.writes.exists():
        shutil.rmtree(process.writes)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.pop("PYTHONPATH", None)
    if process.checkout:
        environment["PYTHONPATH"] = str(process.checkout)
    started = time.perf_counter()
    running = subprocess.Popen(
        process.arguments,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    said = running.stderr.read()
    _, status, used = os.wait4(running.pid, 0)
    wall = time.perf_counter() - started
    running.stderr.close()
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode != process.exit:
        raise RuntimeError(f"{' '.join(process.arguments)} ended with {running.returncode}: {said[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / _TO_MIB)


_TO_MIB = 2**20 if sys.platform == "darwin" else 2**10
"""Units of `ru_maxrss` in a MiB: it counts bytes on macOS, KiB elsewhere."""


def in_turns(processes: Mapping[str, Process], turns: int, threads: int, folder: Path) -> dict[str, Cost]:
    """Medians over the turns, in each of which every process runs once."""
    found: dict[str, list[Cost]] = {name: [] for name in processes}
    for _ in range(turns):
        for name, process in processes.items():
            found[name].append(measure(process, threads, folder))
    return {
        name: Cost(*(median(getattr(cost, key) for cost in costs) for key in ("cpu", "wall", "peak_mib")))
        for name, costs in found.items()
    }
