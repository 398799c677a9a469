"""Measures batches: memory of long lists, two workers beside one, overhead, and a cluster.

    python -m benchmarks.speed.batch [memory | scaling | overhead | cluster ...] [--full]

`memory`: peak of all processes together (PSS, sampled) of a list of 1,000 (200 in a quick run) volumes over
that of 20. `scaling`: two workers on two cores beside one on one, in turns. `overhead`: seconds of a worker
for a volume of 256 x 256 x 150 beyond the passes through its network, as a share of these, for a network of
256 pixels and for the shipped one of 128; by the clock, where reading and writing overlap with the network if
a core is free for them, and in seconds of the CPU. `cluster` (where it is asked for; it needs Ray): two nodes
of a Ray cluster on this machine with a core each, beside two workers without it, in turns.

The last line is one JSON object. Times of a machine that does other work, too, are upper bounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.speed.batch_runs import below, in_place, make_list, start
from benchmarks.speed.inputs import make_model, pass_through, resized
from medtranslate.batch import find_items, translate_items
from medtranslate.config import BatchSettings, TranslateSettings
from medtranslate.io import read_volume, write_volume
from medtranslate.phantom import HELD_OUT, study
from medtranslate.translation import open_translator

PART = 20
"""Volumes of a short list."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", default=["memory", "scaling", "overhead"], metavar="PART")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    told: dict[str, object] = {}
    for name in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            told |= PARTS[name](Path(folder), options)
        print(name, told, flush=True)
    print(json.dumps(told))


def memory(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    peaks = {}
    for count in (PART, 1000 if options.full else 200):
        batch = start(make_list(folder, count, size=32), folder / f"out{count}", 2)
        peak = driver = 0
        while batch.poll() is None:
            own = pss(batch.pid)
            driver = max(driver, own)
            peak = max(peak, own + sum(pss(child) for child in below(batch.pid)))
            time.sleep(0.3)
        assert batch.returncode == 0
        peaks[count] = peak, driver
        print(f"  {count} volumes: {peak / 1024:.0f} MiB, driver {driver / 1024:.0f} MiB", flush=True)
    short, long = peaks.values()
    return {
        "memory_ratio": round(long[0] / short[0], 2),
        "driver_memory_ratio": round(long[1] / short[1], 2),
        "memory_mib": {str(count): round(peak / 1024) for count, (peak, _) in peaks.items()},
    }


def pss(pid: int) -> int:
    """Read the memory of a process in KiB, what it shares with others divided by their number."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("Pss:")), 0)


def scaling(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Measure volumes a second of two workers beside one, once the programs are loaded."""
    source = make_list(folder, 40, size=96)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(5 if options.full else 2):
        for workers in rates:
            out = folder / f"out{turn}-{workers}"
            rates[workers].append(rate(start(source, out, workers, cores=workers), out))
            print(f"  {workers} workers: {rates[workers][-1]:.2f} volumes/s", flush=True)
    pairs = zip(rates[2], rates[1], strict=True)
    return {
        "scaling": round(median(two / one for two, one in pairs), 2),
        "volumes_per_second": {str(workers): round(median(found), 2) for workers, found in rates.items()},
    }


def rate(batch: subprocess.Popen[bytes], out: Path) -> float:
    """Count volumes a second, from the first that is in its place to the last."""
    times: list[tuple[float, int]] = []
    while batch.poll() is None:
        done = len(in_place(out))
        if done and (not times or done > times[-1][1]):
            times.append((time.monotonic(), done))
        time.sleep(0.02)
    (first, begun), (last, done) = times[0], times[-1]
    return (done - begun) / (last - first)


def cluster(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    from ray.cluster_utils import Cluster

    source = make_list(folder, 40, size=96)
    store = 100 * 2**20
    head = {"num_cpus": 1, "object_store_memory": store, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.add_node(num_cpus=1, object_store_memory=store)
    rates: dict[str, list[float]] = {"local": [], "ray": []}
    try:
        for turn in range(5 if options.full else 2):
            for name, address in {"local": None, "ray": nodes.address}.items():
                out = folder / f"out{turn}-{name}"
                rates[name].append(rate(start(source, out, 2, cluster=address), out))
                print(f"  {name}: {rates[name][-1]:.2f} volumes/s", flush=True)
    finally:
        nodes.shutdown()
    pairs = zip(rates["ray"], rates["local"], strict=True)
    return {
        "ray_over_local": round(median(ray / local for ray, local in pairs), 2),
        "volumes_per_second": {name: round(median(found), 2) for name, found in rates.items()},
    }


def overhead(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Compare a worker's clock and CPU for a volume, in the middle of a list, with its network's."""
    (folder / "src").mkdir()
    head = resized(study(HELD_OUT, size=256, spacing=1.0).mr, (256, 256, 150))
    write_volume(head, folder / "src" / "0.nii.gz")
    for number in range(1, 12 if options.full else 6):
        shutil.copy(folder / "src" / "0.nii.gz", folder / "src" / f"{number}.nii.gz")
    torch.set_num_threads(1)
    make_model(folder / "model", 256)
    return overhead_of(256, str(folder / "model"), folder) | overhead_of(128, "phantom", folder)


def overhead_of(size: int, name: str, folder: Path) -> dict[str, object]:
    source, out = folder / "src", folder / f"out{size}"
    translator = open_translator(
        TranslateSettings(input=source, output=out, to="ct", model=name, device="cpu")
    )
    seen = translator.frame(read_volume(source / "0.nii.gz", modality="mr"))
    passes = -(-len(seen.shown) // translator.slices_per_pass)
    neighbours = translator.model.description.network.neighbours
    framed = [seen.framed(places, size, neighbours) for places in np.array_split(seen.shown, passes)]
    clock, cpu = [], []
    for _ in range(3):
        started, busy = time.perf_counter(), time.process_time()
        pass_through(translator.model, framed)
        clock.append(time.perf_counter() - started)
        cpu.append(time.process_time() - busy)
    settings = BatchSettings(source=source, out=out, to="ct", model=name, device="cpu")
    out.mkdir()
    marks = []
    for outcome in translate_items(settings, translator, find_items(settings)):
        assert outcome.state == "done", outcome.reason
        marks.append((time.perf_counter(), time.process_time()))
    # Each but the last comes when the next has passed the network.
    (first, busy), (last, ended), count = marks[0], marks[-2], len(marks) - 2
    return {
        f"overhead_{size}": round((last - first) / count / median(clock) - 1, 3),
        f"overhead_{size}_cpu": round((ended - busy) / count / median(cpu) - 1, 3),
        f"seconds_{size}": {"volume": round((last - first) / count, 2), "network": round(median(clock), 2)},
    }


PARTS = {
    "memory": memory,
    "scaling": scaling,
    "overhead": overhead,
    "cluster": cluster,
}

if __name__ == "__main__":
    main()
