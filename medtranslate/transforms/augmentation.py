"""The additional copy of each sample."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import AugmentSettings, Modality
from medtranslate.transforms.intensity import AIR


def augment(
    slices: Tensor, modality: Modality, settings: AugmentSettings, generator: torch.Generator
) -> Tensor:
    """Each slice [B, 1, S, S] rotated, scaled, shifted and mirrored at random; MR contrast bent.

    Random numbers are drawn on the CPU, so that a seed means the same on every device.
    """
    count = slices.shape[0]

    def uniform(bound: float) -> Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * bound

    angle = torch.deg2rad(uniform(settings.degrees))
    zoom = torch.exp(uniform(float(np.log1p(settings.scale))))
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    cosine, sine = zoom * torch.cos(angle), zoom * torch.sin(angle)
    rows = [
        torch.stack([mirror * cosine, -sine, uniform(2 * settings.shift)], dim=1),
        torch.stack([mirror * sine, cosine, uniform(2 * settings.shift)], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(slices.device)
    grid = functional.affine_grid(theta, list(slices.shape), align_corners=False)
    # Sampling pads with zeros, so air is moved to zero for it.
    moved = functional.grid_sample(slices - AIR, grid, align_corners=False) + AIR
    if modality == "mr":
        gamma = torch.exp(uniform(settings.mr_gamma)).to(slices.device).reshape(-1, 1, 1, 1)
        moved = 2 * ((moved + 1) / 2).clamp(0, 1) ** gamma - 1
    return moved
