"""The rows of the scoreboard: translations, their rungs, and what is measured of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from benchmarks.ablation.appearance import apart, projected
from benchmarks.quality.pair_measures import (
    GREY,
    Move,
    areas_of,
    blurred,
    fitting_move,
    shifted,
    slice_measures,
)
from benchmarks.quality.pair_sets import WINDOWS, PairSet, Whose
from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.config.types import Contrast, Ends
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import Volume
from medtranslate.metrics import Values, head_mask, invented
from medtranslate.modality import OTHER
from medtranslate.transforms import shown_otherwise
from medtranslate.translation import sample_volume, translate_volume
from medtranslate.translation.contrast import told_like
from medtranslate.translation.framed import frame

WIDTHS = (1, 2, 4, 8)
"""Sigmas in pixels of the blurred copies."""


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

    @property
    def cases(self) -> list[str]:
        """Cases in their order."""
        return list(self.measures["mae"])

    def means(self, case: str | None = None) -> dict[str, float]:
        """Average over the slices of a case, or over all."""
        found = {
            name: list(chain(*cases.values())) if case is None else cases.get(case, [])
            for name, cases in self.measures.items()
        }
        return {name: fmean(values) for name, values in found.items() if values}

    def summary(self, truth: Tensor) -> dict[str, float]:
        """Average over all slices, with the SWD of their patches from those of the truth, `projections`."""
        return self.means() | {"swd": 1000 * apart(truth, projections(self.slices))}


def climb(
    pairs: PairSet,
    data: Path,
    names: list[str],
    to: Modality,
    models: dict[str, Model],
    like: Whose | None = None,
    bent: int = 0,
    window: Ends | None = None,
) -> tuple[list[Values], dict[str, Rung]]:
    """Measure models and rungs on the pictures of a set; returns the truth and the rows.

    Args:
        like: ask for MR as bright as another picture, and whose; by default for a named contrast.
        bent: copies of each MR, shown otherwise, the mean of whose CT is a row.
        window: HU that are black and white in every true CT (default: those of its case).
    """
    rungs: dict[str, Rung] = defaultdict(Rung)
    true = []
    first = next(iter(models.values()))
    means = means_of_contrasts(pairs, data, names, first) if to == "mr" else {}
    for name in names:
        source, truth = (pairs.read(data, name, side) for side in (OTHER[to], to))
        mr, case = (source if to == "ct" else truth), name[:2]
        ct = (truth if to == "ct" else source).values
        told = {each: showing(model, window or WINDOWS[case]) for each, model in models.items()}
        apart = fitting_move(translated(mr, next(iter(told.values())), "ct").values, ct)
        areas, head = areas_of(ct), head_mask([truth.values, source.values], [GREY, GREY])
        true.append(truth.values)
        contrast = pairs.contrasts.get(case)
        if to == "mr" and like and (example := pairs.another(data, name, like)):
            other = pairs.read(data, example, "mr")
            told, contrast = {each: told_like(model, other) for each, model in told.items()}, None
        made = images(source, truth.values, to, told, contrast, means.get(case))
        for rung, image in chain(
            made,
            placed(truth.values, to, apart),
            of_bent(source, told, bent if to == "ct" else 0),
        ):
            mask = head | invented(image, truth.values, GREY)
            found = slice_measures(
                image, truth.values, mask, areas, ct=to == "ct", apart=None if to == "ct" else apart
            )
            if rung in told and told[rung].description.limits.get(to):
                limit = limits(source, told[rung], to, contrast)
                found["held"] = float((np.abs(image - truth.values) <= limit)[mask].mean())
            rungs[rung].add(case, image, found)
    return true, rungs


def images(
    source: Volume,
    truth: Values,
    to: Modality,
    models: dict[str, Model],
    contrast: Contrast | None,
    mean: Tensor | None,
) -> Iterator[tuple[str, Values]]:
    """Yield the translations of a source and their rungs by name, [X, Y, 1] in grey values."""
    for name, model in models.items():
        made = translated(source, model, to, contrast).values
        yield name, made
        for width in WIDTHS:
            yield f"{name}, blurred {width}", blurred(made, width)
        yield f"{name}, mean", mean_image(source, model, to).values
    if mean is not None:
        model = next(iter(models.values()))
        yield "mean of contrast", mean_image(source, with_mean(model, to, mean), to).values
    yield "copied", source.values
    yield "shifted", shifted(truth, 2)


def placed(truth: Values, to: Modality, apart: Move) -> Iterator[tuple[str, Values]]:
    """Yield the truth where its source lies.

    Args:
        apart: the move from the MR's place to that of the CT.
    """
    yield "moved", apart.back_on(truth) if to == "ct" else apart.on(truth)


def of_bent(source: Volume, models: dict[str, Model], count: int) -> Iterator[tuple[str, Values]]:
    """Yield the mean CT of copies of an MR picture that are shown otherwise, by name."""
    unit = torch.from_numpy(source.values[None, :, :, 0] / 127.5 - 1).float()
    copies = [
        shown_otherwise(unit[None], torch.zeros(1, 1), 1.0, torch.Generator().manual_seed(seed))[0]
        for seed in range(count)
    ]
    shown = [source.with_values((127.5 * (copy[0, 0, :, :, None] + 1)).numpy()) for copy in copies]
    for name, model in models.items() if count else ():
        made = [translated(each, model, "ct").values for each in shown]
        yield f"{name}, mean of bent", np.mean(made, axis=0)


def translated(source: Volume, model: Model, to: Modality, contrast: Contrast | None = None) -> Volume:
    """Translate a volume, in a contrast if the model has a choice."""
    return translate_volume(source, asked(model, contrast), to)[0]


def limits(source: Volume, model: Model, to: Modality, contrast: Contrast | None = None) -> Values:
    """Map the error limits of the translation of a picture, in grey values."""
    made = sample_volume(source, asked(model, contrast), to, limits=True).uncertainty
    assert made is not None
    return made.values


def asked(model: Model, contrast: Contrast | None) -> Model:
    """Tell a model that has a choice the contrast."""
    if not (contrast and model.description.network.told):
        return model
    told = Model(model.description, model.generators, model.means, contrast=contrast, window=model.window)
    return told.axial() if model.planes == 1 else told


def showing(model: Model, window: Ends) -> Model:
    """Tell a model the window of the pictures of CT."""
    return Model(model.description, model.generators, model.means, window=window)


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
    return Model(model.description, model.generators, {to: mean}, window=model.window)


def projections(slices: Sequence[Values]) -> Tensor:
    """Project the patches of slices [X, Y, 1] in grey values."""
    return projected(torch.from_numpy(np.stack(slices)).permute(0, 3, 2, 1) / 127.5 - 1)
