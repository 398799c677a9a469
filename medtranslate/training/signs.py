"""Signs that a run is failing, read from the scores of a validation.

Cycle error falls nicely in each of these failures; that is why they have signs of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

COLLAPSED_KL = 0.05
"""KL per latent element, in nats, below which a posterior says next to nothing of its slice: that of
means spread by 0.3 around zero at sigma = 1. A run starts at 1.3 (a sure posterior), healthy ones stay
between 1.3 and 1.9."""

ACTIVE_SHARE = 1 / 8
"""Share of active channels up to which a posterior counts as collapsed; healthy runs use all of them."""

IDENTITY = 0.9
"""|Correlation| of source and translation from which a translation is its source in other grey values:
four fifths of its variance are a linear function of the source. A phantom's true CT and MR correlate by
0.1 to 0.35, translations of healthy models by 0.1 to 0.55."""

VICTORY = 0.05
"""Mean loss below which the discriminators tell every real slice from every translation: heads are within
0.16 of their targets. Judges who can't tell stand at 0.5; over 100 steps healthy runs stay within 0.36 and
0.52."""

WINDOW = 100
"""Steps over which the discriminators' loss is averaged."""


def signs(scores: Mapping[str, float], latent_channels: int) -> dict[str, str]:
    """What fails, by name: one line each, with its numbers and a remedy.

    Args:
        scores: of one validation. `kl_SIDE`, `active_SIDE` and `linear_SIDE` for each SIDE that is
            translated; `discriminator` where there are discriminators.
        latent_channels: of the generators.
    """
    found = {}
    for side in (name.removeprefix("kl_") for name in scores if name.startswith("kl_")):
        kl, active, linear = (scores[f"{name}_{side}"] for name in ("kl", "active", "linear"))
        if collapsed(kl, active, latent_channels):
            found[f"collapsed_{side}"] = (
                f"the posterior of {side} slices has collapsed: KL {kl:.3g} per element (healthy above"
                f" {COLLAPSED_KL}), {active:.0f} of {latent_channels} channels active;"
                " train with a lower --loss.kl or a longer --loss.warmup"
            )
        if near_identity(linear):
            found[f"identity_{side}"] = (
                f"translations of {side} slices are their source in other grey values: correlation"
                f" {linear:.3f} (healthy below {IDENTITY}); train with lower --loss.identity and"
                " --loss.cycle, or a higher --loss.anchor"
            )
    if discriminators_won(scores.get("discriminator", 0.5)):
        found["discriminators_won"] = (
            f"the discriminators tell every translation: mean loss {scores['discriminator']:.3g} over the"
            f" last {WINDOW} steps (healthy above {VICTORY}, 0.5 when they can't tell); train with a lower"
            " --discriminator-rate or a higher --loss.adversarial"
        )
    return found


def collapsed(kl: float, active: float, latent_channels: int) -> bool:
    """Whether a posterior carries nothing: it is the prior, or hardly a channel moves with the slice."""
    return kl < COLLAPSED_KL or active <= ACTIVE_SHARE * latent_channels


def near_identity(linear: float) -> bool:
    """Whether a translation is its source after a linear map, as a strong identity or cycle term makes it."""
    return linear > IDENTITY


def discriminators_won(loss: float) -> bool:
    """Whether the discriminators separate real and fake so fully that generators learn nothing from them."""
    return loss < VICTORY


def linear_correlation(source: Tensor, made: Tensor) -> float:
    """|Correlation| of two sets of slices where the source shows something, 0 where either is constant.

    It is the correlation of `made` with the linear map of `source` that comes closest to it.
    """
    seen = source > -0.94
    pair = torch.stack([source[seen], made[seen]]).double()
    spread = (pair - pair.mean(dim=1, keepdim=True)) / pair.shape[1] ** 0.5
    variance, covariance = spread.square().sum(dim=1), (spread[0] * spread[1]).sum()
    return float(covariance.abs() / variance.prod().sqrt()) if variance.min() > 1e-8 else 0.0
