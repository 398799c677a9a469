"""Measures how far translations are from the look of real slices of their modality, without pairs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 7
"""Of a patch, in pixels."""

PATCHES = 8_192
DIRECTIONS = 256


def sliced_wasserstein(real: Tensor, fake: Tensor, seed: int = 0) -> float:
    """Measure the distance between the patches of two sets of slices [B, 1, S, S] in [-1, 1].

    Patches are seen along random directions of unit length; along each, the first Wasserstein distance of two
    sets of as many numbers is the mean distance of those of equal rank (Rabin et al., "Wasserstein
    Barycenter and its Application to Texture Mixing", 2011; patches of 7 x 7 as in Karras et al.,
    "Progressive Growing of GANs", 2018). Patches that show nothing are left out.

    Returns:
        Mean over directions, in units of [-1, 1]; 0 for the same set of patches.
    """
    return apart(projected(real, seed), projected(fake, seed))


def projected(slices: Tensor, seed: int = 0) -> Tensor:
    """Project the patches of a set onto the directions, in rising order: [DIRECTIONS, PATCHES]."""
    directions = torch.randn(SIDE**2, DIRECTIONS, generator=torch.Generator().manual_seed(seed))
    directions /= directions.norm(dim=0)
    # The same places are drawn in every set, so that equal sets have distance zero.
    patches = _patches(slices, torch.Generator().manual_seed(seed))
    return (directions.T @ patches.T).sort(dim=1).values


def apart(real: Tensor, fake: Tensor) -> float:
    """Average the distance of two sets of projections."""
    return float((real - fake).abs().mean())


def _patches(slices: Tensor, random: torch.Generator) -> Tensor:
    """Draw patches [PATCHES, SIDE^2] with replacement, from those that show something if any do."""
    every = slices[:, 0].float().unfold(1, SIDE, 1).unfold(2, SIDE, 1)
    # The patches are views: of all there are, only those that are drawn are copied.
    shown = functional.max_pool2d(slices[:, 0].float(), SIDE, stride=1) > -0.94
    places = (shown if shown.any() else torch.ones_like(shown)).nonzero()
    drawn = places[torch.randint(len(places), (PATCHES,), generator=random)]
    return every[tuple(drawn.T)].reshape(-1, SIDE**2)


def checkerboard(real: Tensor, fake: Tensor) -> float:
    """Compare the energy at the frequencies of upsampling with that of real slices [B, 1, S, S].

    Doubling the resolution leaves its pattern with a period of two pixels, doubling it twice one of four
    too (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016): a half and a quarter of a cycle per
    pixel along either axis or both. A pattern that follows the image is spread a little around these, so
    what lies within 1/32 of a cycle counts.
    """
    energies = []
    for slices in (real, fake):
        images = slices.float() - slices.float().mean(dim=(2, 3), keepdim=True)
        power = torch.fft.fft2(images).abs().square().mean(dim=(0, 1))
        energies.append(float(power[_upsampling(power.shape[-1])].mean()))
    return energies[1] / energies[0]


def _upsampling(size: int) -> Tensor:
    """Mark the frequencies [size, size] that are near those of upsampling."""
    places = torch.fft.fftfreq(size).abs()
    near = [(places - centre).abs() <= 1 / 32 for centre in (0.0, 0.25, 0.5)]
    steep = near[1] | near[2]
    mask: Tensor = (steep[:, None] & (steep | near[0])) | (near[0][:, None] & steep)
    return mask
