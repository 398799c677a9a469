"""The ladder: our method and its parts beside the methods that people would pick, on the same images.

    python -m benchmarks.ladder --ground phantom --hours 40 --dry-run     the plan, with hours estimated
    python -m benchmarks.ladder --ground phantom --hours 40               run it; the same again goes on
    python -m benchmarks.ladder --summary                                 the table

Every run sees as many images of each modality; the seconds that it took, by the clock and of the CPU, stand
beside. What the anchor adds is not counted: its slices are drawn, not acquired. Each run adds its rows to
`ladder.csv` (one for each direction, named by what is made, and each set of cases) and to `anatomy.csv`
(further measures) in `--out`. A run whose rows are there is passed over; one that was killed is done again,
or goes on where it is ours. Several processes may share the files, each with rungs of its own. The plan is
printed and kept in `plan.txt` before the first run; once the hours of all runs in `ladder.csv` reach
`--hours`, no other is begun. `grounds` says what is trained and tested on, `rungs` and `ladder.yaml` what the
rungs are.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import nan
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from scipy.stats import spearmanr

from benchmarks.grounds import DIRECTIONS, GROUNDS, summed
from benchmarks.rungs import BASELINES, FIRST, OURS, PUBLISHED, RUNGS, pace, settings_of, train
from medtranslate.config import TrainSettings

RUN = ("rung", "seed", "ground", "direction", "images_seen")
TEXTS = ("rung", "ground", "direction", "device", "commit")
SCORES = ("mae", "psnr", "ssim")
COLUMNS = (
    *RUN,
    *("wall_s", "device", "commit"),
    *SCORES,
    *("mae_low", "mae_high", "mae_matched", "mae_floor", "size", "threads", "cpu_s"),
)
ANATOMY = (
    *(*RUN, "size", "cycle_mae", "sliced_wasserstein", "checkerboard", "displacement", "displacement_95"),
    *("lesions", "lesions_kept", "lesion_contrast", "slices", "slices_invented"),
    *("spread_area", "spread_width", "constant_width", "binned_width"),
)

POINTS = 12
"""Validations in a run of ours, for its curve; each costs about a second at 64 pixels."""

REPORTING = "real reporting"
HEAD = f"{'rung':18} seeds  images  hours  MAE, PSNR, SSIM"

Row = dict[str, Any]
Tables = dict[tuple[str, str, float], dict[tuple[str, float], list[Row]]]
"""Rows by ground, direction and pixels, then by rung and images seen."""


@dataclass(frozen=True)
class Run:
    """One run: a rung with a seed."""

    rung: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.rung}-{self.seed}".replace(" ", "-")


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.summary:
        print(summary(read(options.out / "ladder.csv"), reporting=options.reporting))
        return
    runs = plan(options.rungs, options.seeds)
    written = read(options.out / "ladder.csv")
    left = [run for run in runs if not done(run, written, options)]
    text = described(left, options)
    print(text, flush=True)
    if options.dry_run:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "plan.txt").open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    climb(left, options, carried_out)


def climb(
    runs: Iterable[Run],
    options: argparse.Namespace,
    carry_out: Callable[[Run, argparse.Namespace], tuple[list[Row], list[Row]]],
) -> None:
    """Do one run after the other as long as there are hours left; rows are written as each ends."""
    for run in runs:
        spent = hours(read(options.out / "ladder.csv"))
        if spent >= options.hours:
            print(f"{spent:.1f} of {options.hours:g} hours are spent; no other run is begun")
            return
        rows, more = carry_out(run, options)
        append(options.out / "anatomy.csv", ANATOMY, more)
        append(options.out / "ladder.csv", COLUMNS, rows)  # last, for it says that the run is done
        for row in rows:
            if row["ground"] != REPORTING:
                print({name: _text(row[name]) for name in (*RUN, "wall_s", *SCORES)}, flush=True)


def plan(rungs: Iterable[str], seeds: Iterable[int]) -> list[Run]:
    """Runs in the order in which they tell most: one seed of all, then the other seeds of the first ones."""
    first, *others = seeds
    named = list(rungs)
    return [Run(rung, first) for rung in named] + [
        Run(rung, seed) for seed in others for rung in named if rung in FIRST
    ]


def done(run: Run, rows: Iterable[Row], options: argparse.Namespace) -> bool:
    """Whether all rows of a run are written."""
    images = 0 if run.rung in BASELINES else options.images
    wanted = set(product(GROUNDS[options.ground].rows, (f"to {to}" for to in DIRECTIONS)))
    found = {
        (row["ground"], row["direction"])
        for row in rows
        if (row["rung"], row["seed"]) == (run.rung, run.seed)
        and row["size"] == options.size
        and images <= row["images_seen"] <= images + 64  # the last batch may be longer
    }
    return wanted <= found


def carried_out(run: Run, options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """Train and score: rows of the ladder and of the anatomy."""
    settings, ground = _settings(run, options), GROUNDS[options.ground]
    trained = train(run.rung, settings)
    said: Row = {
        "rung": run.rung,
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
        for name, table in ground.tables(trained.model, settings, options.data, to).items():
            rows.append({**said, **ran, "ground": name, "direction": f"to {to}", **summed(table, run.rung)})
        if run.rung != "histogram match":  # which is made from the truth
            measures = ground.anatomy(trained.model, settings, to)
            more.append({**said, "ground": options.ground, "direction": f"to {to}", **measures})
    for sign in trained.signs:
        print(f"{run.name}: {sign}", flush=True)
    return rows, more


def described(runs: list[Run], options: argparse.Namespace) -> str:
    """The plan in words: each rung's pace, and the hours of all."""
    lines = [
        f"{len(runs)} runs to do on {options.ground}, {options.size} pixels, {options.images} images, budget"
        f" {options.hours:g} hours; {options.threads} threads, {_device(options.device)}, commit {commit()}"
    ]
    total = busy = 0.0
    for rung in dict.fromkeys(run.rung for run in runs if run.rung not in BASELINES):
        seeds = [run.seed for run in runs if run.rung == rung]
        wall, cpu = (
            seconds * options.images / 3600 for seconds in pace(rung, _settings(Run(rung, 0), options))
        )
        total, busy = total + wall * len(seeds), busy + cpu * len(seeds)
        lines.append(f"{rung:18} seeds {seeds}: {wall:.2f} hours each, {cpu:.2f} of a core")
    return "\n".join([*lines, f"about {total:.1f} hours in all, {busy:.1f} of a core"])


def read(path: Path) -> list[Row]:
    """Whole rows of a CSV; of a run that was done twice, the last ones."""
    if not path.is_file():
        return []
    whole, end, _ = path.read_text(encoding="utf-8").rpartition("\n")  # a line that was cut off has no end
    rows = [
        {name: text if name in TEXTS else float(text) for name, text in row.items()}
        for row in csv.DictReader((whole + end).splitlines())
    ]
    return list({tuple(row[name] for name in (*RUN, "size")): row for row in rows}.values())


def append(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    """Write rows at once, after what is there; a line that was cut off goes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="nan", lineterminator="\n")
    before = path.read_bytes() if path.is_file() else b""
    if not before.endswith(b"\n") and before:
        os.truncate(path, before.rfind(b"\n") + 1)
    if b"\n" not in before:
        writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text.getvalue())


def hours(rows: Iterable[Row]) -> float:
    """Of all runs in the results; a run's seconds stand in each of its rows."""
    runs = {
        (row["rung"], row["seed"], row["ground"].split()[0], row["images_seen"], row["size"]): row
        for row in rows
    }
    return float(sum(row["wall_s"] for row in runs.values())) / 3600


def summary(rows: list[Row], *, reporting: bool = False) -> str:
    """Mean and spread over seeds by ground, direction and rung, and how alike the grounds rank the rungs.

    Args:
        reporting: show the reporting cases too, which are looked at last.
    """
    tables: Tables = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if reporting or row["ground"] != REPORTING:
            tables[row["ground"], row["direction"], row["size"]][row["rung"], row["images_seen"]].append(row)
    lines = []
    for (ground, direction, size), rungs in sorted(tables.items()):
        lines += [f"{ground}, {direction}, {size:.0f} pixels", HEAD]
        for (rung, images), found in sorted(rungs.items(), key=lambda item: _means(item[1])["mae"]):
            scores = "  ".join(
                f"{mean:.3f} ± {_spread(found, name):.3f}" for name, mean in _means(found).items()
            )
            wall = fmean(row["wall_s"] for row in found) / 3600
            lines.append(f"{rung:18} {len(found):5}  {images:6.0f}  {wall:5.2f}  {scores}")
        lines.append("")
    return "\n".join([*lines, *_alike(tables)])


def _alike(tables: Tables) -> list[str]:
    """Spearman's rank correlation of the rungs' errors on phantoms and on real pairs."""
    lines = []
    for (ground, direction, size), real in sorted(tables.items()):
        known = tables.get(("phantom", direction, size), {}) if ground != "phantom" else {}
        shared = sorted(key for key in real.keys() & known.keys() if key[0] not in BASELINES)
        if len(shared) > 2:
            errors = [[_means(rows[key])["mae"] for key in shared] for rows in (known, real)]
            alike = float(spearmanr(*errors).statistic)
            lines.append(f"{direction}: phantom and {ground} rank {len(shared)} rungs alike by {alike:.2f}")
    return lines


def _means(rows: list[Row]) -> dict[str, float]:
    return {name: fmean(row[name] for row in rows) for name in SCORES}


def _spread(rows: list[Row], name: str) -> float:
    return stdev(row[name] for row in rows) if len(rows) > 1 else nan


def _settings(run: Run, options: argparse.Namespace) -> TrainSettings:
    ground = GROUNDS[options.ground]
    base = {
        **ground.base(options.data),
        "out": options.out / "runs" / f"{run.name}-{options.ground}-{options.size}-{options.images}",
        "images": options.images,
        "every": max(1, options.images // POINTS),
        "seed": run.seed,
        "device": options.device,
        "workers": 0 if options.device == "cpu" else None,  # or ours would use cores that others don't
        "cache": options.out / "runs" / "cache",
        "network": {"size": options.size},
    }
    return settings_of(run.rung, base)


def commit() -> str:
    """The commit that runs, with a plus where files differ from it."""
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


def _text(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rungs", nargs="+", choices=RUNGS, help="default: all, on the real ground the first"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], help="parts take the first one only"
    )
    parser.add_argument("--ground", choices=list(GROUNDS), default="phantom")
    parser.add_argument(
        "--data", type=Path, help="folder of brain-ct-mr and paired-ct-mr, for the real ground"
    )
    parser.add_argument("--images", type=int, default=10_000, help="of each modality, that a run sees")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--hours", type=float, default=24.0, help="budget of all runs in the results")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--reporting", action="store_true", help="in the summary, the reporting cases too")
    options = parser.parse_args()
    parts = list(OURS) if options.ground == "phantom" else []
    options.rungs = options.rungs or list(dict.fromkeys((*BASELINES, *PUBLISHED, *FIRST, *parts)))
    return options


if __name__ == "__main__":
    main()
