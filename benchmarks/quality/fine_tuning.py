"""Few heads of another contrast: `train --from` beside training from noise, on equal images.

    python -m benchmarks.quality.fine_tuning OUT --heads 20 --images 320 --seeds 0 1 2

A small parent learns T1 from digital heads. A made hospital has CT of `--heads` digital heads and T2 of as
many others, as volumes. Runs on these start from the parent or from noise, with the anchor rendered from the
hospital's CT alone, so that no digital head is shown beside its truth. Errors are against the truth of other
heads of the hospital, as a share of the range (`truth_ct`, `truth_mr` of validation.csv). Digital heads are
easier than patients: the ranking is meant, not the values.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medtranslate.config import LossSettings, NetworkSettings, PhantomSettings, TrainSettings
from medtranslate.phantom import HELD_OUT, write_study
from medtranslate.training import fit

NETWORK = NetworkSettings(size=48, channels=(24, 32), discriminator_channels=(16, 32, 32))

RATES = {"from the parent, 1e-4": 1e-4, "from the parent, 5e-4": 5e-4, "from noise, 5e-4": 5e-4}
"""Peak learning rate of the generators in each kind of run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--validation-heads", type=int, default=4)
    parser.add_argument("--parent-images", type=int, default=1200)
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--every", type=int, default=80)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    parent = learn_parent(options)
    hospital = make_hospital(options)
    curves: dict[str, list[dict[int, tuple[float, float]]]] = {kind: [] for kind in RATES}
    for seed in options.seeds:
        for kind, rate in RATES.items():
            out = options.out / f"{kind.replace(' ', '-').replace(',', '')}-{seed}"
            start: dict[str, Any] = {"parent": str(parent)} if "parent" in kind else {}
            settings = replace(hospital, out=out, seed=seed, learning_rate=rate, **start)
            if not (out / "model").is_dir():
                fit(settings, quiet=True)
            curves[kind].append(read_curve(out))
            print(kind, seed, curves[kind][-1], flush=True)
    print_table(curves)


def learn_parent(options: argparse.Namespace) -> Path:
    """Train the parent on T1 of digital heads."""
    settings = TrainSettings(
        ct="phantom:0-99999",
        mr="phantom:100000-199999",
        out=options.out / "parent",
        name="parent",
        images=options.parent_images,
        every=options.parent_images,
        anchor_contrast="t1",
        anchor_rendered=0.0,
        gate=0,
        network=NETWORK,
    )
    if not (settings.out / "model").is_dir():
        fit(settings, quiet=True)
    return settings.out


def make_hospital(options: argparse.Namespace) -> TrainSettings:
    """Draw the hospital's heads, CT of some and T2 of others, and pairs of further ones."""
    folder = options.out / "hospital"
    sets = {"train/ct": 500_000, "train/mr": 600_000, "val": HELD_OUT}
    for name, first in sets.items():
        count = options.validation_heads if name == "val" else options.heads
        for seed in range(first, first + count):
            study = folder / "studies" / str(seed)
            if not study.is_dir():
                write_study(PhantomSettings(out=study, seed=seed, size=64, spacing=4.0, contrast="t2"))
            for which in ("ct", "mr"):
                if name in ("val", f"train/{which}"):
                    place = folder / name.split("/")[0] / which / f"{seed}.nii.gz"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    if not place.exists():
                        place.hardlink_to(study / f"{which}.nii.gz")
    return TrainSettings(
        ct=str(folder / "train" / "ct"),
        mr=str(folder / "train" / "mr"),
        val_ct=str(folder / "val" / "ct"),
        val_mr=str(folder / "val" / "mr"),
        val_paired=True,
        out=options.out,
        images=options.images,
        every=options.every,
        anchor_rendered=1.0,
        phantom_contrast="t2",
        gate=0,
        network=NETWORK,
        loss=LossSettings(),
    )


def read_curve(out: Path) -> dict[int, tuple[float, float]]:
    """Read the errors to CT and to MR at each validation, by images seen."""
    with (out / "validation.csv").open(newline="", encoding="utf-8") as file:
        return {
            int(row["images"]): (float(row["truth_ct"]), float(row["truth_mr"]))
            for row in csv.DictReader(file)
        }


def print_table(curves: dict[str, list[dict[int, tuple[float, float]]]]) -> None:
    """Print mean and standard deviation over seeds, in per cent of the range, as Markdown."""
    images = sorted(next(iter(curves.values()))[0])
    print("| start, rate |", " | ".join(f"{count:,} to CT | to MR" for count in images), "|")
    print("| --- |", " | ".join("--- | ---" for _ in images), "|")
    for kind, runs in curves.items():
        cells = [
            f"{100 * mean(values):.1f} ± {100 * (stdev(values) if len(values) > 1 else 0):.1f}"
            for count in images
            for values in zip(*(run[count] for run in runs), strict=True)
        ]
        print(f"| {kind} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
