"""Runs whole processes in turn, and measures each: seconds of the CPU and of the clock, and peak memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
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


_LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
child = os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
told = [os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, time.perf_counter() - started]
open(sys.argv[1], "w").write(json.dumps([*told, used.ru_maxrss]))
"""
"""Starts and measures a process; small, because Linux counts the memory of whoever starts a process to it."""


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
    with tempfile.NamedTemporaryFile() as told:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, told.name, *process.arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        code, cpu, wall, peak = json.load(told)
    if code != process.exit:
        raise RuntimeError(f"{' '.join(process.arguments)} ended with {code}: {done.stderr[-2000:]}")
    return Cost(cpu, wall, peak / _TO_MIB)


_TO_MIB = 2**20 if sys.platform == "darwin" else 2**10
"""Units of `ru_maxrss` in a MiB: it counts bytes on macOS, KiB elsewhere."""


def in_turns(processes: Mapping[str, Process], turns: int, threads: int, folder: Path) -> dict[str, Cost]:
    """Measure processes in turns, each once a turn; return medians."""
    found: dict[str, list[Cost]] = {name: [] for name in processes}
    for _ in range(turns):
        for name, process in processes.items():
            found[name].append(measure(process, threads, folder))
    return {
        name: Cost(*(median(getattr(cost, key) for cost in costs) for key in ("cpu", "wall", "peak_mib")))
        for name, costs in found.items()
    }
