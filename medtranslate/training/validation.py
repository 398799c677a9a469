"""What a model in training can do on slices that it is not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medtranslate.config import TrainSettings
from medtranslate.data import Source
from medtranslate.losses import kl_map
from medtranslate.model import Generators
from medtranslate.networks import Posterior
from medtranslate.training.batches import VALIDATION_SEED, anchor_slices
from medtranslate.training.signs import linear_correlation

VALIDATION_SLICES = 32


@torch.no_grad()
def validate(
    settings: TrainSettings, generators: Generators, sources: Mapping[str, Source]
) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """Cycle errors and latents on validation slices, paired errors on phantom slices, and a picture.

    Where the settings name no validation images, phantom slices take their place. Errors are means over
    what is visible as a share of the range; `_ct` is what starts from a CT slice.
    """
    device = next(generators.parameters()).device
    scores: dict[str, float] = {}
    rows: list[Tensor] = []
    # Whatever the anchor leaves out, heads that validate have it, so that runs can be compared.
    whole = replace(settings, anchor_lesions=True, anchor_skull_base=True)
    known = {
        key: value.to(device)
        for key, value in anchor_slices(whole, VALIDATION_SLICES, VALIDATION_SEED).items()
    }
    for side, there, back in (
        ("ct", generators.to_mr, generators.to_ct),
        ("mr", generators.to_ct, generators.to_mr),
    ):
        source = sources.get(f"val_{side}")
        real = source.fixed(VALIDATION_SLICES).to(device) if source else known[f"anchor_{side}"]
        made = there(real)
        cycled = back(made.image).image
        scores[f"cycle_{side}"] = _error(cycled, real)
        scores[f"linear_{side}"] = linear_correlation(real, made.image)
        scores |= {f"{name}_{side}": value for name, value in latent_scores(made.posterior).items()}
        rows += [real, made.image, cycled]
    fake_ct = generators.to_ct(known["anchor_mr"]).image
    fake_mr = generators.to_mr(known["anchor_ct"]).image
    scores["phantom_ct"] = _error(fake_ct, known["anchor_ct"])
    scores["phantom_mr"] = _error(fake_mr, known["anchor_wanted"])
    rows += [known["anchor_mr"], fake_ct, known["anchor_ct"], fake_mr, known["anchor_wanted"]]
    return scores, _sheet(rows)


def latent_scores(posterior: Posterior) -> dict[str, float]:
    """Signs of a collapsed or ignored latent.

    Returns:
        kl: mean per latent element; active: channels whose mean varies by more than 0.01 over slices
        and places (Burda et al., 2016); aggregate_mean and aggregate_variance of the aggregated
        posterior, 0 and 1 where it is the prior.
    """
    mean, variance = posterior.mean, posterior.log_variance.exp()
    return {
        "kl": float(kl_map(posterior).mean()),
        "active": float((mean.var(dim=(0, 2, 3)) > 0.01).sum()),
        "aggregate_mean": float(mean.mean()),
        "aggregate_variance": float(mean.var() + variance.mean()),
    }


def _error(made: Tensor, truth: Tensor) -> float:
    """Mean absolute error over what either shows, as a share of the range."""
    visible = torch.maximum(made, truth) > -0.94
    return float((made - truth).abs()[visible].mean() / 2)


def _sheet(rows: list[Tensor], columns: int = 12) -> NDArray[np.uint8]:
    """Rows of slices as one grey picture; a row of fewer slices ends in black."""
    first = [row[:columns, 0] for row in rows]
    filled = [functional.pad(row, (0, 0, 0, 0, 0, columns - len(row)), value=-1) for row in first]
    sheet = torch.cat([torch.cat(list(row), dim=1) for row in filled])
    return ((sheet.cpu().float().numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)
