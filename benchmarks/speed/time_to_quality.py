"""Measures how long ours takes to the quality at which CycleGAN ends, on phantom slices.

    python -m benchmarks.speed.time_to_quality --out curves [--methods published ours plain]

CycleGAN as published, ours, and ours without the anchor (`plain`) train on the same unpaired phantom
slices, one after the other, and are scored as they go on held-out slices of which both sides are known.
Each writes `METHOD.csv` into the folder: images seen, wall and CPU seconds of training (scoring is not
counted), and masked mean absolute errors as shares of the range. The length of each run is fixed
beforehand, because learning rates fall towards its end. The mean training slice is scored beside them.

The last line is one JSON object: `ratio` is our time to CycleGAN's last error over CycleGAN's whole time, by
the clock, `ratio_cpu` the same of CPU seconds; null where it is not reached. `_ct` and `_mr` are of a side
alone. A blank slice can have a lower error than a wrong translation, so `_and_mean` asks more: to be as good
as the mean training slice too.

One thread each (`--threads`); at the default lengths CycleGAN takes an hour of a core, ours six minutes.
To run them side by side, start one for each method and read the figures with `--methods` left empty.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from benchmarks.ablation.methods import cyclegan
from benchmarks.speed.training import Ours
from medtranslate import phantom
from medtranslate.config import LossSettings, NetworkSettings, Precision, TrainSettings
from medtranslate.data import Source, frame_pairs, open_sources
from medtranslate.training.batches import mean_slices

SCORED_SEED = phantom.HELD_OUT + 5_000
SCORED = 128
VISIBLE = -0.94

Translate = Callable[[Tensor], Tensor]
Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--images", type=int, nargs=2, default=(2_200, 4_800), metavar=("THEIRS", "OURS"))
    parser.add_argument("--every", type=float, default=120, help="seconds of training between scores")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="auto", help="of ours, as of `train`"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = held_out(_settings(options.size))
    for method in options.methods:
        run(method, options, pairs)
    settings = _settings(options.size)
    mean = mean_image(settings, open_sources(settings, quiet=True).sources, pairs)
    curves = {path.stem: read(path) for path in sorted(options.out.glob("*.csv"))}
    for method, rows in curves.items():
        print(f"{method:10}", json.dumps(rows[-1]))
    print(f"{'mean image':10}", json.dumps(mean))
    print(json.dumps(ratios(curves, mean)))


def run(method: str, options: argparse.Namespace, pairs: tuple[Tensor, Tensor]) -> None:
    """Train one method and write its curve."""
    count = options.images[method != "published"]
    settings = replace(
        _settings(options.size, anchor=method != "plain"),
        images=count,
        device=options.device,
        precision=options.precision,
    )
    sources = open_sources(settings, quiet=True).sources
    with (options.out / f"{method}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["images", "seconds", "cpu_seconds", "mae_ct", "mae_mr"])
        seconds = cpu = scored = 0.0
        training = METHODS[method](settings, sources)
        while True:
            wall, busy = time.perf_counter(), time.process_time()
            images, to_ct, to_mr = next(training)
            if options.device != "cpu":
                torch.cuda.synchronize()
            seconds, cpu = seconds + time.perf_counter() - wall, cpu + time.process_time() - busy
            if images == 0 or seconds - scored >= options.every or images >= count:
                scored = seconds
                errors = score(to_ct, to_mr, pairs, options.device)
                rows.writerow([images, round(seconds, 1), round(cpu, 1), *(f"{e:.5f}" for e in errors)])
                file.flush()
            if images >= count:
                return


def theirs(settings: TrainSettings, sources: dict[str, Source]) -> Iterator[tuple[int, Translate, Translate]]:
    """Train CycleGAN as published, step by step: images seen and the two translations."""
    trainer = cyclegan.Trainer(settings.seed, settings.device)
    draws = torch.Generator().manual_seed(settings.seed)
    to_ct, to_mr = trainer.networks.to_ct, trainer.networks.to_mr
    yield 0, to_ct, to_mr
    for images in range(1, settings.images + 1):
        trainer.set_rate((images - 1) / settings.images)
        ct, mr = (sources[side].draw(1, draws).to(settings.device) for side in ("ct", "mr"))
        trainer.step(ct, mr)
        yield images, to_ct, to_mr


def ours(settings: TrainSettings, sources: dict[str, Source]) -> Iterator[tuple[int, Translate, Translate]]:
    """Train our method, likewise; the moving average translates, for that is what is kept."""
    training = Ours(settings)
    average = training.state.average
    translations = (lambda images: average.to_ct(images).image, lambda images: average.to_mr(images).image)
    steps = -(-settings.images // settings.batch)
    yield 0, *translations
    for step, batch in enumerate(training.batches(sources, steps)):
        training.step(batch, step, step / steps)
        yield min(settings.images, (step + 1) * settings.batch), *translations


METHODS = {"published": theirs, "ours": ours, "plain": ours}


def held_out(settings: TrainSettings) -> tuple[Tensor, Tensor]:
    """Draw CT and T1 of the same slices, [SCORED, 1, S, S] in [-1, 1]."""
    heads = phantom.slices(SCORED_SEED, SCORED, settings.network.size, contrast=settings.phantom_contrast)
    ct, mr, *_ = frame_pairs(heads, settings.network, settings.scale)
    return ct, mr


@torch.no_grad()
def score(to_ct: Translate, to_mr: Translate, pairs: tuple[Tensor, Tensor], device: str) -> list[float]:
    """Measure the errors to CT and to MR where either truth shows something, whatever is made."""
    ct, mr = pairs
    seen = torch.maximum(ct, mr) > VISIBLE
    made = [
        torch.cat([there(part.to(device)).float().cpu() for part in images.split(16)])
        for there, images in ((to_ct, mr), (to_mr, ct))
    ]
    return [float((a - b).abs()[seen].mean() / 2) for a, b in zip(made, pairs, strict=True)]


def mean_image(settings: TrainSettings, sources: dict[str, Source], pairs: tuple[Tensor, Tensor]) -> Row:
    """Measure the errors of knowing only the frame."""
    means = mean_slices(settings, sources)

    def blank(mean: Tensor) -> Translate:
        return lambda images: mean.expand_as(images)

    errors = score(blank(means["ct"]), blank(means["mr"]), pairs, "cpu")
    return dict(zip(("mae_ct", "mae_mr"), errors, strict=True))


def ratios(curves: dict[str, list[Row]], blank: Row) -> dict[str, float | None]:
    """Compare our time to CycleGAN's last error with CycleGAN's time, by the clock and of the CPU."""
    found: dict[str, float | None] = {"ratio": None}
    theirs = curves.get("published")
    for method, clock in product(("ours", "plain"), ("seconds", "cpu_seconds")):
        if theirs is None or method not in curves:
            continue
        start = ("plain_" if method == "plain" else "") + "ratio" + ("_cpu" if clock == "cpu_seconds" else "")
        for end, sides in (("", ("ct", "mr")), ("_ct", ("ct",)), ("_mr", ("mr",))):
            goal, mean = _error(theirs[-1], sides), _error(blank, sides)
            for name, target in ((start + end, goal), (f"{start}{end}_and_mean", min(goal, mean))):
                times = [row[clock] for row in curves[method] if _error(row, sides) <= target]
                found[name] = round(times[0] / theirs[-1][clock], 4) if times else None
    return found


def _error(row: Row, sides: tuple[str, ...]) -> float:
    return sum(row[f"mae_{side}"] for side in sides) / len(sides)


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _settings(size: int, *, anchor: bool = True) -> TrainSettings:
    """Build the defaults, on phantom slices."""
    return TrainSettings(
        ct="phantom:0-399999",
        mr="phantom:400000-799999",
        out=Path("unused"),
        device="cpu",
        workers=0,  # or it would use a core that CycleGAN does not
        network=NetworkSettings(size=size),
        loss=LossSettings() if anchor else LossSettings(anchor=0.0),
    )


if __name__ == "__main__":
    main()
