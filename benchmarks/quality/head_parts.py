"""What each part of the recipe of head-ct brings: small models with and without it, on equal images.

    python -m benchmarks.quality.head_parts --ct CT --mr MR --maps MAPS --left-out MAP --data DATA --work WORK
    python -m benchmarks.quality.head_parts --table --images 8000
    python -m benchmarks.quality.head_parts --model RUN/model --left-out MAP --data DATA

`head_parts.yaml` has the parts. A run trains a small model from noise with all of them, with all but one,
with none (`base`), or with one of them alone; `added` are parts that the recipe has not. CT, MR and the label
maps of the folder MAPS are trained on as in `pipelines/train_head.yaml`. MAP is a label map that no run sees,
DATA the folder of the pairs of pictures (`pair_sets`), of which the choosing cases are scored
(`head_part_scores`).

Each run adds its rows to `head_parts.csv` in `benchmarks/results`: one for each set, contrast and direction.
A run whose rows are there is passed over. The runs of a seed whose anchors are drawn alike share them,
because drawing takes a third of the time. The second command prints the tables of what is there, the third
those of other models, which are scored alike.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.ablation.methods.train import Trained, merged, train
from benchmarks.ablation.rows import Row, append
from benchmarks.ablation.run import commit
from benchmarks.quality.head_part_scores import LESIONS, SCORES, open_cases, score
from benchmarks.quality.head_part_tables import tables
from medtranslate.checkpoint import load_model
from medtranslate.config import TrainSettings, build, plain, read_documents, read_yaml
from medtranslate.data import Source
from medtranslate.training import batches
from medtranslate.training.synthetic_pairs import Anchors, open_anchors

ROOT = Path(__file__).parents[2]
SETTINGS = read_yaml(Path(__file__).with_suffix(".yaml"))
RUN = ("variant", "seed", "images")
COLUMNS = (*RUN, "set", "to", *SCORES, *LESIONS, "wall_s", "cpu_s", "commit")
MEAN = "mean image"


@dataclass(frozen=True)
class Run:
    """A variant with a seed."""

    variant: str
    seed: int


def variants() -> dict[str, dict[str, Any]]:
    """List what each variant changes in the recipe."""
    parts, found = SETTINGS["parts"], dict[str, dict[str, Any]]()
    found["all"] = {}
    found |= {f"without {part}": change for part, change in parts.items()}
    found["base"] = without(parts)
    found |= {
        f"{part} alone": without(other for other in parts if other != part)
        for part in parts
        if part not in SETTINGS["together"]
    }
    return found | {f"all and {part}": change for part, change in SETTINGS["added"].items()}


def without(parts: Iterable[str]) -> dict[str, Any]:
    """Merge the changes that take parts away."""
    changes: dict[str, Any] = {}
    for part in parts:
        changes = merged(changes, SETTINGS["parts"][part])
    return changes


def plan(seeds: Sequence[int]) -> list[Run]:
    """Order the runs by what they tell: parts taken away, with all seeds, then parts alone, then added ones.

    Added parts are slow and have the first seed alone.
    """
    names = list(variants())
    alone = [name for name in names if name.endswith(" alone")]
    added = [name for name in names if name.startswith("all and ")]
    first = ["all", "base", *(name for name in names if name.startswith("without "))]
    runs = [Run(name, seed) for kind in (first, alone) for seed in seeds for name in kind]
    return [Run(MEAN, seeds[0]), *runs, *(Run(name, seeds[0]) for name in added)]


def settings_of(run: Run, options: argparse.Namespace) -> TrainSettings:
    """Build the settings of a run from the recipe, what is small in it, and the variant's change."""
    recipe = read_documents(ROOT / "pipelines" / "train_head.yaml")[0]  # the stretch of small slices
    recipe.pop("command")
    given = {
        "ct": str(options.ct),
        "mr": str(options.mr),
        "anchor_labels": str(options.maps),
        "out": str(options.work / f"{run.variant}-{run.seed}-{options.images}".replace(" ", "-")),
        "cache": str(options.work / "cache"),
        "images": options.images,
        "every": options.images,
        "seed": run.seed,
        "name": run.variant.replace(" ", "-"),
    }
    changed = merged(merged(recipe, SETTINGS["small"]), given)
    return build(TrainSettings, merged(changed, variants().get(run.variant, {})), run.variant)


def trained(run: Run, options: argparse.Namespace) -> Trained:
    """Train a run, or go on where it was killed."""
    settings = settings_of(run, options)
    if run.variant == MEAN:
        alone = replace(settings.network, neighbours=0, told=0, seen=0)
        return train(MEAN, replace(settings, network=alone, loss=replace(settings.loss, contrast=0.0)))
    return train("default", settings)


class SharedAnchors:
    """Anchors that are kept, by the settings that decide what is drawn; those of one seed at a time."""

    def __init__(self) -> None:
        self.seed, self.kept = -1, dict[str, Anchors | None]()

    def open(self, settings: TrainSettings, sources: Mapping[str, Source]) -> Anchors | None:
        """Open the anchors of some settings, or give those that an earlier run has opened."""
        if settings.seed != self.seed:
            self.seed, self.kept = settings.seed, {}
        values, network = plain(settings), settings.network
        deciding = [name for name in values if name.startswith("anchor_") or name == "phantom_contrast"]
        shape = (network.size, network.margin, network.frame, network.neighbours)
        key = repr((settings.scale, shape, [(name, values[name]) for name in deciding]))
        if key not in self.kept:
            self.kept[key] = open_anchors(settings, sources)
        return self.kept[key]


def run_all(runs: Iterable[Run], path: Path, images: int, carry_out: Callable[[Run], list[Row]]) -> None:
    """Carry out the runs whose rows are not in the file; the rows of a run are written at once."""
    for run in runs:
        if (run.variant, str(run.seed), str(images)) in {
            tuple(row[name] for name in RUN) for row in read(path)
        }:
            continue
        append(path, COLUMNS, carry_out(run))
        print(f"{run.variant}, seed {run.seed}: {path}", flush=True)


def read(path: Path) -> list[dict[str, str]]:
    """Read the rows; empty without a file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ct", type=Path, help="CT to render MR from: folder or CSV")
    parser.add_argument("--mr", type=Path, help="unpaired MR, for the parts that read some")
    parser.add_argument("--maps", type=Path, help="folder of label maps to train on")
    parser.add_argument("--left-out", type=Path, help="label map that is scored")
    parser.add_argument("--data", type=Path, help="folder of the pairs of pictures")
    parser.add_argument("--work", type=Path, help="folder for runs and framed slices")
    parser.add_argument("--images", type=int, default=8000, help="that each run sees")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=[MEAN, *variants()], help="default: all")
    parser.add_argument("--csv", type=Path, default=ROOT / "benchmarks" / "results" / "head_parts.csv")
    parser.add_argument("--table", action="store_true", help="print the tables of the runs that are there")
    parser.add_argument("--model", nargs="+", default=[], help="score these models, and train none")
    options = parser.parse_args()
    if options.table:
        shown = [row for row in read(options.csv) if row["images"] == str(options.images)]
        print(tables(shown, [MEAN, *variants()]))
        return
    given = ("left_out", "data") if options.model else ("ct", "mr", "maps", "left_out", "data", "work")
    if missing := [name for name in given if not getattr(options, name)]:
        parser.error(f"give {', '.join('--' + name.replace('_', '-') for name in missing)}, or --table")
    torch.set_num_threads(1)
    runs = [run for run in plan(options.seeds) if run.variant in (options.variants or [MEAN, *variants()])]
    cases = open_cases(options.left_out, options.data)
    if options.model:
        loaded = {name: load_model(name, torch.device("cpu")) for name in options.model}
        rows = [{"variant": name, "seed": 0, **row} for name in loaded for row in score(loaded[name], cases)]
        print(tables(rows, options.model))
        return

    def carry_out(run: Run) -> list[Row]:
        done = trained(run, options)
        ran = {"wall_s": round(done.seconds, 1), "cpu_s": round(done.cpu_seconds, 1), "commit": commit()}
        name = {"variant": run.variant, "seed": run.seed, "images": options.images}
        return [{**name, **row, **ran} for row in score(done.model, cases)]

    with mock.patch.object(batches, "open_anchors", SharedAnchors().open):
        run_all(runs, options.csv, options.images, carry_out)


if __name__ == "__main__":
    main()
