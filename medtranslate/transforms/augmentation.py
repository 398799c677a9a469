"""Augmentation of training slices, of the copy of each sample and of the anchor's slices."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import AugmentSettings, Modality
from medtranslate.transforms.intensity import AIR

DISTANT = (1.5, 5.0)
"""Least and largest factor by which a distant slice is smaller."""


def augment(
    slices: Tensor, modality: Modality, settings: AugmentSettings, generator: torch.Generator
) -> Tensor:
    """Rotate, scale, shift and mirror each slice [B, 1, S, S] at random; bend the contrast of an MR.

    A share of the slices, `settings.distant`, becomes smaller by `DISTANT`, like slices near the vertex in
    the frame of their volume. Random numbers are drawn on the CPU, so that a seed gives the same result on
    every device.
    """
    count = slices.shape[0]

    def uniform(bound: float) -> Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * bound

    angle = torch.deg2rad(uniform(settings.degrees))
    zoom = torch.exp(uniform(float(np.log1p(settings.scale))))
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    far, share = torch.rand(2, count, generator=generator)
    nearest, farthest = DISTANT
    zoom = torch.where(share < settings.distant, nearest * (farthest / nearest) ** far, zoom)
    cosine, sine = zoom * torch.cos(angle), zoom * torch.sin(angle)
    rows = [
        torch.stack([mirror * cosine, -sine, uniform(2 * settings.shift)], dim=1),
        torch.stack([mirror * sine, cosine, uniform(2 * settings.shift)], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(slices.device, non_blocking=True)
    grid = functional.affine_grid(theta, list(slices.shape), align_corners=False)
    # Sampling pads with zeros, so air is moved to zero for it.
    moved = functional.grid_sample(slices - AIR, grid, align_corners=False) + AIR
    if modality == "mr":
        bend = torch.exp(uniform(settings.mr_gamma)).to(slices.device, non_blocking=True)
        moved = 2 * ((moved + 1) / 2).clamp(0, 1) ** bend.reshape(-1, 1, 1, 1) - 1
    return moved


def other_window(slices: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Show each CT slice [B, 1, S, S] in [-1, 1] in another, random window of HU.

    Voxels that the first window saturates stay black or white.

    Args:
        largest: change of the width (|log|), and of the level as a share of the width.
    """
    count = len(slices)
    width, level = (2 * torch.rand(2, count, 1, 1, 1, generator=generator) - 1) * largest
    bend = torch.stack([torch.exp(-width), 2 * level]).to(slices.device, non_blocking=True)
    return torch.where(slices.abs() < 1 - 1e-3, (slices * bend[0] - bend[1]).clamp(-1, 1), slices)
