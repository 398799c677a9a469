"""Validation: scores and pictures of a model in training, on slices that it is not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from medtranslate.config import Modality, ScaleSettings, TrainSettings
from medtranslate.data import Source
from medtranslate.model import Generators
from medtranslate.networks import Generated, Posterior
from medtranslate.training.diagnostics import (
    VISIBLE,
    bone_brightness,
    linear_correlation,
    relative_size,
    target_likeness,
)
from medtranslate.training.latent import latent_scores
from medtranslate.training.pictures import Row
from medtranslate.training.synthetic_pairs import VALIDATION_SEED, anchor_slices

VALIDATION_SLICES = 32

_DIRECTIONS: tuple[tuple[Modality, Modality], ...] = (("ct", "mr"), ("mr", "ct"))


@dataclass(frozen=True)
class Validation:
    """Results of a validation.

    Attributes:
        scores: by name.
        rows: pictures of sources, translations and truths.
        posteriors: of the slices that were translated, by their modality.
    """

    scores: dict[str, float]
    rows: list[Row]
    posteriors: dict[Modality, Posterior]


@torch.no_grad()
def validate(settings: TrainSettings, generators: Generators, sources: Mapping[str, Source]) -> Validation:
    """Score cycles, latents and traps on validation slices, and translations of slices whose truth is known.

    Where the settings name no validation images, digital heads take their place, or training slices if the
    anatomy is no head. `_ct` is of slices that start as CT; where the truth is known, of slices that become
    CT.
    """
    device = next(generators.parameters()).device
    known = _digital_heads(settings, device) if settings.anatomy == "head" else {}
    given = _given(sources, device, trained=settings.anatomy == "other")
    # A phantom of a translation's own contrast stands for the target that there is no image of.
    targets = {side: known[name] for side, name in (("ct", "anchor_ct"), ("mr", "anchor_wanted")) if known}
    targets |= {side: slices for side, (slices, _) in given.items()}
    told = known.get("anchor_told")
    results = Validation({}, [], {})
    for side, other in _DIRECTIONS:
        source, kind = given[side] if side in given else (known[f"anchor_{side}"], "digital head")
        there, back = (partial(_towards, generators, to, told) for to in (other, side))
        translated = there(source)
        cycled = back(translated.image).image
        scores = {
            "cycle": _error(cycled, source),
            "likeness": target_likeness(source, translated.image, targets[other]),
            **({"size": _size(source, translated.image, other, known)} if known else {}),
            "linear": linear_correlation(source, translated.image),
            **({"bone": _bone(side, source, translated.image, settings.scale)} if known else {}),
            **latent_scores(translated.posterior),
        }
        results.scores.update({f"{name}_{side}": value for name, value in scores.items()})
        results.posteriors[side] = translated.posterior
        a, b = side.upper(), other.upper()
        labels = f"{a}, {kind}", f"{a} to {b}", f"{a} to {b} to {a}"
        results.rows.extend(map(Row, labels, (source, translated.image, cycled)))
    if "pair_ct" in sources:
        ct, mr = (sources[f"pair_{side}"].fixed(VALIDATION_SLICES).to(device) for side in ("ct", "mr"))
        _score_pairs(results, "truth", generators, (ct, mr, mr), told)
    if known:
        images = known["anchor_ct"], known["anchor_mr"], known["anchor_wanted"]
        _score_pairs(results, "phantom", generators, images, told)
    return results


def _digital_heads(settings: TrainSettings, device: torch.device) -> dict[str, Tensor]:
    # Whatever the anchor leaves out, heads that validate have it, so that runs can be compared.
    whole = replace(settings, anchor_lesions=True, anchor_skull_base=True)
    slices = anchor_slices(whole, VALIDATION_SLICES, VALIDATION_SEED)
    return {key: value.to(device) for key, value in slices.items()}


def _given(
    sources: Mapping[str, Source], device: torch.device, *, trained: bool
) -> dict[Modality, tuple[Tensor, str]]:
    """Give the slices of each modality that are validated on, with a word for them.

    Args:
        trained: take training slices where there are no others.
    """
    found: dict[Modality, tuple[Tensor, str]] = {}
    for side, _ in _DIRECTIONS:
        kinds = {"validation": f"val_{side}", **({"training": side} if trained else {})}
        kind = next((kind for kind, key in kinds.items() if key in sources), None)
        if kind:
            found[side] = sources[kinds[kind]].fixed(VALIDATION_SLICES).to(device), kind
    return found


def _score_pairs(
    results: Validation,
    name: str,
    generators: Generators,
    images: tuple[Tensor, Tensor, Tensor],
    told: Tensor | None,
) -> None:
    """Add to a validation both translations of slices whose truth is known.

    Args:
        name: of the scores, before the modality that is made.
        images: CT, MR, and the MR in the contrast that the model is to make.
    """
    ct, mr, wanted = images
    made_ct = _towards(generators, "ct", told, mr).image
    made_mr = _towards(generators, "mr", told, ct).image
    results.scores[f"{name}_ct"], results.scores[f"{name}_mr"] = _error(made_ct, ct), _error(made_mr, wanted)
    kind = "digital head" if name == "phantom" else "validation pair"
    labels = f"MR, {kind}", "MR to CT", "true CT", "CT to MR", "true MR"
    results.rows.extend(map(Row, labels, (mr, made_ct, ct, made_mr, wanted)))


def _towards(generators: Generators, to: Modality, told: Tensor | None, slices: Tensor) -> Generated:
    """Translate slices; a generator of MR that is told brightness gets that of the digital heads in turn."""
    if to == "ct":
        made: Generated = generators.to_ct(slices)
    elif told is None:
        made = generators.to_mr(slices)
    else:
        made = generators.to_mr(slices, told.repeat(-(-len(slices) // len(told)), 1)[: len(slices)])
    return made


def _bone(side: Modality, source: Tensor, translated: Tensor, scale: ScaleSettings) -> float:
    """Measure how bright a slice and its translation show bone in the MR of the two."""
    ct, mr = (source, translated) if side == "ct" else (translated, source)
    return bone_brightness(ct, mr, scale)


def _size(source: Tensor, translated: Tensor, to: Modality, known: Mapping[str, Tensor]) -> float:
    """Measure by what factor heads grow, relative to a phantom's own; 1 where it cannot be told.

    A window that hides the scalp makes a true CT's head smaller than its MR's.
    """
    pair = known["anchor_ct"], known["anchor_mr"]
    size, true = (
        relative_size(source, translated, to),
        relative_size(*(pair if to == "mr" else pair[::-1]), to),
    )
    return size / true if size and true else 1.0


def _error(translated: Tensor, truth: Tensor) -> float:
    """Sum the absolute error over the pixels that either shows, for each that the truth shows.

    As a share of the range. A mean over the pixels of either would fall where a grey veil lies beside the
    head, since that adds many pixels of a small error.
    """
    shown = truth > VISIBLE
    either = shown | (translated > VISIBLE)
    return float((translated - truth).abs()[either].sum() / 2 / max(1, int(shown.sum())))
