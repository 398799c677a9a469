"""Runs the ablation: our method and its parts beside the methods that people would pick, on the same images.

    python -m benchmarks.ablation.run --dataset phantom --hours 40 --dry-run   the plan, with hours estimated
    python -m benchmarks.ablation.run --dataset phantom --hours 40             run it; the same again goes on
    python -m benchmarks.ablation.run --summary                                tables in Markdown
    python -m benchmarks.ablation.run --curves FILE.svg --methods default      errors over images seen

Every run sees as many images of each modality; its seconds, by the clock and of the CPU, stand beside. What
the anchor adds is not counted: its slices are drawn, not acquired. Each run adds its rows to `ablation.csv`
(one for each direction, named by what is made, and each set of cases) and to `anatomy.csv` (further measures)
in `--out`. A run whose rows are there is passed over; one that was killed goes on from its last checkpoint.
Several processes may share the files, each with methods of its own. The plan is printed and kept in
`plan.txt` before the first run; once the hours in `ablation.csv` reach `--hours`, no other run begins.
`datasets` says what is trained and tested on, `methods` how.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from benchmarks.ablation.datasets import DATASETS, DIRECTIONS, summed
from benchmarks.ablation.methods.train import (
    BASELINES,
    FIRST,
    METHODS,
    OURS,
    PUBLISHED,
    pace,
    settings_of,
    train,
)
from benchmarks.ablation.rows import (
    ANATOMY,
    COLUMNS,
    REPORTING,
    RUN,
    SCORES,
    Row,
    append,
    as_text,
    hours,
    read,
)
from benchmarks.ablation.summary import draw_curves, summary
from medtranslate.config import TrainSettings

POINTS = 12
"""Validations in a run of ours, for its curve; each costs about a second at 64 pixels."""


@dataclass(frozen=True)
class Run:
    """One run: a method with a seed."""

    method: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.method}-{self.seed}".replace(" ", "-")


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.summary:
        tables = (read(options.out / name) for name in ("ablation.csv", "anatomy.csv"))
        print(summary(*tables, reporting=options.reporting))
    if options.curves:
        draw_curves(options.out, options.curves, options.methods)
    if options.summary or options.curves:
        return
    runs = plan(options.methods, options.seeds)
    written = read(options.out / "ablation.csv")
    left = [run for run in runs if not done(run, written, options)]
    text = described(left, options)
    print(text, flush=True)
    if options.dry_run:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "plan.txt").open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    run_all(left, options, carried_out)


def run_all(
    runs: Iterable[Run],
    options: argparse.Namespace,
    carry_out: Callable[[Run, argparse.Namespace], tuple[list[Row], list[Row]]],
) -> None:
    """Do one run after the other as long as there are hours left; rows are written as each ends."""
    for run in runs:
        spent = hours(read(options.out / "ablation.csv"))
        if spent >= options.hours:
            print(f"{spent:.1f} of {options.hours:g} hours are spent; no other run is begun")
            return
        rows, more = carry_out(run, options)
        append(options.out / "anatomy.csv", ANATOMY, more)
        append(options.out / "ablation.csv", COLUMNS, rows)  # last, for it says that the run is done
        for row in rows:
            if row["dataset"] != REPORTING:
                print({name: as_text(row[name]) for name in (*RUN, "wall_s", *SCORES)}, flush=True)


def plan(methods: Iterable[str], seeds: Iterable[int]) -> list[Run]:
    """Order runs by how much they tell: one seed of all, then the other seeds of the first ones."""
    first, *others = seeds
    named = list(methods)
    return [Run(method, first) for method in named] + [
        Run(method, seed) for seed in others for method in named if method in FIRST
    ]


def done(run: Run, rows: Iterable[Row], options: argparse.Namespace) -> bool:
    """Tell if all rows of a run are written."""
    images = 0 if run.method in BASELINES else options.images
    wanted = set(product(DATASETS[options.dataset].rows, (f"to {to}" for to in DIRECTIONS)))
    found = {
        (row["dataset"], row["direction"])
        for row in rows
        if (row["method"], row["seed"]) == (run.method, run.seed)
        and row["size"] == options.size
        and images <= row["images_seen"] <= images + 64  # the last batch may be longer
    }
    return wanted <= found


def carried_out(run: Run, options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """Train and score: rows of ablation.csv and of anatomy.csv."""
    settings, dataset = _settings(run, options), DATASETS[options.dataset]
    trained = train(run.method, settings)
    said: Row = {
        "method": run.method,
        "seed": run.seed,
        "images_seen": trained.images,
        "size": options.size,
    }
    ran: Row = {
        "wall_s": round(trained.seconds, 1),
        "cpu_s": round(trained.cpu_seconds, 1),
        "device": _device(options.device),
        "commit": commit(),
        "threads": options.threads,
    }
    rows, more = [], []
    for to in DIRECTIONS:
        for name, table in dataset.tables(trained.model, settings, options.data, to).items():
            rows.append(
                {**said, **ran, "dataset": name, "direction": f"to {to}", **summed(table, run.method)}
            )
        if run.method != "histogram match":  # which is made from the truth
            measures = dataset.anatomy(trained.model, settings, to)
            more.append({**said, "dataset": options.dataset, "direction": f"to {to}", **measures})
    for sign in trained.signs:
        print(f"{run.name}: {sign}", flush=True)
    return rows, more


def described(runs: list[Run], options: argparse.Namespace) -> str:
    """Describe the plan: each method's pace, and the hours of all."""
    lines = [
        f"{len(runs)} runs to do on {options.dataset}, {options.size} pixels, {options.images} images, budget"
        f" {options.hours:g} hours; {options.threads} threads, {_device(options.device)}, commit {commit()}"
    ]
    total = busy = 0.0
    for method in dict.fromkeys(run.method for run in runs if run.method not in BASELINES):
        seeds = [run.seed for run in runs if run.method == method]
        wall, cpu = (
            seconds * options.images / 3600 for seconds in pace(method, _settings(Run(method, 0), options))
        )
        total, busy = total + wall * len(seeds), busy + cpu * len(seeds)
        lines.append(f"{method:18} seeds {seeds}: {wall:.2f} hours each, {cpu:.2f} of a core")
    return "\n".join([*lines, f"about {total:.1f} hours in all, {busy:.1f} of a core"])


def _settings(run: Run, options: argparse.Namespace) -> TrainSettings:
    dataset = DATASETS[options.dataset]
    base = {
        **dataset.base(options.data),
        "out": options.out / "runs" / f"{run.name}-{options.dataset}-{options.size}-{options.images}",
        "images": options.images,
        "every": max(1, options.images // POINTS),
        "seed": run.seed,
        "gate": 0,
        "device": options.device,
        "workers": 0 if options.device == "cpu" else None,  # or ours would use cores that others don't
        "cache": options.out / "runs" / "cache",
        "network": {"size": options.size},
    }
    return settings_of(run.method, base)


def commit() -> str:
    """Return the commit that runs, with a plus where files differ from it."""
    described = subprocess.run(
        ("git", "describe", "--always", "--dirty=+", "--exclude=*"),
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _device(name: str) -> str:
    return "cpu" if name == "cpu" else torch.cuda.get_device_name(name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, help="default: all, on the real dataset the first"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], help="parts take the first one only"
    )
    parser.add_argument("--dataset", choices=list(DATASETS), default="phantom")
    parser.add_argument(
        "--data", type=Path, help="folder of brain-ct-mr and paired-ct-mr, for the real dataset"
    )
    parser.add_argument("--images", type=int, default=10_000, help="of each modality, that a run sees")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--hours", type=float, default=24.0, help="budget of all runs in the results")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--curves", type=Path, help="draw errors over images seen into this SVG")
    parser.add_argument("--reporting", action="store_true", help="in the summary, the reporting cases too")
    options = parser.parse_args()
    parts = list(OURS) if options.dataset == "phantom" else []
    options.methods = options.methods or list(dict.fromkeys((*BASELINES, *PUBLISHED, *FIRST, *parts)))
    return options


if __name__ == "__main__":
    main()
