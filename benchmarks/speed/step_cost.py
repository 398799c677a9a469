"""Measures what a training step and a translated slice cost, beside what this machine can do.

    python -m benchmarks.speed.step_cost [--threads 2] [--device cuda] [--paper]

First their cost on paper (`operations`; `--paper` stops there), for the networks as published too. Then the
machine's ceilings, the floor that these set, and times by kind of operation. Slices are translated in the
precision that `translate` takes on the device, steps are trained in that of `train`.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import get_args

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.operations import Cost, Tally, kind, ours, step_cost, theirs
from benchmarks.speed.training import contender, precision_of
from medtranslate.config import NetworkSettings, Precision
from medtranslate.device import fast_precision
from medtranslate.networks import VariationalGenerator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=256, help="of what is measured")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="auto", help="of what is measured"
    )
    parser.add_argument("--paper", action="store_true", help="count only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for size in (256, 512):
        for name, parts in (("ours, bfloat16", ours(size)), ("as published, float32", theirs(size))):
            print(f"\n{name}, {size} pixels" + " " * 12 + "forward         forward and backward")
            for part, (forward, both) in parts.items():
                print(f"  {part:30} {_written(forward)}   {_written(both)}")
            print(f"  {'a step, per image':30} {'':22}   {_written(step_cost(parts))}")
    if options.paper:
        return
    peaks = ceilings(options.device)
    print("\nceilings:", ", ".join(f"{name} {value:.0f}" for name, value in peaks.items()))
    translating, stepping = (
        fast_precision(options.precision, torch.device(options.device)),
        precision_of(options),
    )
    for name, precision, cost, seconds in (
        (
            "a translated slice",
            translating,
            ours(options.size, translating)["generator"][0],
            timed_slice(options),
        ),
        ("a step, per image", stepping, step_cost(ours(options.size, stepping)), timed_step(options)),
    ):
        arithmetic = cost.flop / peaks[f"{named(precision)} GFLOP/s"] / 1e9
        memory = cost.bytes / peaks["copy GB/s"] / 1e9
        print(f"ours, {name}, {named(precision)}: {seconds:.4f} s; at the ceilings", end=" ")
        print(f"{arithmetic:.4f} s of arithmetic, {memory:.4f} s of memory")
    for name, (share, rate, flow) in by_kind(options).items():
        print(f"  {name:22} {share:6.1%} of the step's time {rate:7.0f} GFLOP/s {flow:6.1f} GB/s")


def _written(cost: Cost) -> str:
    return f"{cost.flop / 1e9:8.2f} GFLOP {cost.bytes / 2**20:8.0f} MiB"


def named(precision: torch.dtype) -> str:
    """Name a precision, such as "bfloat16"."""
    return str(precision).removeprefix("torch.")


def ceilings(device: str) -> dict[str, float]:
    """Measure the best of several products of square matrices, and of a copy (bytes read and written)."""
    found = {}
    side = 1024 if device == "cpu" else 8192  # short enough to fit between what else a CPU does
    for dtype in (torch.float32, torch.bfloat16):
        square = torch.rand(side, side, device=device).to(dtype)
        seconds = fastest(partial(torch.matmul, square, square), device)
        found[f"{named(dtype)} GFLOP/s"] = 2 * side**3 / seconds / 1e9
    block = torch.ones(2**28 // 4, device=device)
    into = torch.empty_like(block)
    found["copy GB/s"] = 2 * block.numel() * 4 / fastest(lambda: into.copy_(block), device) / 1e9
    return found


def fastest(act: Callable[[], object], device: str, turns: int = 50) -> float:
    """Return the seconds of the fastest turn."""
    times = []
    for _ in range(turns):
        started = time.perf_counter()
        act()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times)


def timed_slice(options: argparse.Namespace) -> float:
    """Time one translated slice, in batches, in seconds."""
    device, settings = torch.device(options.device), NetworkSettings(size=options.size)
    precision = fast_precision(options.precision, device)
    generator = VariationalGenerator(settings).eval().to(device)
    generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    images = torch.rand(options.batch, 1, options.size, options.size, device=device) * 2 - 1
    fast = precision is not torch.float32
    with torch.inference_mode(), torch.autocast(device.type, precision, enabled=fast):
        seconds: float = fastest(lambda: generator(images), options.device) / options.batch
    return seconds


def timed_step(options: argparse.Namespace) -> float:
    """Time our step per image, in seconds."""
    step, batch = contender("ours", options)
    image = torch.rand(batch, 1, options.size, options.size, device=options.device) * 2 - 1
    return fastest(lambda: step(image, image), options.device, turns=4) / batch


def by_kind(options: argparse.Namespace) -> dict[str, tuple[float, float, float]]:
    """Profile our step by kind of operation: share of time, GFLOP/s, and GB/s; the longest first."""
    step, batch = contender("ours", options)
    image = torch.rand(batch, 1, options.size, options.size, device=options.device) * 2 - 1
    with Tally() as done:
        step(image, image)
    cuda = options.device != "cpu"
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda) as watched:
        step(image, image)
    seconds: defaultdict[str, float] = defaultdict(float)
    for event in watched.key_averages():
        seconds[kind(event.key)] += (
            event.self_device_time_total if cuda else event.self_cpu_time_total
        ) / 1e6
    whole = sum(seconds.values())
    return {
        name: (took / whole, done.kinds[name].flop / took / 1e9, done.kinds[name].bytes / took / 1e9)
        for name, took in sorted(seconds.items(), key=lambda item: -item[1])
        if took > 0
    }


if __name__ == "__main__":
    main()
