"""Images per second of a full training step, ours beside CycleGAN as published.

    python -m benchmarks.training [--full] [--threads 2] [--device cuda --compile]

A step is the same job for all: both directions, cycle, identity, both discriminators with a pool of 50,
all optimisers; our moving average is in it, and our phantom anchor is not, which CycleGAN lacks. Contenders:

    ours       our networks at their defaults, bfloat16, `--batch`
    published  CycleGAN as published, float32, batches of one
    same       the same networks as published, at our batch and precision, in the faster layout

Each lives in a process of its own, so that its peak memory is its own; they take turns, and each ratio is
the median over turns of neighbours in time. All see the same phantom slices, held in memory. What a loader
adds is measured apart, as the share of a step that waits for `training`'s batches. The last line is one
JSON object; a ratio above 1 means that ours sees more images per second.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks import published
from medtranslate import phantom
from medtranslate.config import LossSettings, NetworkSettings, TrainSettings
from medtranslate.data import frame_pairs
from medtranslate.model import Batch
from medtranslate.training import loop
from medtranslate.training.run_folder import fresh_state

TURN_SECONDS = 4.0
"""A turn lasts a step, and more of them where these are shorter than this."""


class Ours:
    """Our step; the one place here that knows how `training` is cut."""

    def __init__(self, settings: TrainSettings) -> None:
        fabric = loop._fabric(settings)
        self.settings = settings
        self.state = fresh_state(settings, {}, fabric.device)
        self.sides = loop._sides(fabric, self.state)

    def step(self, batch: Batch, share: float = 0.5) -> dict[str, float]:
        """One step of both sides at a share of the run, by default one at which all terms have their weight."""
        made, values = loop._step_generators(self.settings, self.sides, self.state, batch, share)
        return values | loop._step_discriminators(self.sides, self.state, batch, made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8, help="of ours and of the same networks as published")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="a row of ours with compiled networks too")
    parser.add_argument("--full", action="store_true", help="five turns instead of one")
    options = parser.parse_args()
    names = ["ours", "published", "ours compiled", "same"]
    if not options.compile:
        names.remove("ours compiled")
    started, load = time.perf_counter(), os.getloadavg()
    rows = measure(names, options)
    for name, row in rows.items():
        print(f"{name:14} {row['per_second']:9.3f} images/s  {row['peak_mib']:7.0f} MiB", end="  ")
        print(" ".join(f"{turn:.3f}" for turn in row["turns"]))
    print(f"load before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}; {time.perf_counter() - started:.0f} s")
    against = {
        "ratio": ratio(rows, "published"),
        "ratio_same_precision": ratio(rows, "same"),
        **{
            f"{figure}_{name.replace(' ', '_')}": round(row[figure], 3)
            for name, row in rows.items()
            for figure in ("per_second", "peak_mib")
        },
    }
    described = {name: getattr(options, name) for name in ("size", "batch", "threads", "device")}
    print(json.dumps({**against, **described}))


def measure(names: list[str], options: argparse.Namespace) -> dict[str, dict]:
    """Images per second of every turn, their median, and peak memory, by contender."""
    context = get_context("spawn")
    ends: dict[str, Connection] = {}
    workers = []
    for name in names:
        ends[name], other = context.Pipe()
        workers.append(context.Process(target=contend, args=(name, options, other), daemon=True))
        workers[-1].start()
        ends[name].recv()  # ready; one after the other, so that nobody's start disturbs a turn
    turns: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(5 if options.full else 1):
        for name in names:
            ends[name].send("turn")
            turns[name].append(ends[name].recv())
    for name in names:
        ends[name].send("end")
    rows = {
        name: {"turns": turns[name], "per_second": median(turns[name]), "peak_mib": ends[name].recv()}
        for name in names
    }
    for worker in workers:
        worker.join()
    return rows


def ratio(rows: dict[str, dict], other: str) -> float:
    pairs = zip(rows["ours"]["turns"], rows[other]["turns"], strict=True)
    return round(median(ours / theirs for ours, theirs in pairs), 2)


def contend(name: str, options: argparse.Namespace, parent: Connection) -> None:
    """Take turns as told; then say the peak of memory."""
    torch.set_num_threads(options.threads)
    step, batch = contender(name, options)
    warm = slice(0, 1) if options.device == "cpu" else slice(None)
    ct, mr = slices(options.size, batch, options.device)
    small = [image[warm, :, :64, :64].contiguous() for image in (ct, mr)]
    for _ in range(2):
        step(*(small if options.device == "cpu" and "compiled" not in name else (ct, mr)))
    parent.send("ready")
    while parent.recv() == "turn":
        started, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - started < TURN_SECONDS:
            step(ct, mr)  # hands over its losses, so it has ended on a device too
            count += 1
        parent.send(count * batch / (time.perf_counter() - started))
    parent.send(peak_mib(options.device))


def contender(name: str, options: argparse.Namespace) -> tuple[Callable[[Tensor, Tensor], object], int]:
    """A step of a contender, and its batch."""
    if name == "published":
        return published.Trainer(device=options.device).step, 1
    if name == "same":
        return published.Trainer(device=options.device, precision=torch.bfloat16).step, options.batch
    settings = TrainSettings(
        ct="",
        mr="",
        out=Path("unused"),
        batch=options.batch,
        device=options.device,
        precision="bfloat16",
        network=NetworkSettings(size=options.size),
        loss=LossSettings(identity=2.0, anchor=0.0),
    )
    ours = Ours(settings)
    if "compiled" in name:
        for network in (*ours.state.model.generators.children(), *ours.state.model.discriminators.children()):
            network.compile()
    return lambda ct, mr: ours.step(Batch(ct=ct, mr=mr)), options.batch


def slices(size: int, count: int, device: str) -> tuple[Tensor, Tensor]:
    """Phantom slices, CT and MR of different heads, [count, 1, size, size]."""
    network, scale = NetworkSettings(size=size), TrainSettings(ct="", mr="", out=Path("unused")).scale
    heads = [phantom.slices(seed, count, size, contrast="t1") for seed in (0, 1)]
    (ct, _, _), (_, mr, _) = (frame_pairs(two.ct, two.mr, two.mr, network, scale) for two in heads)
    return ct.to(device), mr.to(device)


def peak_mib(device: str) -> float:
    """Peak memory: of the device, or of this process."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    main()
