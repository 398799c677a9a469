"""Shows best, typical and worst translations of a model, chosen by rank.

    python -m benchmarks.quality.ranked_cases MODEL cases.png

The held-out phantom slices of the ablation are ranked by their masked error, in each direction by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.ablation.anatomy import Image, twins
from benchmarks.ablation.datasets import DIRECTIONS, GREY, SCORED_SEED, TESTED
from benchmarks.ablation.methods.train import translated
from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality, StreamContrast
from medtranslate.metrics import head_mask, mae
from medtranslate.modality import OTHER

RANKS = {"best": 0.0, "typical": 0.5, "worst": 1.0}
"""Place in the order of errors, from the least to the largest."""

WHITE = 100.0
"""Error that is shown white, in grey values."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="name or folder")
    parser.add_argument("picture", type=Path, help="PNG or SVG")
    parser.add_argument("--contrast", default="t1")
    options = parser.parse_args()
    draw(load_model(options.model, torch.device("cpu")), options.contrast).savefig(options.picture, dpi=110)


def draw(model: Model, contrast: StreamContrast, count: int = TESTED) -> Figure:
    """Draw a row for each rank; for each direction source, translation, truth and absolute error."""
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    grid = figure.subplots(len(RANKS), 4 * len(DIRECTIONS))
    for to, plots in zip(DIRECTIONS, np.hsplit(grid, len(DIRECTIONS)), strict=True):
        images, errors = ranked(model, to, contrast, count)
        order = np.argsort(errors)
        for (name, rank), row in zip(RANKS.items(), plots, strict=True):
            place = order[round(rank * (len(order) - 1))]
            source, made, truth = (image[place] for image in images)
            shown = {
                OTHER[to].upper(): source,
                f"{to.upper()}, made": made,
                f"{to.upper()}, true": truth,
                "error": np.abs(made - truth) * GREY[1] / WHITE,
            }
            for plot, (title, image) in zip(row, shown.items(), strict=True):
                plot.imshow(image, cmap="gray", vmin=GREY[0], vmax=GREY[1])
                plot.set_xticks([])
                plot.set_yticks([])
                if rank == 0:
                    plot.set_title(title)
            row[0].set_ylabel(f"{name}, {errors[place]:.1f}")
    return figure


def ranked(
    model: Model, to: Modality, contrast: StreamContrast, count: int
) -> tuple[list[Image], NDArray[np.float64]]:
    """Return sources, translations and truths [count, S, S] in grey values, and each slice's masked error."""
    pairs = twins(SCORED_SEED, count, model.description.network, model.description.scale, contrast)
    (source, _), (truth, _) = pairs.of(OTHER[to]), pairs.of(to)
    images = [
        ((slices[:, 0] + 1) * GREY[1] / 2).float().numpy()
        for slices in (source, translated(model, source, to), truth)
    ]
    errors = [
        mae(made[..., None], true[..., None], head_mask([true[..., None], seen[..., None]], [GREY, GREY]))
        for seen, made, true in zip(*images, strict=True)
    ]
    return images, np.array(errors)


if __name__ == "__main__":
    main()
