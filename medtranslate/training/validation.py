"""What a model in training can do on slices that it is not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from medtranslate.config import TrainSettings
from medtranslate.data import Source
from medtranslate.losses import kl_map
from medtranslate.model import Generators
from medtranslate.networks import Posterior
from medtranslate.training.batches import VALIDATION_SEED, anchor_slices

VALIDATION_SLICES = 32


@torch.no_grad()
def validate(
    settings: TrainSettings, generators: Generators, sources: dict[str, Source], picture: Path
) -> dict[str, float]:
    """Cycle errors and latents on validation slices, paired errors on phantom slices, and a picture.

    Errors are means over the frame as a share of the range.
    """
    device = next(generators.parameters()).device
    scores: dict[str, float] = {}
    rows: list[Tensor] = []
    for key, there, back in (
        ("val_ct", generators.to_mr, generators.to_ct),
        ("val_mr", generators.to_ct, generators.to_mr),
    ):
        if key not in sources:
            continue
        real = sources[key].fixed(VALIDATION_SLICES).to(device)
        made = there(real)
        cycled = back(made.image).image
        scores[f"cycle_{key[4:]}"] = _error(cycled, real)
        scores |= {f"{name}_{key[4:]}": value for name, value in latent_scores(made.posterior).items()}
        rows += [real, made.image, cycled]
    known = {
        key: value.to(device)
        for key, value in anchor_slices(settings, VALIDATION_SLICES, VALIDATION_SEED).items()
    }
    fake_ct = generators.to_ct(known["anchor_mr"]).image
    fake_mr = generators.to_mr(known["anchor_ct"]).image
    scores["phantom_ct"] = _error(fake_ct, known["anchor_ct"])
    scores["phantom_mr"] = _error(fake_mr, known["anchor_wanted"])
    rows += [known["anchor_mr"], fake_ct, known["anchor_ct"], fake_mr, known["anchor_wanted"]]
    _picture(rows, picture)
    return scores


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


def _picture(rows: list[Tensor], path: Path, columns: int = 12) -> None:
    sheet = torch.cat([torch.cat(list(row[:columns, 0]), dim=1) for row in rows])
    Image.fromarray(((sheet.cpu().float().numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)).save(path)
