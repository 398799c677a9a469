"""Measures slices per second of a translation, ours beside CycleGAN's generator; and a whole DICOM series.

    python -m benchmarks.speed.translation [--full] [--threads 2] [--device cuda]

First the networks alone at 256 and 512 pixels, with untrained weights: ours as `translate` uses it, with its
own batch and precision; the same in float32; and the ResNet of nine blocks as published, in float32, one
slice a pass. Then a series of 512 x 512 pixels (200 slices; 40 in a quick run) that `translate` makes a
derived series of, by a network of 256 pixels and by the shipped one of 128, beside its reading, its
network and its writing each alone; programs and libraries are loaded.

Each contender lives in a process of its own, so that its peak memory is its own. They take turns; a ratio
is the median over turns of neighbours in time, and times of the series are the least. The last line is one
JSON object: `ratio` is slices per second at 256 pixels over the published network's, `_cpu` counts seconds
of the CPU, which other work on the machine disturbs less, and `series` is total time over the larger of
network time and input-output time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.ablation.methods.cyclegan import ResNetGenerator
from benchmarks.speed.inputs import make_model, pass_through, resized
from benchmarks.speed.turns import Contender, Figures, in_turns, middle, ratio
from medtranslate.config import NetworkSettings, TranslateSettings
from medtranslate.device import choose_device, fast_precision
from medtranslate.io import read_volume, write_volume
from medtranslate.io.layout import to_axial
from medtranslate.networks import VariationalGenerator
from medtranslate.phantom import HELD_OUT, study
from medtranslate.records import Derivation
from medtranslate.translation import open_translator, translate, translate_volume
from medtranslate.translation.passes import slices_per_pass

TURN_SECONDS = 1.0
"""A turn lasts a pass, and more of them where these are shorter than this."""

NETWORKS = ("ours", "ours, float32", "published")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="more turns, and 200 slices")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    told: dict[str, object] = {}
    for size in (256, 512):
        told |= networks(size, options)
    with tempfile.TemporaryDirectory() as name:
        make_series(Path(name), 200 if options.full else 40)
        for size in (256, 128):
            told |= series(Path(name), size, options)
    print(json.dumps({"ratio": told["ratio_256"], "series": told["series_256"], **told}))


def networks(size: int, options: argparse.Namespace) -> dict[str, object]:
    """Measure and print slices per second of each network; return the ratios to the one as published."""
    found = in_turns(
        {name: (network_turn, name, size) for name in NETWORKS}, 5 if options.full else 2, options
    )
    for name, turns in found.items():
        rates = f"{middle(turns, 'clock'):8.2f} slices/s {middle(turns, 'cpu'):8.2f} per CPU s"
        print(f"{size} px {name:15} {rates} {turns[1]:6.0f} MiB", flush=True)
    told: dict[str, object] = {f"peak_mib_{size}": round(found["ours"][1])}
    for key, name in (("ratio", "ours"), ("ratio_float32", "ours, float32")):
        for suffix, clock in (("", "clock"), ("_cpu", "cpu")):
            told[f"{key}_{size}{suffix}"] = round(ratio(found[name], found["published"], clock), 1)
    return told


def network_turn(options: argparse.Namespace, name: str, size: int) -> Callable[[], Figures]:
    """Make ready to pass slices through a network for a while: slices per second."""
    device = choose_device(options.device)
    torch.manual_seed(0)
    network: nn.Module = ResNetGenerator()
    batch, precision = 1, torch.float32
    if name != "published":
        settings = NetworkSettings(size=size)
        network = VariationalGenerator(settings)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        batch = slices_per_pass(settings, device)
        precision = fast_precision("auto" if name == "ours" else "float32", device)
    network.eval().to(device)
    slices = torch.randn(batch, 1, size, size, device=device)

    def turn() -> Figures:
        started, busy, seen = time.perf_counter(), time.process_time(), 0
        with (
            torch.inference_mode(),
            torch.autocast(device.type, precision, enabled=precision is not torch.float32),
        ):
            while seen == 0 or time.perf_counter() - started < TURN_SECONDS:
                network(slices)
                seen += batch
                if device.type == "cuda":
                    torch.cuda.synchronize()
        return {
            "clock": seen / (time.perf_counter() - started),
            "cpu": seen / (time.process_time() - busy),
        }

    turn()
    return turn


def make_series(folder: Path, depth: int) -> None:
    """Write a phantom MR of `depth` slices of 512 x 512 as DICOM, and an untrained model of 256 pixels."""
    head = to_axial(study(HELD_OUT, size=256, spacing=1.0).mr)
    write_volume(resized(head, (512, 512, depth), noise=5), folder / "mr")
    make_model(folder / "model", 256)


def series(folder: Path, size: int, options: argparse.Namespace) -> dict[str, object]:
    """Measure and print the whole translation and its parts; return total time over the larger part."""
    settings = TranslateSettings(
        input=folder / "mr",
        output=folder / "ct",
        to="ct",
        model=str(folder / "model") if size == 256 else "phantom",
        device=options.device,
        overwrite=True,
    )
    kinds: dict[str, Contender] = {"whole": (whole_turn, settings), "parts": (parts_turn, settings)}
    found = in_turns(kinds, 5 if options.full else 2, options)
    (whole, peak), (parts, _) = found["whole"], found["parts"]
    least = {key: min(turn[key] for turn in turns) for turns in (whole, parts) for key in turns[0]}
    ratios = {
        suffix: least[f"total{suffix}"]
        / max(least[f"network{suffix}"], least[f"read{suffix}"] + least[f"write{suffix}"])
        for suffix in ("", "_cpu")
    }
    volume = read_volume(folder / "mr").values.nbytes
    allowed = (2 * volume + 10**9) / 2**20
    print(f"series through {size} px:", ", ".join(f"{key} {value:.2f}" for key, value in least.items()), "s")
    print(f"  total over the larger: {ratios['']:.2f}, of the CPU {ratios['_cpu']:.2f};", end=" ")
    print(f"peak {peak:.0f} of {allowed:.0f} MiB allowed", flush=True)
    return {
        **{f"series_{size}{suffix}": round(ratio, 2) for suffix, ratio in ratios.items()},
        f"seconds_{size}": {key: round(value, 2) for key, value in least.items()},
        f"series_peak_mib_{size}": round(peak),
        "allowed_mib": round(allowed),
    }


def whole_turn(options: argparse.Namespace, settings: TranslateSettings) -> Callable[[], Figures]:
    """Make ready to run the command, with everything loaded."""

    def turn() -> Figures:
        return seconds("total", lambda: translate(settings, quiet=True))

    if not settings.output.exists():
        turn()
    return turn


def parts_turn(options: argparse.Namespace, settings: TranslateSettings) -> Callable[[], Figures]:
    """Make ready to read, to pass through the network and to write, each alone."""
    translator, source = open_translator(settings), read_volume(settings.input)
    model, seen = translator.model, translator.frame(source)
    network = model.description.network
    passes = -(-len(seen.shown) // translator.slices_per_pass)
    framed = [
        seen.framed(places, network.size, network.neighbours).to(model.device)
        for places in np.array_split(seen.shown, passes)
    ]
    made, record = translate_volume(source, model, "ct")
    derivation = Derivation(model=record.model, source="mr")

    def turn() -> Figures:
        with tempfile.TemporaryDirectory(dir=settings.input.parent) as name:
            written = Path(name) / "ct"
            return (
                seconds("read", lambda: read_volume(settings.input))
                | seconds("network", lambda: pass_through(model, framed))
                | seconds("write", lambda: write_volume(made, written, like=source, derivation=derivation))
            )

    return turn


def seconds(name: str, act: Callable[[], object]) -> Figures:
    """Time an action: seconds of the clock, and of the CPU (all threads)."""
    started, busy = time.perf_counter(), time.process_time()
    act()
    return {name: time.perf_counter() - started, f"{name}_cpu": time.process_time() - busy}


if __name__ == "__main__":
    main()
