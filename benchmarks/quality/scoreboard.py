"""Scores models on all pairs of CT and MR pictures at hand, in both directions, beside their rungs.

    python -m benchmarks.quality.scoreboard --model brain-2d --model RUN/model --data DATA --cases choosing

DATA is the folder of `pair_sets`. `choosing` cases choose settings; `reporting` cases are looked at last.
--every 4 measures every fourth picture. Each set and direction has a table of models and rungs:

blurred N         the translation, blurred by a Gaussian of N pixels: a change that lowers MAE and bone
                  together has only blurred
mean              the model's mean training image
mean of contrast  the mean of the other cases' MR of the truth's contrast, where there are any
copied            the source
shifted           the truth, shifted by 2 pixels

Its columns are means over pictures; intervals in the CSV are 95 % of a bootstrap over cases:

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
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from inspect import signature
from itertools import chain
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from benchmarks.ablation.appearance import sliced_wasserstein
from benchmarks.quality.pair_measures import GREY, areas_of, blurred, shifted, slice_measures
from benchmarks.quality.pair_sets import PAIR_SETS, PICTURE_HU, PairSet
from benchmarks.quality.paired_pictures import interval
from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import Volume
from medtranslate.metrics import Values, head_mask, invented
from medtranslate.modality import OTHER
from medtranslate.transforms import denormalise
from medtranslate.translation import translate_volume
from medtranslate.translation.framed import frame

WIDTHS = (1, 2, 4, 8)
"""Sigmas in pixels of the blurred copies."""

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


@dataclass
class Rung:
    """Measures of one row: by name, the values of the slices of each case; and the slices themselves."""

    measures: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    slices: list[Values] = field(default_factory=list)

    def add(self, case: str, image: Values, found: dict[str, float]) -> None:
        """Add a slice [X, Y, 1]."""
        self.slices.append(image)
        for name, value in found.items():
            self.measures[name][case].append(value)

    def summary(self, truth: list[Values]) -> dict[str, float]:
        """Average over slices, with the SWD of all."""
        means = {name: fmean(chain(*cases.values())) for name, cases in self.measures.items()}
        return means | {"swd": 1000 * sliced_wasserstein(_tensor(truth), _tensor(self.slices))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", choices=("choosing", "reporting"), default="choosing")
    parser.add_argument("--every", type=int, default=1, help="measure every n-th picture")
    parser.add_argument("--csv", type=Path, help="write the rows, with intervals")
    options = parser.parse_args()
    models = {name: load_model(name, torch.device("cpu")) for name in options.model}
    rows = []
    for pairs in PAIR_SETS:
        names = pairs.names(options.data, options.cases, options.every)
        for to in TARGETS:
            truth, rungs = climb(pairs, options.data, names, to, models)
            found = {name: rung.summary(truth) for name, rung in rungs.items()}
            cases = ", ".join(pairs.cases[options.cases])
            print(f"\n**{pairs.name}, to {to.upper()}** ({len(names)} pictures of cases {cases})\n")
            print("\n".join(table(found)), flush=True)
            rows += [
                {
                    "set": pairs.name,
                    "to": to,
                    "cases": options.cases,
                    "row": name,
                    **with_intervals(rungs[name], row),
                }
                for name, row in found.items()
            ]
    if options.csv:
        write(options.csv, rows)


def climb(
    pairs: PairSet, data: Path, names: list[str], to: Modality, models: dict[str, Model]
) -> tuple[list[Values], dict[str, Rung]]:
    """Measure models and rungs on the pictures of a set; returns the truth and the rows."""
    rungs: dict[str, Rung] = defaultdict(Rung)
    true = []
    means = means_of_contrasts(pairs, data, names, next(iter(models.values()))) if to == "mr" else {}
    for name in names:
        source, truth = (pairs.read(data, name, side) for side in (OTHER[to], to))
        ct, case = (truth if to == "ct" else source).values, name[:2]
        areas, head = areas_of(ct), head_mask([truth.values, source.values], [GREY, GREY])
        true.append(truth.values)
        for rung, image in images(
            source, truth.values, to, models, pairs.contrasts.get(case), means.get(case)
        ):
            mask = head | invented(image, truth.values, GREY)
            rungs[rung].add(case, image, slice_measures(image, truth.values, mask, areas, ct=to == "ct"))
    return true, rungs


def images(
    source: Volume,
    truth: Values,
    to: Modality,
    models: dict[str, Model],
    contrast: str | None,
    mean: Tensor | None,
) -> Iterator[tuple[str, Values]]:
    """Yield the translations of a source and their rungs by name, [X, Y, 1] in grey values."""
    for name, model in models.items():
        made = in_window(translated(source, model, to, contrast).values, to, model)
        yield name, made
        for width in WIDTHS:
            yield f"{name}, blurred {width}", blurred(made, width)
        yield f"{name}, mean", in_window(mean_image(source, model, to).values, to, model)
    if mean is not None:
        model = next(iter(models.values()))
        yield "mean of contrast", mean_image(source, with_mean(model, to, mean), to).values
    yield "copied", source.values
    yield "shifted", shifted(truth, 2)


def translated(source: Volume, model: Model, to: Modality, contrast: str | None = None) -> Volume:
    """Translate a volume, in a contrast if the model takes one."""
    run: Callable[..., tuple[Volume, object]] = translate_volume
    takes = to == "mr" and contrast and "contrast" in signature(run).parameters
    return run(source, model, to, contrast=contrast)[0] if takes else run(source, model, to)[0]


def in_window(grey: Values, to: Modality, model: Model) -> Values:
    """Bring the grey values of a CT from the model's scale to the pairs' window."""
    if to == "mr":
        return grey
    hu = denormalise(grey / np.float32(127.5) - 1, "ct", model.description.scale)
    slope, offset = PICTURE_HU
    made: Values = ((hu - offset) / slope).clip(*GREY).astype(np.float32)
    return made


def means_of_contrasts(pairs: PairSet, data: Path, names: list[str], model: Model) -> dict[str, Tensor]:
    """Average for each case the framed MR [1, S, S] of the other cases with the same contrast."""
    framed: dict[str, list[Tensor]] = defaultdict(list)
    for name in names:
        seen = frame(pairs.read(data, name, "mr"), "mr", model)
        framed[name[:2]].append(seen.framed(np.arange(1), model.description.network.size)[0])
    found = {}
    for case in framed:
        kind = pairs.contrasts.get(case)
        others = [
            slices
            for other in framed
            if other != case and pairs.contrasts.get(other) == kind
            for slices in framed[other]
        ]
        if others:
            found[case] = torch.stack(others).mean(dim=0)
    return found


def with_mean(model: Model, to: Modality, mean: Tensor) -> Model:
    """Put a mean slice in place of the model's own."""
    return Model(model.description, model.generators, {to: mean})


def table(found: dict[str, dict[str, float]]) -> list[str]:
    """Lay out rows in Markdown; columns without a value are left out."""
    columns = [name for name in COLUMNS if any(name in row for row in found.values())]
    lines = ["| | " + " | ".join(HEADINGS.get(name, name) for name in columns) + " |"]
    lines.append("| --- |" + " --- |" * len(columns))
    for name, row in found.items():
        values = (f"{row[key]:.{DIGITS.get(key, 3)}f}" if key in row else "" for key in columns)
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    return lines


def with_intervals(rung: Rung, means: dict[str, float]) -> dict[str, float]:
    """Add the ends of the intervals to the means of a row."""
    found = dict(means)
    for name, cases in rung.measures.items():
        _, found[f"{name} low"], found[f"{name} high"] = interval(cases)
    return found


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """Write rows with all columns that any has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
            for row in rows
        )


def _tensor(slices: list[Values]) -> Tensor:
    """Turn slices [X, Y, 1] in grey values into [B, 1, Y, X] in [-1, 1]."""
    return torch.from_numpy(np.stack(slices)).permute(0, 3, 2, 1) / 127.5 - 1


if __name__ == "__main__":
    main()
