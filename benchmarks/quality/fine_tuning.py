"""Few heads of another contrast: `train --from` beside training from noise, on equal images.

    python -m benchmarks.quality.fine_tuning OUT --heads 20 --images 320 --seeds 0 1 2

A made hospital has CT of `--heads` digital heads and T2 of as many others, as volumes. Runs on these start
from a parent or from noise, with the anchor rendered from the hospital's CT alone, so that no digital head is
shown beside its truth. The parent is a model at hand (`--parent phantom`, which knows T1), or a small one
that first learns T1 here. Errors are against the truth of other heads of the hospital, as a share of the
range (`truth_ct`, `truth_mr` of validation.csv); `dice` is that of bone, the upper end of the window, in
whole CT of these heads. Digital heads are easier than patients: the ranking is meant, not the values.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from medtranslate.checkpoint import load_model
from medtranslate.checkpoint.description import describe, find_model, list_run
from medtranslate.config import LossSettings, NetworkSettings, PhantomSettings, TrainSettings
from medtranslate.io import read_volume
from medtranslate.phantom import HELD_OUT, write_study
from medtranslate.training import fit
from medtranslate.translation import translate_volume

NETWORK = NetworkSettings(size=48, channels=(24, 32), discriminator_channels=(16, 32, 32))

RATES = {"from the parent, 1e-4": 1e-4, "from the parent, 5e-4": 5e-4, "from noise, 5e-4": 5e-4}
"""Peak learning rate of the generators in each kind of run."""
BONE = 0.95
"""Share of the window from which a voxel is bone, in a window whose upper end bone saturates."""

Curve = dict[int, dict[str, float]]
"""Measures by images seen."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--validation-heads", type=int, default=4)
    parser.add_argument("--parent", help="a model at hand (default: a small one that is trained first)")
    parser.add_argument("--parent-images", type=int, default=1200)
    parser.add_argument("--kinds", nargs="+", default=list(RATES), choices=list(RATES))
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--every", type=int, default=80)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    parent = options.parent or str(learn_parent(options))
    hospital = make_hospital(options)
    print(f"bone of the parent itself: {bone_dice(find_model(parent), hospital):.3f}", flush=True)
    curves: dict[str, list[Curve]] = {kind: [] for kind in options.kinds}
    for seed in options.seeds:
        for kind in options.kinds:
            rate = RATES[kind]
            out = options.out / f"{kind.replace(' ', '-').replace(',', '')}-{seed}"
            start: dict[str, Any] = {"parent": parent} if "parent" in kind else {}
            settings = replace(hospital, out=out, seed=seed, learning_rate=rate, **start)
            if not (out / "model").is_dir():
                fit(settings, quiet=True)
            curves[kind].append(read_curve(out, hospital))
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
        keep_every=options.every,
        network=describe(find_model(options.parent)).network if options.parent else NETWORK,
        loss=LossSettings(),
    )


def read_curve(out: Path, hospital: TrainSettings) -> Curve:
    """Read the errors of a run at each validation, and measure the bone of the models kept then."""
    with (out / "validation.csv").open(newline="", encoding="utf-8") as file:
        rows = {int(row["images"]): row for row in csv.DictReader(file)}
    curve = {
        images: {"to CT": float(row["truth_ct"]), "to MR": float(row["truth_mr"])}
        for images, row in rows.items()
    }
    for folder, known in list_run(out).items():
        images = int(known.training["images"])
        if images in curve:
            curve[images]["dice"] = bone_dice(folder, hospital)
    return curve


def bone_dice(model: Path, hospital: TrainSettings) -> float:
    """Compute the mean Dice of bone in the CT that a model makes of the validation heads."""
    loaded = load_model(str(model))
    low, high = loaded.description.scale.ct_window
    limit, found = low + BONE * (high - low), []
    for path in sorted(Path(str(hospital.val_mr)).iterdir()):
        made = translate_volume(read_volume(path, modality="mr"), loaded, "ct")[0].values >= limit
        truth = read_volume(Path(str(hospital.val_ct)) / path.name, modality="ct").values >= limit
        found.append(2 * np.count_nonzero(made & truth) / (np.count_nonzero(made) + np.count_nonzero(truth)))
    return float(mean(found))


def print_table(curves: dict[str, list[Curve]]) -> None:
    """Print mean and standard deviation over seeds, in per cent, as Markdown."""
    first = next(iter(curves.values()))[0]
    columns = [(images, name) for images in sorted(first) for name in first[images]]
    print("| start, rate |", " | ".join(f"{images:,} {name}" for images, name in columns), "|")
    print("| --- |", " | ".join("---" for _ in columns), "|")
    for kind, runs in curves.items():
        series = [[run[images].get(name, float("nan")) for run in runs] for images, name in columns]
        cells = [
            f"{100 * mean(values):.1f} ± {100 * (stdev(values) if len(values) > 1 else 0):.1f}"
            for values in series
        ]
        print(f"| {kind} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
