"""How long ours takes to the quality at which CycleGAN ends, on phantom slices.

    python -m benchmarks.time_to_quality --out curves [--methods published ours plain]

CycleGAN as published, ours, and ours without the anchor (`plain`) train on the same unpaired phantom
slices, one after the other, and are scored as they go on held-out slices of which both sides are known.
Each writes `METHOD.csv` into the folder: images seen, wall and CPU seconds of training (scoring is not
counted), and masked mean absolute errors as shares of the range. The length of each run is fixed
beforehand, because learning rates fall towards its end. The last line is one JSON object: `ratio` is our
time to CycleGAN's last error over CycleGAN's whole time, and null where it is not reached.

One thread each (`--threads`). To run them side by side, start one for each method and read the figures
with `--methods` left empty.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import published
from medtranslate import phantom
from medtranslate.config import LossSettings, NetworkSettings, TrainSettings
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
    parser.add_argument("--images", type=int, nargs=2, default=(2_400, 20_000), metavar=("THEIRS", "OURS"))
    parser.add_argument("--every", type=float, default=120, help="seconds of training between scores")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = held_out(_settings(options.size))
    for method in options.methods:
        run(method, options, pairs)
    curves = {path.stem: read(path) for path in sorted(options.out.glob("*.csv"))}
    for method, rows in curves.items():
        print(f"{method:10}", json.dumps(rows[-1]))
    print(json.dumps(ratios(curves)))


def run(method: str, options: argparse.Namespace, pairs: tuple[Tensor, Tensor]) -> None:
    """Train one method and write its curve."""
    count = options.images[method != "published"]
    settings = _settings(options.size, anchor=method != "plain", images=count, device=options.device)
    sources = open_sources(settings, quiet=True).sources
    with (options.out / f"{method}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["images", "seconds", "cpu_seconds", "mae_ct", "mae_mr"])
        seconds = cpu = scored = 0.0
        training = METHODS[method](settings, sources)
        while True:
            wall, busy = time.perf_counter(), time.process_time()
            images, to_ct, to_mr = next(training)
            seconds, cpu = seconds + time.perf_counter() - wall, cpu + time.process_time() - busy
            if images == 0 or seconds - scored >= options.every or images >= count:
                scored = seconds
                errors = score(to_ct, to_mr, pairs, options.device)
                rows.writerow([images, round(seconds, 1), round(cpu, 1), *(f"{e:.5f}" for e in errors)])
                file.flush()
            if images >= count:
                return


def theirs(settings: TrainSettings, sources: dict[str, Source]) -> Iterator[tuple[int, Translate, Translate]]:
    """CycleGAN as published, step by step: images seen and the two translations."""
    trainer = published.Trainer(settings.seed, settings.device)
    draws = torch.Generator().manual_seed(settings.seed)
    to_ct, to_mr = trainer.networks.to_ct, trainer.networks.to_mr
    yield 0, to_ct, to_mr
    for images in range(1, settings.images + 1):
        trainer.set_rate((images - 1) / settings.images)
        ct, mr = (sources[side].draw(1, draws).to(settings.device) for side in ("ct", "mr"))
        trainer.step(ct, mr)
        yield images, to_ct, to_mr


METHODS = {"published": theirs}


def held_out(settings: TrainSettings) -> tuple[Tensor, Tensor]:
    """CT and T1 of the same slices, [SCORED, 1, S, S] in [-1, 1]."""
    heads = phantom.slices(SCORED_SEED, SCORED, settings.network.size, contrast=settings.phantom_contrast)
    ct, mr, _ = frame_pairs(heads.ct, heads.mr, heads.mr, settings.network, settings.scale)
    return ct, mr


@torch.no_grad()
def score(to_ct: Translate, to_mr: Translate, pairs: tuple[Tensor, Tensor], device: str) -> list[float]:
    """Error to CT and to MR, where either truth shows something: no translation changes the mask."""
    ct, mr = pairs
    seen = torch.maximum(ct, mr) > VISIBLE
    made = [
        torch.cat([there(part.to(device)).float().cpu() for part in images.split(16)])
        for there, images in ((to_ct, mr), (to_mr, ct))
    ]
    return [float((a - b).abs()[seen].mean() / 2) for a, b in zip(made, pairs, strict=True)]


def mean_image(settings: TrainSettings, sources: dict[str, Source], pairs: tuple[Tensor, Tensor]) -> Row:
    """The error of knowing only the frame."""
    means = mean_slices(settings, sources)
    ct, mr = score(
        lambda images: means["ct"].expand_as(images), lambda images: means["mr"].expand_as(images), pairs, "cpu"
    )
    return {"mae_ct": ct, "mae_mr": mr}


def ratios(curves: dict[str, list[Row]]) -> dict[str, object]:
    """Time to CycleGAN's last error over CycleGAN's time: mean of both sides, and each side."""
    if "published" not in curves:
        return {"ratio": None}
    last = curves["published"][-1]
    found: dict[str, object] = {}
    for method, rows in curves.items():
        if method == "published":
            continue
        start = "" if method == "ours" else f"{method}_"
        for name, sides in (("", ("ct", "mr")), ("_ct", ("ct",)), ("_mr", ("mr",))):
            keys = [f"mae_{side}" for side in sides]
            times = [
                row["seconds"] for row in rows if sum(row[key] for key in keys) <= sum(last[key] for key in keys)
            ]
            found[f"{start}ratio{name}"] = round(times[0] / last["seconds"], 4) if times else None
    return {**found, "published": last}


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _settings(size: int, *, anchor: bool = True, images: int = 1, device: str = "cpu") -> TrainSettings:
    """The defaults, on phantom slices."""
    return TrainSettings(
        ct="phantom:0-399999",
        mr="phantom:400000-799999",
        out=Path("unused"),
        images=images,
        device=device,
        precision="bfloat16",
        network=NetworkSettings(size=size),
        loss=LossSettings() if anchor else LossSettings(anchor=0.0),
    )


if __name__ == "__main__":
    main()
