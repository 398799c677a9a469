"""Measures how well the spread of samples foresees errors, beside intervals that need no samples.

    python -m benchmarks.quality.uncertainty phantom
    python -m benchmarks.quality.uncertainty RUN-0/model RUN-1/model RUN-2/model --pairs paired-ct-mr
    python -m benchmarks.quality.uncertainty RUN/model --pairs paired-ct-mr --reporting

Models are measured one by one and, where there are several, as an ensemble whose spread is that of its
members' translations. One number, the temperature, is fitted to each on other heads than those scored: on
phantoms of other seeds; on pictures of the choosing cases it is fitted on two of them and scored on the
third, in turn. Where samples agree they leave errors that no factor covers, so a second number, a floor
under their spread, is tried too, and a curve from spread to error (`metrics.calibration`). Beside these
stand intervals of constant width, and of a width that follows from the translation's intensity alone, fitted
alike. With `--reporting` all is fitted on the choosing cases and scored on the reporting ones, which are
looked at last; `medtranslate calibrate` writes such a curve into a model.
Errors and widths are in grey values (0 to 255), inside what source or truth show. Intervals of 90 % are
compared at equal coverage: as wide as holds 90 % of the errors.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr
from torch import Tensor

from benchmarks.ablation.anatomy import twins
from benchmarks.ablation.datasets import CASES, DIRECTIONS, SCORED_SEED
from benchmarks.ablation.rows import REPORTING
from benchmarks.quality.pair_sets import FOLDERS
from benchmarks.quality.uncertainty_measures import (
    Numbers,
    binned_spread,
    held,
    interval_width,
    sampled,
    sparsification,
    temperature,
)
from medtranslate.calibrate import uncalibrated
from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality
from medtranslate.io import Volume, read_volume
from medtranslate.metrics import LIMIT_SHARE, Voxels, calibrated, fit_calibration, head_mask
from medtranslate.modality import OTHER
from medtranslate.phantom import HELD_OUT, study
from medtranslate.training.diagnostics import VISIBLE
from medtranslate.translation import as_spoken, sample_volume

FITTED_SEED = HELD_OUT + 7_000
"""Phantom slices on which temperatures are fitted; others are scored."""

SHARES = (0.68, 0.9, 0.95)
"""Probabilities of the intervals whose coverage is told."""

HEAD = 96
"""Voxels along each axis of a whole phantom head, a cube of 256 mm."""

GREY = 127.5
"""Grey values to a unit of the network's [-1, 1]."""

Row = dict[str, str | float]


@dataclass(frozen=True)
class Pixels:
    """Scored pixels [n]: the translation, its absolute error, and the spread of samples or members."""

    made: Numbers
    errors: Numbers
    spread: Numbers


Widths = dict[str, Callable[[Pixels, Pixels], Numbers]]

WIDTHS: Widths = {
    "samples": lambda fitted, scored: scored.spread,
    "samples, floor": lambda fitted, scored: scored.spread + floor(fitted),
    "constant": lambda fitted, scored: np.ones_like(scored.errors),
    "by intensity": lambda fitted, scored: binned_spread(fitted.made, fitted.errors, scored.made),
    "calibrated": lambda fitted, scored: (
        calibrated(scored.made, scored.spread, fit_calibration(fitted.made, fitted.spread, fitted.errors, ""))
        / norm.ppf((1 + LIMIT_SHARE) / 2)
    ),
}
"""What intervals are as wide as, up to a factor: (pixels to fit on, pixels to score) to widths of these. An
error limit is as wide as the interval of its share of normal errors."""

FLOORS = (0.0, *(2.0**power for power in range(-2, 8)))
"""Floors that are tried, in mean spreads."""


def floor(fitted: Pixels) -> float:
    """Find what is to be added to every spread, so that intervals of equal coverage are narrowest."""
    floors = [float(fitted.spread.mean()) * share for share in FLOORS]
    return min(floors, key=lambda added: interval_width(fitted.spread + added, fitted.errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", help="names or folders; several are an ensemble, too")
    parser.add_argument("--slices", type=int, default=64, help="phantom slices that are scored, half to fit")
    parser.add_argument("--contrast", default="t1")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--heads", type=int, default=0, help="whole phantom heads to score, as many to fit")
    parser.add_argument("--pairs", type=Path, help="folder of CT and MRI pictures, paired")
    parser.add_argument("--reporting", action="store_true", help="score the pictures of the reporting cases")
    options = parser.parse_args()
    models = [uncalibrated(load_model(name)) for name in options.models]
    rows: list[Row] = []
    for to in DIRECTIONS:
        datasets = {"phantom": [phantom_pixels(models, to, options)]}
        if options.heads:
            datasets["heads"] = [head_pixels(models, to, options)]
        if options.pairs:
            datasets["pictures"] = paired_pixels(models, to, options)
        for dataset, folds in datasets.items():
            for who in folds[0][0]:
                splits = [(fitted[who], scored[who]) for fitted, scored in folds]
                rows += [{"dataset": dataset, "to": to, "who": who, **row} for row in compared(splits)]
    print(table(rows))
    print(json.dumps(rows))


def compared(folds: list[tuple[Pixels, Pixels]]) -> list[Row]:
    """Compare kinds of intervals, each fitted on one set of pixels and scored on another, over all folds."""
    rows: list[Row] = []
    errors = np.concatenate([scored.errors for _, scored in folds])
    for kind, width in WIDTHS.items():
        raw = [width(fitted, scored) for fitted, scored in folds]
        factors = [temperature(width(fitted, fitted), fitted.errors) for fitted, _ in folds]
        before = np.concatenate(raw)
        after = np.concatenate([spread * factor for spread, factor in zip(raw, factors, strict=True)])
        varies = np.ptp(before) > 0
        rows.append(
            {
                "intervals": kind,
                "rank": float(spearmanr(before, errors).statistic) if varies else 0.0,
                "area": sparsification(before, errors) if varies else 1.0,
                "temperature": float(np.mean(factors)),
                **{f"before {share:.0%}": held(before, errors, share) for share in SHARES},
                **{f"after {share:.0%}": held(after, errors, share) for share in SHARES},
                "width": interval_width(after, errors),
                "size": float(np.sqrt(np.mean(errors**2) / np.mean(before**2))) if before.any() else 0.0,
                "error": float(errors.mean()),
            }
        )
    return rows


def phantom_pixels(
    models: list[Model], to: Modality, options: argparse.Namespace
) -> tuple[dict[str, Pixels], dict[str, Pixels]]:
    """Measure phantom slices to fit on, and others to score, for each model and the ensemble."""
    found = []
    for seed, count in ((FITTED_SEED, options.slices // 2), (SCORED_SEED, options.slices)):
        description = models[0].description
        pairs = twins(seed, count, description.network, description.scale, options.contrast)
        (source, _), (truth, _) = pairs.of(OTHER[to]), pairs.of(to)
        made = [
            [sampled(model.translator(to), part, options.samples) for part in source.split(16)]
            for model in models
        ]
        members = [tuple(torch.cat(parts) for parts in zip(*batches, strict=True)) for batches in made]
        seen = torch.maximum(source, truth) > VISIBLE
        found.append(each([(image[seen], spread[seen]) for image, spread in members], truth[seen], gain=GREY))
    return found[0], found[1]


def head_pixels(
    models: list[Model], to: Modality, options: argparse.Namespace
) -> tuple[dict[str, Pixels], dict[str, Pixels]]:
    """Measure whole phantom heads to fit on, and others to score, as `translate` sees them."""

    def of(seed: int) -> dict[str, Pixels]:
        head = study(seed, size=HEAD, spacing=256 / HEAD, contrast=options.contrast)
        volumes: dict[Modality, Volume] = {"ct": head.ct, "mr": head.mr}
        truth, known = (as_spoken(volumes[side], side, models[0]).values for side in (to, OTHER[to]))
        ranges = [models[0].info(side).output_range for side in (to, OTHER[to])]
        gain = 2 * GREY / (ranges[0][1] - ranges[0][0])
        mask = head_mask([truth, known], ranges)
        return volume_pixels(models, volumes[OTHER[to]], truth, mask, gain, to, options)

    fitted, scored = (
        joined([of(first + head) for head in range(options.heads)]) for first in (FITTED_SEED, SCORED_SEED)
    )
    return fitted, scored


def paired_pixels(
    models: list[Model], to: Modality, options: argparse.Namespace
) -> list[tuple[dict[str, Pixels], dict[str, Pixels]]]:
    """Measure pictures: each choosing case is scored once, fitted on the others.

    With `--reporting` all of them are fitted on, and the reporting cases scored.
    """

    def of(case: str) -> dict[str, Pixels]:
        names = sorted(path.name for path in (options.pairs / "CT").glob(f"{case}*.png"))
        return joined([picture_pixels(models, to, options, name) for name in names])

    known = {case: of(case) for case in CASES["real choosing"]}
    if options.reporting:
        return [(joined(list(known.values())), joined([of(case) for case in CASES[REPORTING]]))]
    return [
        (joined([pixels for other, pixels in known.items() if other != case]), scored)
        for case, scored in known.items()
    ]


def picture_pixels(
    models: list[Model], to: Modality, options: argparse.Namespace, name: str
) -> dict[str, Pixels]:
    source = read_volume(options.pairs / FOLDERS[OTHER[to]] / name, modality=OTHER[to])
    truth = read_volume(options.pairs / FOLDERS[to] / name, modality=to).values
    mask = head_mask([truth, source.values], [(0.0, 2 * GREY)] * 2)
    return volume_pixels(models, source, truth, mask, 1.0, to, options)


def volume_pixels(
    models: list[Model],
    source: Volume,
    truth: NDArray[np.float32],
    mask: Voxels,
    gain: float,
    to: Modality,
    options: argparse.Namespace,
) -> dict[str, Pixels]:
    """Measure voxels in the mask, as `translate` makes them; `gain` grey values to a unit of theirs."""
    members = []
    for model in models:
        done = sample_volume(source, model, to, samples=options.samples)
        assert done.uncertainty is not None
        image, spread = (torch.from_numpy(one.values[mask]) for one in (done.volume, done.uncertainty))
        members.append((image, spread))
    return each(members, torch.from_numpy(truth[mask]), gain)


def each(members: list[tuple[Tensor, Tensor]], truth: Tensor, gain: float) -> dict[str, Pixels]:
    """Return the pixels of each model and, of several, of their ensemble."""
    views = {f"model {number}": member for number, member in enumerate(members)}
    if len(members) > 1:
        images = torch.stack([image for image, _ in members])
        views["ensemble"] = images.mean(dim=0), images.std(dim=0)
    return {
        who: Pixels(*(gain * values.double().numpy() for values in (image, (image - truth).abs(), spread)))
        for who, (image, spread) in views.items()
    }


def joined(several: list[dict[str, Pixels]]) -> dict[str, Pixels]:
    return {
        who: Pixels(
            *(
                np.concatenate([getattr(found[who], name) for found in several])
                for name in ("made", "errors", "spread")
            )
        )
        for who in several[0]
    }


def table(rows: list[Row]) -> str:
    """Write the rows as a Markdown table."""
    lines = [
        "| dataset | to | model | intervals | rank correlation | sparsification | temperature"
        " | errors over deviations | held before, 68, 90, 95 % | after | half width at 90 % |",
        "| --- " * 11 + "|",
    ]
    for row in rows:
        before, after = (
            ", ".join(f"{100 * float(row[f'{when} {share:.0%}']):.0f}" for share in SHARES)
            for when in ("before", "after")
        )
        known = row["intervals"] in ("samples", "calibrated")  # the others have no size of their own
        sizes = f"{row['temperature']:.2f} | {row['size']:.2f}" if known else " | "
        lines.append(
            f"| {row['dataset']} | {row['to']} | {row['who']} | {row['intervals']} | {row['rank']:.2f}"
            f" | {row['area']:.2f} | {sizes}"
            f" | {before if known else ''} | {after} | {row['width']:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
