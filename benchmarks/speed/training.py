"""Measures images per second of a training step, ours beside CycleGAN as published.

    python -m benchmarks.speed.training [--full] [--threads 2] [--device cuda] [--precision bfloat16]

A step is the same job for all: both directions, cycle, identity, both discriminators with a pool of 50,
all optimisers. Our moving average is in it; our phantom anchor is not, for CycleGAN has none. Contenders:

    ours           our networks at their defaults, in the precision that `train` takes, `--batch`
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
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from benchmarks.ablation.methods import cyclegan
from benchmarks.speed.turns import Figures, in_turns, middle, ratio
from medtranslate import phantom
from medtranslate.config import LossSettings, NetworkSettings, Precision, TrainSettings
from medtranslate.data import Source, frame_pairs, open_sources
from medtranslate.device import choose_precision
from medtranslate.model import Batch
from medtranslate.training.batches import batches, seeds
from medtranslate.training.distributed import open_fabric
from medtranslate.training.state import fresh_state
from medtranslate.training.step import sides, train_step

TURN_SECONDS = 4.0
"""A turn lasts a step, and more of them where these are shorter than this."""


NAMES = ("ours", "published", "same")

WAITING_STEPS = 4
"""Steps over which the waiting for batches is measured."""


class Ours:
    """Our step; the one place in the benchmarks that knows how `training` is cut."""

    def __init__(self, settings: TrainSettings) -> None:
        fabric = open_fabric(settings)
        self.settings, self.device = settings, fabric.device
        self.state = fresh_state(settings, {}, fabric.device, {})
        self.players = sides(fabric, self.state, settings)

    def step(self, batch: Batch, number: int = 0, share: float = 0.5) -> dict[str, Tensor]:
        """Step at a share of the run, by default one at which every term has its weight."""
        random = seeds(self.settings.seed, number, process=0)
        return train_step(self.settings, self.players, self.state, batch, random, share)

    def batches(self, sources: Mapping[str, Source], steps: int) -> Iterator[Batch]:
        """Draw the batches of the first steps of a run."""
        return batches(self.settings, sources, range(steps), 0, self.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, help="pixels (default: 96, with --full 256)")
    parser.add_argument(
        "--batch",
        type=int,
        help="of ours and of `same` (default: 4, with --full 8, at which `same` needs 13 GiB on a CPU)",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto", help="as of `train`")
    parser.add_argument("--full", action="store_true", help="five turns instead of one")
    options = parser.parse_args()
    options.batch = options.batch or (8 if options.full else 4)
    options.size = options.size or (256 if options.full else 96)
    started, load = time.perf_counter(), os.getloadavg()
    rows = in_turns({name: (take_turns, name) for name in NAMES}, 5 if options.full else 1, options)
    for name, row in rows.items():
        rates = f"{middle(row, 'clock'):9.3f} images/s {middle(row, 'cpu'):9.3f} images/CPU s"
        turns = " ".join(f"{turn['clock']:.3f}" for turn in row[0])
        print(f"{name:14} {rates} {row[1]:7.0f} MiB  {turns}")
    waiting = middle(in_turns({"ours": (waits,)}, 1, options)["ours"], "share")
    print(f"waiting for batches: {waiting:.1%} of a step")
    print(f"load before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}; {time.perf_counter() - started:.0f} s")
    against = {
        "ratio": round(ratio(rows["ours"], rows["published"], "clock"), 2),
        "ratio_same_precision": round(ratio(rows["ours"], rows["same"], "clock"), 2),
        "ratio_cpu": round(ratio(rows["ours"], rows["published"], "cpu"), 2),
        "ratio_same_precision_cpu": round(ratio(rows["ours"], rows["same"], "cpu"), 2),
        "per_second": {name: round(middle(row, "clock"), 3) for name, row in rows.items()},
        "peak_mib": {name: round(row[1]) for name, row in rows.items()},
        "waiting_share": round(waiting, 4),
    }
    told = {name: getattr(options, name) for name in ("size", "batch", "threads", "device")}
    told["precision"] = str(precision_of(options)).removeprefix("torch.")
    print(json.dumps({**against, **told}))


def take_turns(options: argparse.Namespace, name: str) -> Callable[[], Figures]:
    """Make ready to step for a while: images per second, by the clock and of the CPU (all threads)."""
    torch.backends.cudnn.benchmark = True
    step, batch = contender(name, options)
    ct, mr = slices(options.size, batch, options.device)
    cuda = options.device != "cpu"
    # Chosen kernels hold for one shape; a CPU needs no more than to be woken.
    shown = batch if cuda else 1
    for _ in range(3 if cuda else 1):
        step(ct[:shown], mr[:shown])

    def turn() -> Figures:
        started, busy, seen = time.perf_counter(), time.process_time(), 0
        while seen == 0 or time.perf_counter() - started < TURN_SECONDS:
            for _ in range(20 if cuda else 1):
                step(ct, mr)
                seen += batch
            if cuda:
                torch.cuda.synchronize()
        return {
            "clock": seen / (time.perf_counter() - started),
            "cpu": seen / (time.process_time() - busy),
        }

    return turn


def contender(name: str, options: argparse.Namespace) -> tuple[Callable[[Tensor, Tensor], object], int]:
    """Return a step of a contender, and its batch."""
    if name == "published":
        return cyclegan.Trainer(device=options.device).step, 1
    if name == "same":
        return cyclegan.Trainer(device=options.device, precision=precision_of(options)).step, options.batch
    same_job = LossSettings(identity=2.0, anchor=0.0)
    ours = Ours(replace(defaults(options), loss=same_job))
    return lambda ct, mr: ours.step(Batch(ct=ct, mr=mr)), options.batch


def defaults(options: argparse.Namespace) -> TrainSettings:
    """Build our defaults, on phantom slices."""
    return TrainSettings(
        ct="phantom:0-399999",
        mr="phantom:400000-799999",
        out=Path("unused"),
        batch=options.batch,
        device=options.device,
        precision=options.precision,
        network=NetworkSettings(size=options.size),
    )


def precision_of(options: argparse.Namespace) -> torch.dtype:
    """Choose the arithmetic of our steps: for `auto` that of `medtranslate train` on the device."""
    return choose_precision(options.precision, torch.device(options.device))


def waits(options: argparse.Namespace) -> Callable[[], Figures]:
    """Make ready to measure the share of steps that waits for its batch, the first step left out."""

    def turn() -> Figures:
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
        return {"share": waited / (time.perf_counter() - marks[0])}

    return turn


def slices(size: int, count: int, device: str) -> tuple[Tensor, Tensor]:
    """Draw phantom slices, CT and MR of different heads, [count, 1, size, size]."""
    network, scale = NetworkSettings(size=size), TrainSettings(ct="", mr="", out=Path("unused")).scale
    heads = [phantom.slices(seed, count, size, contrast="t1") for seed in (0, 1)]
    (ct, *_), (_, mr, *_) = (frame_pairs(two, network, scale) for two in heads)
    return ct.to(device), mr.to(device)


if __name__ == "__main__":
    main()
