"""Augmentation of training slices, of the copy of each sample and of the anchor's slices."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import AugmentSettings, Modality
from medtranslate.transforms.intensity import AIR, scale_ct, unscale_ct

DISTANT = (1.5, 5.0)
"""Least and largest factor by which a distant slice is smaller."""

_SHADING, _SURFACE, _BLACK, _BEND, _WHITE, _GAIN = 0.3, 1.5, 0.1, 0.6, 0.35, 0.7
"""Largest shading of coils (share), gain of surface coils at the frame's edge, black level, |log gamma|, log
gain of a window that saturates bright tissue, and |log gain| of an MR that is asked for."""

_OTHER_LEVEL, _BLACK_AREA = 1 / 6, 5
"""Largest change of the level of a picture's window, in halves of the width of the scale's (10 HU of 60), and
pixels a side of an area that is air where it is black."""

_NONE = 1e-3
"""Share of the largest blur that changes nothing."""

_COARSEST = 3.0
"""Largest pixel of a coarse MR, in pixels of its slice."""


def augment(
    slices: Tensor, modality: Modality, settings: AugmentSettings, generator: torch.Generator
) -> Tensor:
    """Rotate, scale, shift and mirror each slice [B, C, S, S] at random; bend the contrast of an MR.

    Channels are neighbours, and move together.
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
    """Show each CT slice [B, C, S, S] in [-1, 1] in another, random window of HU.

    Voxels that the first window saturates stay black or white.

    Args:
        largest: change of the width (|log|), and of the level as a share of the width.
    """
    count = len(slices)
    width, level = (2 * torch.rand(2, count, 1, 1, 1, generator=generator) - 1) * largest
    bend = torch.stack([torch.exp(-width), 2 * level]).to(slices.device, non_blocking=True)
    return torch.where(slices.abs() < 1 - 1e-3, (slices * bend[0] - bend[1]).clamp(-1, 1), slices)


def read_from_narrower(slices: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Show half of the CT slices [B, C, S, S] in [-1, 1] as read from pictures in a narrower window.

    What is black or white there has lost its HU (`translation.picture_window`): white becomes 1, black -1
    where an area is black, and else the HU of black.

    Args:
        largest: |log| by which the window is narrower; its level differs, too.
    """
    width, level, whole = torch.rand(3, len(slices), 1, 1, 1, generator=generator)
    half = torch.exp(-largest * width) + (whole < 0.5) * 2.0
    ends = torch.stack([_OTHER_LEVEL * (2 * level - 1) - half, _OTHER_LEVEL * (2 * level - 1) + half])
    black, white = ends.to(slices.device, non_blocking=True)
    below = (slices <= black).to(slices.dtype)
    reach = _BLACK_AREA // 2
    kept = -functional.max_pool2d(-functional.pad(below, (reach,) * 4, value=1.0), _BLACK_AREA, stride=1)
    area = functional.max_pool2d(kept, _BLACK_AREA, stride=1, padding=reach) > 0
    read = torch.where(area, -1.0, torch.maximum(slices, black))
    return torch.where(slices >= white, 1.0, read)


def shown_otherwise(
    slices: Tensor, brightness: Tensor, strength: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Show MR slices [B, C, S, S] in [-1, 1] as other coils, matrices and screens would.

    Each is shaded smoothly, half of them are brighter towards the edge of the frame (surface coils), a third
    is coarser, and all have another window (black level, saturation) and another gamma.

    Args:
        brightness: of tissues in each slice, [B, tissues] in [-1, 1].
        strength: 0 for no change, 1 for all that pictures of patients have.

    Returns:
        The slices, and the brightness of the tissues in them.
    """
    count, _, side, _ = slices.shape

    def drawn(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator).to(slices.device, non_blocking=True)

    def of_some(share: float) -> Tensor:
        return (drawn(1, 1, 1) < share).to(slices.dtype) * strength

    share = (slices + 1) / 2
    pixel = _COARSEST ** float(torch.rand((), generator=generator))
    small = functional.interpolate(share, (max(16, round(side / pixel)),) * 2, mode="area")
    coarse = functional.interpolate(small, (side, side), mode="bilinear", align_corners=False)
    share = torch.where(drawn(1, 1, 1) < strength / 3, coarse, share)
    smooth = _smooth(drawn(1, 4, 4), side)
    steps = torch.linspace(-1, 1, side, device=slices.device, dtype=slices.dtype)
    distance = steps[:, None].square() + steps[None, :].square()
    gain = torch.exp(_SHADING * strength * drawn(1, 1, 1) * smooth)
    gain = gain * (1 + _SURFACE * of_some(0.5) * drawn(1, 1, 1) * distance)
    usual = (share * gain).sum(dim=(1, 2, 3), keepdim=True)
    usual = usual / share.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
    share = share * gain
    # A picture is as bright as before where it is brightest, but for a window that saturates.
    top = share.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
    white = torch.exp(_WHITE * of_some(0.5) * drawn(1, 1, 1)) / top
    black = _BLACK * of_some(0.5) * drawn(1, 1, 1)
    bend = torch.exp(_BEND * strength * (2 * drawn(1, 1, 1) - 1))

    def windowed(share: Tensor) -> Tensor:
        return 2 * ((share * white - black) / (1 - black)).clamp(0, 1) ** bend - 1

    tissues = (brightness.to(slices.device, slices.dtype)[:, :, None, None] + 1) / 2
    return windowed(share), windowed(tissues * usual).flatten(1)


def _smooth(cells: Tensor, side: int) -> Tensor:
    """Spread random numbers [B, 1, cells, cells] from 0 to 1 smoothly over slices, from -1 to 1."""
    return functional.interpolate(2 * cells - 1, (side, side), mode="bicubic", align_corners=True)


def in_other_units(
    slices: Tensor, brightness: Tensor, strength: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Bend MR slices [B, 1, S, S] in [-1, 1] and the brightness of their tissues [B, tissues] alike.

    Args:
        strength: 0 for no change, 1 for a gain between a half and two and a |log gamma| of up to `_BEND`.
    """
    change = strength * (2 * torch.rand(2, len(slices), 1, 1, 1, generator=generator) - 1)
    gain, bend = torch.exp(change * torch.tensor([_GAIN, _BEND]).reshape(2, 1, 1, 1, 1)).to(
        slices.device, non_blocking=True
    )
    tissues = brightness.to(slices.device, slices.dtype)[:, :, None, None]
    made, told = (2 * ((image + 1) / 2 * gain).clamp(0, 1) ** bend - 1 for image in (slices, tissues))
    return made, told.flatten(1)


def soft_ct(slices: Tensor, largest: float, curve: tuple[float, ...], generator: torch.Generator) -> Tensor:
    """Blur half of the CT slices [B, C, S, S] in [-1, 1], as a smooth kernel and resampling do.

    Args:
        largest: sigma in pixels of 256; a blurred slice has two fifths of it, or more.
        curve: of the scale; the mean is one of HU.
    """
    count, channels, side, _ = slices.shape
    blurred, share = torch.rand(2, count, 1, generator=generator)
    sigma = largest * side / 256 * torch.where(blurred < 0.5, 0.4 + 0.6 * share, _NONE)
    reach = math.ceil(3 * largest * side / 256)
    steps = torch.arange(-reach, reach + 1)
    kernel = torch.softmax(-((steps / sigma) ** 2) / 2, dim=1).repeat_interleave(channels, 0)
    kernel = kernel.to(slices.device, non_blocking=True)[:, None, None]
    made = functional.pad(
        unscale_ct(slices.clone(), curve).reshape(1, -1, side, side), (reach,) * 4, mode="replicate"
    )
    for across in (kernel, kernel.transpose(2, 3)):
        made = functional.conv2d(made, across, groups=count * channels)
    return scale_ct(made.reshape(slices.shape), curve)


def noisy_ct(slices: Tensor, largest: float, curve: tuple[float, ...], generator: torch.Generator) -> Tensor:
    """Add noise to CT slices [B, C, S, S] in [-1, 1], which neighbours share in part.

    Args:
        largest: its standard deviation in HU; each slice has from a tenth of it to all, evenly in its log.
        curve: of the scale.
    """
    count, channels, side, _ = slices.shape
    spread = largest * 10 ** (torch.rand(count, 1, 1, 1, generator=generator) - 1)
    noise = torch.randn(count, channels, side + 1, side + 1, generator=generator).to(
        slices.device, non_blocking=True
    )
    # The mean of four has half their spread.
    noise = functional.avg_pool2d(noise, 2, stride=1) * 2 * spread.to(slices.device, non_blocking=True)
    return scale_ct(unscale_ct(slices.clone(), curve) + noise, curve)


def shaded_ct(slices: Tensor, largest: float, curve: tuple[float, ...], generator: torch.Generator) -> Tensor:
    """Add smooth errors to CT slices [B, C, S, S] in [-1, 1], as beam hardening and calibration cause.

    Args:
        largest: in HU, of a slice as a whole; once more of places in it.
        curve: of the scale.
    """
    count, side = len(slices), slices.shape[-1]
    level = 2 * torch.rand(count, 1, 1, 1, generator=generator) - 1
    places = _smooth(torch.rand(count, 1, 4, 4, generator=generator), side)
    error = largest * (level + places * torch.rand(count, 1, 1, 1, generator=generator))
    return scale_ct(unscale_ct(slices.clone(), curve) + error.to(slices.device, non_blocking=True), curve)
