"""Scores models on all pairs of CT and MR pictures at hand, in both directions, beside their rungs.

    python -m benchmarks.quality.scoreboard --model brain-2d --model RUN/model --data DATA --cases choosing

DATA is the folder of `pair_sets`. `choosing` cases choose settings; `reporting` cases are looked at last.
--every 4 measures every fourth picture. --sheet draws pictures of each case; most pairs may not be shown.
Each set and direction has a table of models and rungs:

blurred N         the translation, blurred by a Gaussian of N pixels: a change that lowers MAE and bone
                  together has only blurred
mean              the model's mean training image
mean of contrast  the mean of the other cases' MR of the truth's contrast, where there are any
copied            the source
shifted           the truth, shifted by 2 pixels

Columns are means over pictures. The CSV has intervals (95 % of a bootstrap over cases), and a row for a case:

MAE, SSIM         masked, profile `image`, of 255 over the pair's window
matched           MAE with the truth's histogram, which parts anatomy from contrast
bone              Dice of 235 and more
fluid, truth      fluid less brain, in grey values; the areas are those of the true CT
fluid Dice        overlap of dark parts inside the skull
gradient          correlation of gradients
SWD               sliced Wasserstein distance of 7 x 7 patches, in thousandths of [-1, 1]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from benchmarks.quality.contact_sheet import Strip, strip_of, write_sheet
from benchmarks.quality.pair_measures import interval
from benchmarks.quality.pair_sets import PAIR_SETS
from benchmarks.quality.rungs import Rung, climb, projections
from medtranslate.checkpoint import load_model
from medtranslate.config import Modality

COLUMNS = ("mae", "mae matched", "ssim", "bone", "fluid", "true fluid", "fluid dice", "gradient", "swd")
HEADINGS = {
    "mae": "MAE",
    "mae matched": "matched",
    "ssim": "SSIM",
    "true fluid": "truth",
    "fluid dice": "fluid Dice",
    "swd": "SWD",
}
DIGITS = {"mae": 1, "mae matched": 1, "fluid": 1, "true fluid": 1, "swd": 1}
TARGETS: tuple[Modality, Modality] = ("ct", "mr")

Row = dict[str, str | float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", choices=("choosing", "reporting"), default="choosing")
    parser.add_argument("--every", type=int, default=1, help="measure every n-th picture")
    parser.add_argument("--csv", type=Path, help="write the rows, with intervals")
    parser.add_argument("--sheet", type=Path, help="PNG of source, translations and truth")
    options = parser.parse_args()
    models = {name: load_model(name, torch.device("cpu")) for name in options.model}
    rows, strips = list[Row](), list[Strip]()
    for pairs in PAIR_SETS:
        names = pairs.names(options.data, options.cases, options.every)
        if not names:
            print(f"\n**{pairs.name}**: no pictures in {options.data / pairs.folder}")
            continue
        for to in TARGETS:
            truth, rungs = climb(pairs, options.data, names, to, models)
            patches = projections(truth)
            found = {name: rung.summary(patches) for name, rung in rungs.items()}
            cases = ", ".join(pairs.cases[options.cases])
            print(f"\n**{pairs.name}, to {to.upper()}** ({len(names)} pictures of cases {cases})\n")
            print("\n".join(table(found)), flush=True)
            about: Row = {"set": pairs.name, "to": to}
            rows += [
                about | {"row": name} | row for name in found for row in rows_of(rungs[name], found[name])
            ]
            shown = {"source": rungs["copied"].slices, **{name: rungs[name].slices for name in models}}
            strips.append(strip_of(f"{pairs.name}, to {to.upper()}", names, shown | {"truth": truth}))
    if options.csv:
        write(options.csv, rows)
    if options.sheet:
        write_sheet(strips, options.sheet)


def table(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Lay out rows in Markdown; columns without a value are left out."""
    columns = [name for name in COLUMNS if any(name in row for row in found.values())]
    lines = ["| | " + " | ".join(HEADINGS.get(name, name) for name in columns) + " |"]
    lines.append("| --- |" + " --- |" * len(columns))
    for name, row in found.items():
        values = (f"{row[key]:.{DIGITS.get(key, 3)}f}" if key in row else "" for key in columns)
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    return lines


def rows_of(rung: Rung, means: Mapping[str, float]) -> Iterator[Row]:
    """Yield the means with their intervals, then the means of each case."""
    ends: Row = {}
    for name, values in rung.measures.items():
        _, ends[f"{name} low"], ends[f"{name} high"] = interval(values)
    yield {"case": "all", **means, **ends}
    for case in rung.cases:
        yield {"case": case, **rung.means(case)}


def write(path: Path, rows: list[Row]) -> None:
    """Write rows with all columns that any has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()}
            for row in rows
        )


if __name__ == "__main__":
    main()
