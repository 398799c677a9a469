"""Throughput of a node beside `batch` on the same files, and its memory as series go by.

    python -m benchmarks.speed.node [--series 200] [--slices 20] [--workers 2] [--report] [--pynetdicom]

Sender and archive are storescu and storescp of dcmtk (Debian's package dcmtk). With `--pynetdicom` they are
of Python, and take more time than the node. They run on the same machine and share its cores; their CPU is
not counted. `wall` is from the first image that is sent to the last image at the archive, `sent` to the last
answer to the sender. For `batch`, `wall` is the whole command. Both write derived DICOM series by the model
`phantom`. Batch draws previews; the node writes none, and reports with `--report` alone. The contenders take
turns. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.speed.batch_runs import below
from benchmarks.speed.node_runs import (
    answers,
    free_port,
    make_series,
    send,
    send_by_dcmtk,
    start_archive,
    start_node,
    start_storescp,
    write_rules,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--pynetdicom", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series = make_series(folder, options.series, slices=options.slices, pixels=options.pixels)
        walls, spent = list[float](), list[float]()
        for turn in range(options.turns):
            batch = run_batch(folder / "series", folder / "out", options.workers)
            node = run_node(folder, series, options)
            walls.append(batch.wall / node.wall)
            spent.append(batch.cpu / node.cpu)
            print(f"  turn {turn + 1}: batch {batch}, node {node}", flush=True)
    told = {"throughput_of_batch": median(walls), "by_cpu": median(spent)}
    print(json.dumps({name: round(value, 3) for name, value in told.items()}))


@dataclass(frozen=True)
class Run:
    """Seconds of the clock and of the CPU, and megabytes after each quarter of the series and at the end."""

    wall: float
    cpu: float
    sent: float = 0
    megabytes: tuple[int, ...] = ()


def run_batch(source: Path, out: Path, workers: int) -> Run:
    shutil.rmtree(out, ignore_errors=True)
    before, started = cpu_of_children(), time.monotonic()
    command = [sys.executable, "-m", "medtranslate", "batch", str(source), str(out), "--to", "ct"]
    command += ["--model", "phantom", "--device", "cpu", "--workers", str(workers), "--quiet"]
    done = subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode in (0, 4)  # doubtful: the slices are a part of a head
    return Run(round(time.monotonic() - started, 2), round(cpu_of_children() - before, 2))


def run_node(folder: Path, series: Sequence[Path], options: argparse.Namespace) -> Run:
    port, archive_port = free_port(), free_port()
    log, arrived = folder / "archive.jsonl", folder / "arrived"
    log.unlink(missing_ok=True)
    shutil.rmtree(arrived, ignore_errors=True)
    shutil.rmtree(folder / "work", ignore_errors=True)
    rule = {"to": "ct", "model": "phantom", "report": options.report}
    write_rules(folder / "node.yaml", port, archive_port, rules=[rule])
    archive = (
        start_archive(archive_port, log) if options.pynetdicom else start_storescp(archive_port, arrived)
    )
    node = start_node(folder / "node.yaml", folder / "work", options.workers)
    for each in (archive_port, port):
        while not answers(each):
            assert node.poll() is None
            time.sleep(0.1)
    started, memory = time.monotonic(), list[float]()
    for number, place in enumerate(series, start=1):
        assert send(port, sorted(place.iterdir())) if options.pynetdicom else send_by_dcmtk(port, place)
        if number % max(1, len(series) // 4) == 0:
            memory.append(megabytes(node.pid))
    sent = time.monotonic() - started
    while count(log, arrived) < options.slices * len(series):
        assert node.poll() is None
        time.sleep(0.1)
    wall = time.monotonic() - started
    memory.append(megabytes(node.pid))
    archive.kill()
    before = cpu_of_children()
    node.terminate()
    assert node.wait() == 0
    spent = cpu_of_children() - before
    archive.wait()
    return Run(round(wall, 2), round(spent, 2), round(sent, 2), tuple(round(value) for value in memory))


def count(log: Path, arrived: Path) -> int:
    """Count the CT images that have arrived at either archive."""
    logged = log.read_text(encoding="utf-8").count('"modality": "CT"') if log.exists() else 0
    return logged + sum(1 for _ in arrived.glob("CT.*"))


def cpu_of_children() -> float:
    """Sum the CPU seconds of the processes that this one has waited for, and of theirs."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def megabytes(pid: int) -> float:
    """Sum the memory of a process and of those below it, without what they share."""
    total = 0
    for each in (pid, *below(pid)):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


if __name__ == "__main__":
    main()
