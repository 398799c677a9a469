"""Kills batches at random moments, and compares what they end with: nothing lost, nothing half written.

    python -m benchmarks.quality.batch_kills [--full] [--cluster]

A small list is begun, and driver or worker gets SIGKILL at a random moment, again and again (50 times with
`--full`). Once the batch comes to its end every output is compared with an undisturbed run's, and none may
have been replaced after it was whole. `--cluster` (needs Ray) kills driver, actors and nodes of a cluster of
two nodes on this machine. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.batch_runs import below, in_place, make_list, parents, start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        act = cluster_kills if options.cluster else kills
        print(json.dumps(act(Path(folder), options)))


def kills(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Kill driver and workers of one machine."""

    def strike(chance: random.Random, driver: int) -> str:
        staff = workers_of(driver)
        kind = chance.choice(["driver", "worker", "worker", "worker"]) if staff else "driver"
        os.kill(chance.choice(staff) if kind == "worker" else driver, signal.SIGKILL)
        return kind

    return until_the_end(folder, options, strike, 50 if options.full else 6)


def cluster_kills(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Kill driver, actors and whole nodes of a Ray cluster; a lost node is replaced by a fresh one."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    head = node | {"num_cpus": 0, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        nodes.add_node(**node)

    def strike(chance: random.Random, driver: int) -> str:
        staff = actors()
        kind = chance.choice(["driver", "worker", "node"] if staff else ["driver", "node"])
        if kind == "node":
            nodes.remove_node(chance.choice(nodes.list_all_nodes()[1:]), allow_graceful=False)
            nodes.add_node(**node)
        else:
            os.kill(chance.choice(staff) if kind == "worker" else driver, signal.SIGKILL)
        return kind

    try:
        return until_the_end(folder, options, strike, 24 if options.full else 4, nodes.address)
    finally:
        nodes.shutdown()


def until_the_end(
    folder: Path,
    options: argparse.Namespace,
    strike: Callable[[random.Random, int], str],
    wanted: int,
    cluster: str | None = None,
) -> dict[str, object]:
    """Kill at random moments until there were enough; compare whenever the batch comes to its end.

    Args:
        strike: kills something of the batch whose driver is this process, and says what.
        wanted: kills.
    """
    chance = random.Random(options.seed)
    source, calm, out = make_list(folder, 24), folder / "calm", folder / "out"
    assert start(source, calm, 2).wait() == 0
    twins, counts = voxels(calm), Counter[str]()
    ends = runs = replaced = differing = half = 0
    whole: dict[Path, tuple[int, int]] = {}
    while counts.total() < wanted or (out / "batch.jsonl").exists():
        batch, runs = start(source, out, 2, cluster=cluster), runs + 1
        while wait_a_while(batch, out, chance) and counts.total() < wanted:
            counts[strike(chance, batch.pid)] += 1
        batch.wait()
        seen = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in in_place(out)}
        replaced += sum(seen.get(path) != state for path, state in whole.items())
        # What took its place while the batch ended is looked at by the next run, which must leave it alone.
        whole = seen
        for path in seen:
            try:
                image: Any = nib.load(path)
                image.get_fdata()
            except Exception:
                half += 1
        if batch.returncode == 0:
            ends += 1
            found = voxels(out)
            differing += found.keys() != twins.keys() or any(
                not np.array_equal(found[name][0], twins[name][0])
                or not np.array_equal(found[name][1], twins[name][1])
                for name in twins
            )
            half += len(list(out.rglob(".medtranslate-*")))
            shutil.rmtree(out)
            whole = {}
        print(f"  run {runs}: {dict(counts)}, ended {batch.returncode}, {len(seen)} whole;", end=" ")
        print(f"{ends} ends, {differing} differ, {half} half, {replaced} replaced", flush=True)
    return {
        "kills": dict(counts),
        "runs": runs,
        "ends": ends,
        "ends_that_differ": differing,
        "half_written": half,
        "replaced_when_whole": replaced,
    }


def wait_a_while(batch: subprocess.Popen[bytes], out: Path, chance: random.Random) -> bool:
    """Wait for up to four further outputs (or for none), and a second at most; False if it has ended."""
    wanted = len(in_place(out)) + chance.randint(0, 4)
    while batch.poll() is None and len(in_place(out)) < wanted:
        time.sleep(0.005)
    moment = time.monotonic() + chance.uniform(0, 1)
    while batch.poll() is None and time.monotonic() < moment:
        time.sleep(0.005)
    return batch.poll() is None


def voxels(out: Path) -> dict[str, tuple[NDArray[Any], NDArray[np.float64]]]:
    """Read values and affine of each output."""
    images: dict[str, Any] = {str(path.relative_to(out)): nib.load(path) for path in in_place(out)}
    return {name: (np.asarray(image.dataobj), image.affine) for name, image in images.items()}


def workers_of(pid: int) -> list[int]:
    """Find the processes that the driver's fork server has made."""
    known = parents()
    return [child for child in below(pid) if known.get(child) != pid]


def actors() -> list[int]:
    """Find the processes of Ray's actors; each names itself."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (path / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                found.append(int(path.name))
    return found


if __name__ == "__main__":
    main()
