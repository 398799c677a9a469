"""Images per second of a full training step, ours beside CycleGAN as cyclegan.

    python -m benchmarks.speed.training [--full] [--threads 2] [--device cuda]

A step is the same job for all: both directions, cycle, identity, both discriminators with a pool of 50,
all optimisers. Our moving average is in it; our phantom anchor is not, for CycleGAN has none. Contenders:

    ours           our networks at their defaults, bfloat16, `--batch`
    published      CycleGAN as published, float32, batches of one
    same           the networks as published, at our batch and precision, in the faster layout

Each lives in a process of its own, so that its peak memory is its own. They take turns, and a ratio is the
median over turns of neighbours in time. All see the same phantom slices, held in memory. What drawing them
adds is told apart: the share of our steps, at defaults and with the anchor, that waits for its batch. The
last line is one JSON object; a ratio above 1 means that ours sees more images per second, and `_cpu` counts
seconds of the CPU, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.ablation.methods import cyclegan
from benchmarks.speed.memory import peak_mib
from medtranslate import phantom
from medtranslate.config import LossSettings, NetworkSettings, TrainSettings
from medtranslate.data import Source, frame_pairs, open_sources
from medtranslate.model import Batch
from medtranslate.training.batches import batches, seeds
from medtranslate.training.distributed import open_fabric
from medtranslate.training.state import fresh_state
from medtranslate.training.step import sides, train_step

TURN_SECONDS = 4.0
"""A turn lasts a step, and more of them where these are shorter than this."""


WAITING_STEPS = 4
"""Steps over which the waiting for batches is measured."""


@dataclass(frozen=True)
class Row:
    """Images per second of each turn, by the clock and of the CPU (all threads); peak memory."""

    per_second: list[float]
    per_cpu_second: list[float]
    peak_mib: float


class Ours:
    """Our step; the one place in the benchmarks that knows how `training` is cut."""

    def __init__(self, settings: TrainSettings) -> None:
        fabric = open_fabric(settings)
        self.settings, self.device = settings, fabric.device
        self.state = fresh_state(settings, {}, fabric.device, {})
        self.players = sides(fabric, self.state, settings)

    def step(self, batch: Batch, number: int = 0, share: float = 0.5) -> dict[str, Tensor]:
        """One step at a share of the run, by default one at which every term has its weight."""
        random = seeds(self.settings.seed, number, process=0)
        return train_step(self.settings, self.players, self.state, batch, random, share)

    def batches(self, sources: Mapping[str, Source], steps: int) -> Iterator[Batch]:
        """What the first steps of a run are shown."""
        return batches(self.settings, sources, range(steps), 0, self.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument(
        "--batch",
        type=int,
        help="of ours and of `same` (default: 4, with --full 8, at which `same` needs 13 GiB on a CPU)",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--full", action="store_true", help="five turns instead of one")
    options = parser.parse_args()
    options.batch = options.batch or (8 if options.full else 4)
    names = ["ours", "published", "same"]
    started, load = time.perf_counter(), os.getloadavg()
    rows = measure(names, options)
    for name, row in rows.items():
        wall, cpu = median(row.per_second), median(row.per_cpu_second)
        print(f"{name:14} {wall:9.3f} images/s {cpu:9.3f} images/CPU s {row.peak_mib:7.0f} MiB", end="  ")
        print(" ".join(f"{turn:.3f}" for turn in row.per_second))
    waiting = alone(wait, options)
    print(f"waiting for batches: {waiting:.1%} of a step")
    print(f"load before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}; {time.perf_counter() - started:.0f} s")
    against = {
        "ratio": ratio(rows, "published"),
        "ratio_same_precision": ratio(rows, "same"),
        "ratio_cpu": ratio(rows, "published", "per_cpu_second"),
        "ratio_same_precision_cpu": ratio(rows, "same", "per_cpu_second"),
        "per_second": {name: round(median(row.per_second), 3) for name, row in rows.items()},
        "peak_mib": {name: round(row.peak_mib) for name, row in rows.items()},
        "waiting_share": round(waiting, 4),
    }
    described = {name: getattr(options, name) for name in ("size", "batch", "threads", "device")}
    print(json.dumps({**against, **described}))


def measure(names: list[str], options: argparse.Namespace) -> dict[str, Row]:
    """What each contender does when they take turns."""
    context = get_context("spawn")
    ends: dict[str, Connection] = {}
    workers = []
    for name in names:
        ends[name], other = context.Pipe()
        workers.append(context.Process(target=contend, args=(name, options, other), daemon=True))
        workers[-1].start()
        other.close()  # so that a contender that dies, for lack of memory say, ends this too
        ends[name].recv()  # ready; one after the other, so that nobody's start disturbs a turn
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(5 if options.full else 1):
        for name in names:
            ends[name].send("turn")
            turns[name].append(ends[name].recv())
    for name in names:
        ends[name].send("end")
    rows = {
        name: Row(*map(list, zip(*turns[name], strict=True)), peak_mib=ends[name].recv()) for name in names
    }
    for worker in workers:
        worker.join()
    return rows


def ratio(rows: dict[str, Row], other: str, clock: str = "per_second") -> float:
    pairs = zip(getattr(rows["ours"], clock), getattr(rows[other], clock), strict=True)
    return round(median(ours / theirs for ours, theirs in pairs), 2)


def alone(act: Callable[[argparse.Namespace, Connection], None], options: argparse.Namespace) -> float:
    """What a process of its own finds."""
    context = get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=act, args=(options, there))
    worker.start()
    there.close()
    found: float = here.recv()
    worker.join()
    return found


def contend(name: str, options: argparse.Namespace, parent: Connection) -> None:
    """Take turns as told; then say the peak of memory."""
    torch.set_num_threads(options.threads)
    torch.backends.cudnn.benchmark = True
    step, batch = contender(name, options)
    ct, mr = slices(options.size, batch, options.device)
    cuda = options.device != "cpu"
    # Compiled networks and chosen kernels hold for one shape; a CPU needs no more than to be woken.
    shown = batch if cuda else 1
    for _ in range(3 if cuda else 1):
        step(ct[:shown], mr[:shown])
    parent.send("ready")
    while parent.recv() == "turn":
        started, busy, count = time.perf_counter(), time.process_time(), 0
        while count == 0 or time.perf_counter() - started < TURN_SECONDS:
            for _ in range(20 if cuda else 1):
                step(ct, mr)
                count += 1
            if cuda:
                torch.cuda.synchronize()
        seen = count * batch
        parent.send((seen / (time.perf_counter() - started), seen / (time.process_time() - busy)))
    parent.send(peak_mib(options.device))


def contender(name: str, options: argparse.Namespace) -> tuple[Callable[[Tensor, Tensor], object], int]:
    """A step of a contender, and its batch."""
    if name == "published":
        return cyclegan.Trainer(device=options.device).step, 1
    if name == "same":
        return cyclegan.Trainer(device=options.device, precision=torch.bfloat16).step, options.batch
    same_job = LossSettings(identity=2.0, anchor=0.0)
    ours = Ours(replace(defaults(options), loss=same_job))
    return lambda ct, mr: ours.step(Batch(ct=ct, mr=mr)), options.batch


def defaults(options: argparse.Namespace) -> TrainSettings:
    """Our defaults, on phantom slices."""
    return TrainSettings(
        ct="phantom:0-399999",
        mr="phantom:400000-799999",
        out=Path("unused"),
        batch=options.batch,
        device=options.device,
        precision="bfloat16",
        network=NetworkSettings(size=options.size),
    )


def wait(options: argparse.Namespace, parent: Connection) -> None:
    """The share of steps that waits for its batch, the first one left out."""
    torch.set_num_threads(options.threads)
    settings = defaults(options)
    ours, waited, marks = Ours(settings), 0.0, []
    given = ours.batches(open_sources(settings, quiet=True).sources, WAITING_STEPS)
    for number in range(WAITING_STEPS):
        asked = time.perf_counter()
        batch = next(given)
        marks.append(time.perf_counter())
        waited += (marks[-1] - asked) if number else 0.0
        ours.step(batch, number)
        if options.device != "cpu":
            torch.cuda.synchronize()
    parent.send(waited / (time.perf_counter() - marks[0]))


def slices(size: int, count: int, device: str) -> tuple[Tensor, Tensor]:
    """Phantom slices, CT and MR of different heads, [count, 1, size, size]."""
    network, scale = NetworkSettings(size=size), TrainSettings(ct="", mr="", out=Path("unused")).scale
    heads = [phantom.slices(seed, count, size, contrast="t1") for seed in (0, 1)]
    (ct, _, _), (_, mr, _) = (frame_pairs(two.ct, two.mr, two.mr, network, scale) for two in heads)
    return ct.to(device), mr.to(device)


if __name__ == "__main__":
    main()
