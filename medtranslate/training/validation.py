"""What a model in training can do on slices that it is not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medtranslate.config import Modality, TrainSettings
from medtranslate.data import Source
from medtranslate.model import Generators
from medtranslate.networks import Posterior
from medtranslate.training.diagnostics import (
    VISIBLE,
    bone_brightness,
    linear_correlation,
    relative_size,
    target_likeness,
)
from medtranslate.training.latent import latent_scores
from medtranslate.training.synthetic_pairs import VALIDATION_SEED, anchor_slices

VALIDATION_SLICES = 32

_WAYS: tuple[tuple[Modality, Modality], ...] = (("ct", "mr"), ("mr", "ct"))


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        scores: by name.
        sheet: rows of slices, [height, width].
        posteriors: of the slices that were translated, by their modality.
    """

    scores: dict[str, float]
    sheet: NDArray[np.uint8]
    posteriors: dict[Modality, Posterior]


@torch.no_grad()
def validate(settings: TrainSettings, generators: Generators, sources: Mapping[str, Source]) -> Validation:
    """Cycle errors, latents and traps on validation slices, paired errors on phantom slices, and a picture.

    Where the settings name no validation images, phantom slices take their place. Errors are means over
    what is visible as a share of the range; `_ct` is what starts from a CT slice.
    """
    device = next(generators.parameters()).device
    # Whatever the anchor leaves out, heads that validate have it, so that runs can be compared.
    whole = replace(settings, anchor_lesions=True, anchor_skull_base=True)
    known = {
        key: value.to(device)
        for key, value in anchor_slices(whole, VALIDATION_SLICES, VALIDATION_SEED).items()
    }
    real: dict[Modality, Tensor] = {
        side: source.fixed(VALIDATION_SLICES).to(device)
        for side, _ in _WAYS
        if (source := sources.get(f"val_{side}"))
    }
    # A phantom of a translation's own contrast stands for the target that there is no image of.
    targets = {"ct": known["anchor_ct"], "mr": known["anchor_wanted"], **real}
    scores: dict[str, float] = {}
    rows: list[Tensor] = []
    posteriors: dict[Modality, Posterior] = {}
    to_ct, to_mr = generators.to_ct, generators.to_mr
    for side, other in _WAYS:
        there, back = (to_mr, to_ct) if side == "ct" else (to_ct, to_mr)
        seen = real.get(side, known[f"anchor_{side}"])
        made = there(seen)
        cycled = back(made.image).image
        ct, mr = (seen, made.image) if side == "ct" else (made.image, seen)
        found = {
            "cycle": _error(cycled, seen),
            "linear": linear_correlation(seen, made.image),
            "likeness": target_likeness(seen, made.image, targets[other]),
            "bone": bone_brightness(ct, mr, settings.scale),
            "size": _size(seen, made.image, other, known),
            **latent_scores(made.posterior),
        }
        scores |= {f"{name}_{side}": value for name, value in found.items()}
        posteriors[side] = made.posterior
        rows += [seen, made.image, cycled]
    fake_ct = to_ct(known["anchor_mr"]).image
    fake_mr = to_mr(known["anchor_ct"]).image
    scores["phantom_ct"] = _error(fake_ct, known["anchor_ct"])
    scores["phantom_mr"] = _error(fake_mr, known["anchor_wanted"])
    if "pair_ct" in sources:
        ct, mr = (sources[f"pair_{side}"].fixed(VALIDATION_SLICES).to(device) for side in ("ct", "mr"))
        paired_ct, paired_mr = to_ct(mr).image, to_mr(ct).image
        scores["truth_ct"], scores["truth_mr"] = _error(paired_ct, ct), _error(paired_mr, mr)
        rows += [mr, paired_ct, ct, paired_mr]
    rows += [known["anchor_mr"], fake_ct, known["anchor_ct"], fake_mr, known["anchor_wanted"]]
    return Validation(scores, _sheet(rows), posteriors)


def _size(source: Tensor, made: Tensor, to: Modality, known: Mapping[str, Tensor]) -> float:
    """How much larger heads become than a phantom's own; 1 where it cannot be told.

    A window that hides the scalp makes a true CT's head smaller than its MR's.
    """
    pair = known["anchor_ct"], known["anchor_mr"]
    found, true = relative_size(source, made, to), relative_size(*(pair if to == "mr" else pair[::-1]), to)
    return found / true if found and true else 1.0


def _error(made: Tensor, truth: Tensor) -> float:
    """Mean absolute error over what either shows, as a share of the range."""
    visible = torch.maximum(made, truth) > VISIBLE
    return float((made - truth).abs()[visible].mean() / 2)


def _sheet(rows: list[Tensor], columns: int = 12) -> NDArray[np.uint8]:
    """Rows of slices as one grey picture; a row of fewer slices ends in black."""
    first = [row[:columns, 0] for row in rows]
    filled = [functional.pad(row, (0, 0, 0, 0, 0, columns - len(row)), value=-1) for row in first]
    sheet = torch.cat([torch.cat(list(row), dim=1) for row in filled])
    return ((sheet.cpu().float().numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)
