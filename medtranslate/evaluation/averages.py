"""Means over many results, and the cases that represent them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from medtranslate.records import Evaluation, Scores, Tissue
from medtranslate.runtime import gathered


def mean_scores(scores: Iterable[Scores]) -> Scores:
    """Average each score over those that have it.

    The infinite PSNR of equal images counts only where all are equal: one would drown the others.
    """
    listed = list(scores)

    def mean(values: list[float]) -> float:
        known = [value for value in values if math.isfinite(value)] or values
        return sum(known) / len(known)

    names = dict.fromkeys(name for scores in listed for name in scores)
    return {name: mean([scores[name] for scores in listed if name in scores]) for name in names}


def mean_baselines(items: Sequence[Evaluation]) -> dict[str, Scores]:
    """Mean of each baseline over the items that have it."""
    names = dict.fromkeys(name for item in items for name in item.baselines)
    return {
        name: mean_scores(item.baselines[name] for item in items if name in item.baselines) for name in names
    }


def mean_tissues(items: Sequence[Evaluation]) -> dict[str, Tissue]:
    """Mean of each tissue's share, error and overlap over the items that have them."""

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    found = {}
    for name in dict.fromkeys(name for item in items for name in item.tissues):
        tissues = [item.tissues[name] for item in items if name in item.tissues]
        found[name] = Tissue(
            range_hu=tissues[0].range_hu,
            share=sum(tissue.share for tissue in tissues) / len(tissues),
            mae=mean(tissue.mae for tissue in tissues),
            me=mean(tissue.me for tissue in tissues),
            rmse=mean(tissue.rmse for tissue in tissues),
            dice=mean(tissue.dice for tissue in tissues),
            representable=all(tissue.representable for tissue in tissues),
            saturated=any(tissue.saturated for tissue in tissues),
        )
    return found


def representative_cases(items: Iterable[Evaluation]) -> list[str]:
    """Names of the best, the median and the worst item by MAE."""
    ranked = [name for _, name in sorted((item.volume["mae"], item.name) for item in items if item.volume)]
    return list(dict.fromkeys(ranked[:1] + ranked[len(ranked) // 2 :][:1] + ranked[-1:]))


def gathered_warnings(items: Sequence[Evaluation]) -> list[str]:
    """Gather warnings, each text once, with the items that it is of."""
    return gathered({item.name: item.warnings for item in items}, "images")


def summarise(items: Sequence[Evaluation]) -> dict[str, Any]:
    """Compute the fields that `Cohort` and `Cycle` share: means and gathered warnings."""
    return {
        "items": list(items),
        "mean": mean_scores(item.volume for item in items),
        "baselines": mean_baselines(items),
        "tissues": mean_tissues(items),
        "warnings": gathered_warnings(items),
    }
