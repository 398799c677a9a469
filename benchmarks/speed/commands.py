"""Measures whole processes of medtranslate, each beside its yardstick in the same run.

    python -m benchmarks.speed.commands [--checkout DIR] [--base DIR] [--data DIR] [--only PATTERN]

| command | yardstick |
| --- | --- |
| convert a series of 28 slices, and of 200, of 512 x 512 to NIfTI | dcm2niix |
| info, models show, report, an error | an interpreter that does nothing |
| translate a picture | an interpreter that imports torch |
| evaluate a pair of 192 x 192 x 60 voxels | scikit-image on plain arrays |
| translate a series of 200 slices to a series | the larger of its network, and of reading and writing |

All take turns. Told are medians of seconds of the CPU (user and system, all threads), of seconds by the clock
and of peak memory. `--base` measures another checkout's commands in the same turns. The series of 28 slices
is the real one where `--data` has it. Times by the clock of a machine that does other work are upper bounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dcm2niix

from benchmarks.speed.processes import Cost, Process, in_turns

ROOT = Path(__file__).parents[2]

OURS, BASE = "medtranslate", "base"

COMMANDS = {
    "convert, 28 slices": "convert short {out}/x.nii.gz",
    "convert, 200 slices": "convert ct {out}/x.nii.gz",
    "info, 28 slices": "info short",
    "models show": "models show brain-2d",
    "report": "report scored-{who} --out {out}/x",
    "error": "translate nothing.nii.gz {out}/x.nii.gz --to ct",
    "translate a picture": "translate mr.png {out}/x.png --to ct --force",
    "evaluate": "evaluate made.nii.gz truth.nii.gz --modality ct --out {out}/x",
    "translate, 200 slices": "translate mr {out}/x --to ct --force",
}
"""Our commands; `{out}` is a folder that is empty, `{who}` whose record is read."""

ERROR = 3
"""Exit code of a refused input."""

SCIKIT_IMAGE = """
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
made, truth = np.load("made.npy"), np.load("truth.npy")
mask = truth > -400
width = float(truth.max() - truth.min())
print(np.abs(made - truth)[mask].mean(), peak_signal_noise_ratio(truth, made, data_range=width))
planes = range(truth.shape[2])
print(np.mean([structural_similarity(truth[..., z], made[..., z], data_range=width) for z in planes]))
"""

NETWORK = """
import torch
from medtranslate.config import NetworkSettings
from medtranslate.device import fast_precision
from medtranslate.networks import VariationalGenerator
cpu = torch.device("cpu")
network = VariationalGenerator(NetworkSettings(size=256)).eval().to(memory_format=torch.channels_last)
precision = fast_precision("auto", cpu)
with torch.inference_mode(), torch.autocast("cpu", precision, enabled=precision is not torch.float32):
    for _ in range(50):
        network(torch.randn(4, 1, 256, 256))
"""
"""As many passes as 200 slices need, without anything else."""

COPY = """
import sys
from pathlib import Path
from medtranslate.io import read_volume, write_volume
write_volume(read_volume(Path("mr")), Path(sys.argv[1]))
"""
"""The series read and written as DICOM, without anything between."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, options)
        load = os.getloadavg()[0]
        rows = {}
        for command in COMMANDS:
            if re.search(options.only, command):
                rows[command] = in_turns(
                    contenders(command, folder, options), options.turns, options.threads, folder
                )
                print(command, {name: asdict(cost) for name, cost in rows[command].items()}, file=sys.stderr)
    facts = {
        "machine": machine(),
        "commit": commit(options.checkout),
        "base": commit(options.base) if options.base else None,
        "threads": options.threads,
        "turns": options.turns,
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }
    print(table(rows, facts))
    if options.json:
        told = {command: {name: asdict(cost) for name, cost in row.items()} for command, row in rows.items()}
        options.json.write_text(json.dumps({**facts, "commands": told}, indent=1), encoding="utf-8")


def make_inputs(folder: Path, options: argparse.Namespace) -> None:
    """Write inputs, and with each checkout a record that its `report` shows."""
    given = [str(folder), *([str(options.data)] if options.data else [])]
    subprocess.run([sys.executable, "-m", "benchmarks.speed.command_inputs", *given], cwd=ROOT, check=True)
    for who, checkout in ((OURS, options.checkout), (BASE, options.base)):
        if checkout:
            scored = f"evaluate made.nii.gz truth.nii.gz --modality ct --out scored-{who} --quiet"
            subprocess.run(
                [sys.executable, "-m", "medtranslate", *scored.split()],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(checkout)},
                check=True,
            )


def contenders(command: str, folder: Path, options: argparse.Namespace) -> dict[str, Process]:
    """Return a command of ours, the same of the base, and its yardsticks."""
    found = {OURS: ours(command, folder, OURS, options.checkout)}
    if options.base:
        found[BASE] = ours(command, folder, BASE, options.base)
    return found | yardsticks(command, folder, options.checkout)


def ours(command: str, folder: Path, who: str, checkout: Path) -> Process:
    """Build a command line of a checkout."""
    out = folder / "out"
    line = COMMANDS[command].format(out=out, who=who).split()
    return Process(
        (sys.executable, "-m", "medtranslate", *line), checkout, ERROR if command == "error" else 0, out
    )


def yardsticks(command: str, folder: Path, checkout: Path) -> dict[str, Process]:
    """Build the processes that a command is measured against, by name."""
    if command.startswith("convert"):
        series = "short" if "28" in command else "ct"
        return {"dcm2niix": dicom_to_nifti(folder, series)}
    if command == "translate a picture":
        return {"import torch": Process((sys.executable, "-c", "import torch"))}
    if command == "evaluate":
        return {"scikit-image": Process((sys.executable, "-c", SCIKIT_IMAGE))}
    if command == "translate, 200 slices":
        out = folder / "out"
        return {
            "network": Process((sys.executable, "-c", NETWORK), checkout),
            "reading and writing": Process((sys.executable, "-c", COPY, str(out)), checkout, writes=out),
        }
    return {"python": Process((sys.executable, "-c", "pass"))}


def dicom_to_nifti(folder: Path, series: str) -> Process:
    """Build a run of dcm2niix into a folder that is there; it writes over its last output."""
    (folder / "niix").mkdir(exist_ok=True)
    options = ("-z", "y", "-b", "n", "-w", "1", "-o", "niix", "-f", "x")
    return Process((dcm2niix.bin, *options, series))


def table(rows: dict[str, dict[str, Cost]], facts: dict[str, Any]) -> str:
    """Write costs and their ratios to the larger yardstick as a Markdown table."""
    told = [
        ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None),
        "",
        "| command | who | CPU, s | clock, s | peak, MiB | CPU over yardstick | clock over yardstick |",
        "| --- " * 7 + "|",
    ]
    for command, row in rows.items():
        others = [cost for name, cost in row.items() if name not in (OURS, BASE)]
        cpu, wall = max(cost.cpu for cost in others), max(cost.wall for cost in others)
        for name, cost in row.items():
            ratios = f"{cost.cpu / cpu:.2f} | {cost.wall / wall:.2f}" if name in (OURS, BASE) else " | "
            told.append(
                f"| {command} | {name} | {cost.cpu:.2f} | {cost.wall:.2f} | {cost.peak_mib:.0f} | {ratios} |"
            )
    return "\n".join(told)


def machine() -> str:
    """Describe the machine: processor, number of cores, interpreter."""
    known = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.*)", known.read_text()) if known.is_file() else None
    name = found[1] if found else platform.processor()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, with a plus where files differ from it."""
    git = ("git", "-C", str(checkout), "describe", "--always", "--dirty=+", "--exclude=*")
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkout", type=lambda text: Path(text).resolve(), default=ROOT)
    parser.add_argument("--base", type=lambda text: Path(text).resolve(), help="another checkout")
    parser.add_argument("--data", type=Path, help="folder of real images")
    parser.add_argument("--only", default="", help="pattern of the names of the commands to measure")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
