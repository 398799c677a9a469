"""Defines what the methods of the ablation are trained and tested on, and scores them there.

phantom  Unpaired phantom slices; tested on pairs of heads never trained on. The anchor's slices come from the
         same phantom, so that here it is told the very thing that is tested: read it as an upper end.
real     Unpaired pictures (brain-ct-mr); tested on pairs of the same patients (paired-ct-mr), whose
         choosing and reporting cases are rows of their own.

Grey values are 0 to 255 on both, and scores those of the profile `image`: each slice inside the mask of its
source and its truth, then the mean over slices. Intervals are 95 % of a bootstrap over cases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.ablation.anatomy import Twins, displacement, lesions, twins
from benchmarks.ablation.appearance import checkerboard, sliced_wasserstein
from benchmarks.ablation.methods.train import BASELINES, translated
from benchmarks.quality.pair_measures import interval, matched
from benchmarks.quality.pair_sets import FOLDERS
from benchmarks.quality.uncertainty_measures import binned_spread, interval_width, sampled, sparsification
from medtranslate import phantom
from medtranslate.checkpoint import Model
from medtranslate.config import Modality, TrainSettings
from medtranslate.data import open_sources
from medtranslate.evaluation import SourceImage, baselines, score_pair
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import read_volume
from medtranslate.metrics import head_mask, mae, score
from medtranslate.modality import OTHER
from medtranslate.networks import VariationalGenerator
from medtranslate.translation import translate_volume

SCORED_SEED = phantom.HELD_OUT + 6_000

CASES = {"real choosing": ("16", "20", "28"), "real reporting": ("32", "33", "41")}
"""Cases of paired-ct-mr; the latter are looked at last."""

SHOWN = 32
"""Slices on which round trips, displacements and spreads are measured."""

SAMPLES = 8
"""Draws of the posterior from which a spread is measured."""

DIRECTIONS: tuple[Modality, Modality] = ("ct", "mr")
"""By what is made."""

GREY = (0.0, 255.0)

Table = dict[str, dict[str, list[float]]]
"""Scores of the slices of each case, by score."""


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Attributes:
        rows: the datasets' names in the results; each is a set of cases.
        base: (folder of the data, pixels, images) to settings of every run.
        tables: (model, settings, folder of the data, direction) to the scores by the names in `rows`.
        anatomy: (model, settings, direction) to further measures.
    """

    rows: tuple[str, ...]
    base: Callable[[Path | None], dict[str, Any]]
    tables: Callable[[Model, TrainSettings, Path | None, Modality], dict[str, Table]]
    anatomy: Callable[[Model, TrainSettings, Modality], dict[str, float]]


def summed(table: Table, method: str) -> dict[str, float]:
    """Average over slices; a baseline's scores are found beside those of any other method."""
    of = f" {method}" if method in BASELINES else ""
    scores = {name: _mean(table[name + of]) for name in ("mae", "psnr", "ssim")}
    _, low, high = interval(table["mae" + of])
    after_match = nan if of else _mean(table["mae matched"])
    return {
        **scores,
        "mae_low": low,
        "mae_high": high,
        "mae_matched": after_match,
        "mae_floor": _mean(table["mae floor"]),
    }


def _mean(cases: Mapping[str, list[float]]) -> float:
    values = [value for slices in cases.values() for value in slices if isfinite(value)]
    return fmean(values) if values else nan


def phantom_base(data: Path | None) -> dict[str, Any]:
    return {"ct": "phantom:0-399999", "mr": "phantom:400000-799999"}


def phantom_tables(
    model: Model, settings: TrainSettings, data: Path | None, to: Modality
) -> dict[str, Table]:
    pairs = held_out(settings)
    (source, _), (truth, _) = pairs.of(OTHER[to]), pairs.of(to)
    images = [_grey(slices) for slices in (truth, source, translated(model, source, to))]
    mean = _grey(model.means[to][None])[0]
    table: Table = defaultdict(lambda: defaultdict(list))
    for case, (true, seen, made) in enumerate(zip(*images, strict=True)):
        for name, value in slice_scores(true, seen, made, mean).items():
            table[name][str(case)].append(value)
    return {"phantom": table}


def slice_scores(
    truth: NDArray[np.float32],
    source: NDArray[np.float32],
    made: NDArray[np.float32],
    mean: NDArray[np.float32],
) -> dict[str, float]:
    """Score one translated slice and the baselines, with the names of `picture_scores`.

    Args:
        truth, source, made, mean: [S, S, 1] in grey values; no translation changes the mask.
    """
    mask = head_mask([truth, source], [GREY, GREY])
    scored = {"": score(made, truth, mask, GREY)[0]}
    scored |= baselines(truth, mask, GREY, source=SourceImage(source, GREY), mean_image=mean)
    found = {
        f"{name} {of}".strip(): scores.get(name)
        for of, scores in scored.items()
        for name in ("mae", "psnr", "ssim")
    }
    found |= {
        "mae matched": mae(matched(made, truth, mask), truth, mask),
        "mae floor": mae(np.roll(truth, 2, axis=0), truth, mask),
    }
    return {name: nan if value is None else float(value) for name, value in found.items()}


def phantom_anatomy(model: Model, settings: TrainSettings, to: Modality) -> dict[str, float]:
    pairs = held_out(settings)
    (source, healthy), (truth, _) = pairs.of(OTHER[to]), pairs.of(to)
    made = translated(model, source, to)
    middle, far = displacement(lambda images: translated(model, images, to), source[:SHOWN], truth[:SHOWN])
    found = lesions(made, translated(model, healthy, to), pairs, to)
    return {
        **_appearance(model, source, truth, made, to),
        "displacement": middle,
        "displacement_95": far,
        "lesions": found.clear,
        "lesions_kept": found.kept,
        "lesion_contrast": found.contrast,
        "slices": found.slices,
        "slices_invented": found.invented,
        **_spread(model, source[:SHOWN], truth[:SHOWN], to),
    }


def held_out(settings: TrainSettings) -> Twins:
    """Draw the slices that every method is tested on, of heads that none is trained on."""
    return twins(SCORED_SEED, TESTED, settings.network, settings.scale, settings.phantom_contrast)


TESTED = 128
"""Phantom slices that are tested."""


def real_base(data: Path | None) -> dict[str, Any]:
    if data is None:
        raise SystemExit(
            "error: the real dataset needs --data, the folder that holds brain-ct-mr and paired-ct-mr"
        )
    folder = data / "brain-ct-mr"
    names = {"ct": "trainA", "mr": "trainB", "val_ct": "valA", "val_mr": "valB"}
    # The pairs' MR is mostly T2; what an anchor asks for is known beforehand, as by any user.
    return {key: str(folder / name) for key, name in names.items()} | {"phantom_contrast": "t2"}


def real_tables(model: Model, settings: TrainSettings, data: Path | None, to: Modality) -> dict[str, Table]:
    assert data is not None
    pairs, found = data / "paired-ct-mr", {}
    for dataset, cases in CASES.items():
        table: Table = defaultdict(lambda: defaultdict(list))
        for path in sorted((pairs / "CT").glob("*.png")):
            if path.name[:2] in cases:
                for name, value in picture_scores(pairs, path.name, to, model).items():
                    table[name][path.name[:2]].append(value)
        found[dataset] = table
    return found


def picture_scores(pairs: Path, name: str, to: Modality, model: Model) -> dict[str, float]:
    """Score one picture and the baselines, with the MAE of the truth shifted by two pixels."""
    source, truth = (read_volume(pairs / FOLDERS[side] / name, modality=side) for side in (OTHER[to], to))
    made, _ = translate_volume(source, model, to)
    result = score_pair(made, truth, source=source, mean_image=mean_image(source, model, to))
    mask = head_mask([volume.values for volume in (truth, source, made)], [GREY] * 3)
    found = {
        f"{score} {of}".strip(): scored.get(score)
        for of, scored in {"": result.volume, **result.baselines}.items()
        for score in ("mae", "psnr", "ssim")
    }
    found |= {
        "mae matched": mae(matched(made.values, truth.values, mask), truth.values, mask),
        "mae floor": mae(np.roll(truth.values, 2, axis=0), truth.values, mask),
    }
    return {key: float(value) for key, value in found.items() if value is not None}


def real_anatomy(model: Model, settings: TrainSettings, to: Modality) -> dict[str, float]:
    sources = open_sources(settings, quiet=True).sources
    source, real = (sources[f"val_{side}"].fixed(TESTED) for side in (OTHER[to], to))
    return _appearance(model, source, real, translated(model, source, to), to)


DATASETS = {
    "phantom": Dataset(("phantom",), phantom_base, phantom_tables, phantom_anatomy),
    "real": Dataset(tuple(CASES), real_base, real_tables, real_anatomy),
}


def _appearance(model: Model, source: Tensor, real: Tensor, made: Tensor, to: Modality) -> dict[str, float]:
    """Measure the round trip from the source, and the look of translations beside real slices."""
    again = translated(model, made[:SHOWN], OTHER[to])
    seen = torch.maximum(again, source[:SHOWN]) > -0.94
    return {
        "cycle_mae": float((again - source[:SHOWN]).abs()[seen].mean()) * 127.5,
        "sliced_wasserstein": sliced_wasserstein(real, made),
        "checkerboard": checkerboard(real, made),
    }


def _spread(model: Model, source: Tensor, truth: Tensor, to: Modality) -> dict[str, float]:
    """Measure how well the spread of samples foresees errors; empty for a method without samples."""
    generator: nn.Module = model.translator(to)
    if not isinstance(generator, VariationalGenerator):
        return {}
    made, deviation = sampled(generator, source, SAMPLES)
    mask = torch.maximum(source, truth) > -0.94
    spread, errors, values = (
        slices[mask].double().numpy() * 127.5 for slices in (deviation, (made - truth).abs(), made)
    )
    return {
        "spread_area": sparsification(spread, errors),
        "spread_width": interval_width(spread, errors),
        "constant_width": interval_width(np.ones_like(errors), errors),
        "binned_width": interval_width(binned_spread(values, errors), errors),
    }


def _grey(slices: Tensor) -> NDArray[np.float32]:
    """Turn slices [B, 1, S, S] in [-1, 1] into pictures [B, S, S, 1]."""
    grey: NDArray[np.float32] = ((slices[:, 0, :, :, None] + 1) * 127.5).float().numpy()
    return grey
