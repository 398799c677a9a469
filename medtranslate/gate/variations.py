"""Random changes of the pictures that a gate learns from: rotations, and changes that keep their kind."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import AugmentSettings
from medtranslate.networks import KINDS, MODALITIES
from medtranslate.transforms import augment

LYING = 0.3
"""Share of the heads in a batch that are rotated."""

SMALLER = (0.35, 1.35)
"""Share of the pictures that become smaller than their frame, and the largest factor."""

COPIES = 4
"""Moved copies of each slice that is held back."""

_STILL = AugmentSettings(distant=0.0, degrees=15.0, scale=0.12, shift=0.05, mr_gamma=0.4)

_COPY = AugmentSettings(distant=0.0, degrees=5.0, scale=0.04, shift=0.02)


def rotate_some(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rotate some of the heads by 90, 180 or 270 degrees, and label them so."""
    quarters = torch.tensor((1, 2, 2, 3))[torch.randint(4, (len(images),), generator=generator)]
    lying = (torch.rand(len(images), generator=generator) < LYING) & (labels < len(MODALITIES))
    images = images.clone()
    for count in (1, 2, 3):
        which = lying & (quarters == count)
        images[which] = images[which].rot90(count, (2, 3))
    return images, torch.where(lying, KINDS.index("turned"), labels)


def vary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move, mirror and change contrast, noise and sharpness a little, which keeps the kind of a picture."""
    moved = _shrink_some(augment(images, "mr", _STILL, generator), generator)
    soft = torch.rand(len(images), generator=generator) < 0.25
    moved[soft] = functional.avg_pool2d(functional.pad(moved[soft], (1, 1, 1, 1), mode="replicate"), 3, 1)
    grain = torch.rand(len(images), generator=generator) < 0.5
    level = 0.1 * torch.rand(int(grain.sum()), 1, 1, 1, generator=generator) ** 2
    moved[grain] += level * torch.randn(moved[grain].shape, generator=generator)
    return moved.clamp(-1, 1)


def _shrink_some(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shrink some images in their frame: the slices of a volume share one frame, so most are smaller."""
    some = torch.rand(len(images), generator=generator) < SMALLER[0]
    zoom = torch.where(some, 1 + (SMALLER[1] - 1) * torch.rand(len(images), generator=generator), 1.0)
    theta = zoom.reshape(-1, 1, 1) * torch.eye(2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images + 1, grid, align_corners=False) - 1


def add_copies(slices: Tensor, seed: int) -> Tensor:
    """Append copies that are slightly moved."""
    generator = torch.Generator().manual_seed(seed + 2)
    return torch.cat([slices, *(augment(slices, "ct", _COPY, generator) for _ in range(COPIES))])
