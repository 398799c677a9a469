"""The input gate's network: what a framed slice shows, and how far its latent lies from those of training.

    slice --64 px--> convolutions --> ct | mr | turned | other view | no head
    posterior mean --pooled to 4 x 4--> Mahalanobis distance from the training slices' of the modality

The classes were learnt from wrong examples made out of right ones; the distance needs none, so that it also
answers for what nobody thought of (Lee et al., "A simple unified framework for detecting out-of-distribution
samples", NeurIPS 2018, use the same distance on features).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtranslate.config import Modality, NetworkSettings

KINDS = ("ct", "mr", "turned", "view", "other")
"""What a slice may show: an axial head in CT or MR, face up; one that is turned in its plane; a head cut in
another plane; anything else."""

SIDE = 64
"""Pixels along each side that the classifier sees."""

POOLED = 4
"""Cells along each side of a latent."""

HIGHEST = (0.0, -1.0)
"""A kind's limits (warned, refused) are no higher: what rather is what it is offered as passes, however sure
the classifier is of all others."""

CHANNELS = (16, 32, 64, 64)
"""Of the classifier's stages; each halves the resolution."""

MODALITIES: tuple[Modality, Modality] = ("ct", "mr")


class SliceGate(nn.Module):
    """Judges framed slices; all that it knows is in its state.

    Attributes:
        centre: mean pooled latent of each modality, [2, D].
        whiten: [2, D, D]; the length of `whiten @ (latent - centre)` is the Mahalanobis distance.
        limits: [2, len(KINDS), 2]: of each modality and kind, below which a ratio is warned of and refused.
        reach: [2, 2]: of each modality, above which a distance is.
    """

    centre: Tensor
    whiten: Tensor
    limits: Tensor
    reach: Tensor

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        stages = [_stage(before, after) for before, after in zip((1, *CHANNELS), CHANNELS, strict=False)]
        cells = (SIDE >> len(CHANNELS)) ** 2
        self.classifier = nn.Sequential(
            *stages, nn.Flatten(), nn.Dropout(0.2), nn.Linear(CHANNELS[-1] * cells, len(KINDS))
        )
        self.channels = settings.latent_channels
        size = self.channels * POOLED**2
        self.register_buffer("centre", torch.zeros(2, size))
        self.register_buffer("whiten", torch.zeros(2, size, size))
        self.register_buffer("limits", torch.zeros(2, len(KINDS), 2))
        self.register_buffer("reach", torch.zeros(2, 2))

    def forward(self, framed: Tensor) -> Tensor:
        """Log-probabilities [B, len(KINDS)] of slices [B, 1, S, S] in [-1, 1]."""
        # A verdict is the same in whatever precision the generators compute.
        with torch.autocast(framed.device.type, enabled=False):
            logits: Tensor = self.classifier(shrink(framed))
            return logits.log_softmax(dim=1)

    def distance(self, latent: Tensor, modality: Modality) -> Tensor:
        """Mahalanobis distances [B] of posterior means [B, latent, h, w], over the root of their length.

        The fine part of a latent is left out.
        """
        return self.distance_of(pooled(latent[:, : self.channels]), modality)

    def distance_of(self, vectors: Tensor, modality: Modality) -> Tensor:
        """Compute the same of latents [B, D] that are pooled already."""
        which = MODALITIES.index(modality)
        apart = (vectors - self.centre[which]) @ self.whiten[which].T
        return apart.square().mean(dim=1).sqrt()

    def ratios(self, framed: Tensor, modality: Modality) -> Tensor:
        """ln(p(modality) / p(kind)) of each kind, [B, len(KINDS)]: low where a slice rather is of that kind.

        A slice and its mirror image are seen together, for left and right are no matter in a head. How far it
        is turned is told by comparison: `turned` is what the slice has more than the same slice turned by 90,
        180 or 270 degrees at best, so that a slice that looks the same either way is near zero.
        """
        own, turned = KINDS.index(modality), KINDS.index("turned")
        ways = [self._ratios(framed.rot90(quarters, (2, 3)), own) for quarters in range(4)]
        found = ways[0].clone()
        found[:, turned] -= torch.stack([way[:, turned] for way in ways[1:]]).amax(dim=0)
        return found

    def _ratios(self, framed: Tensor, own: int) -> Tensor:
        seen = torch.logaddexp(self(framed), self(framed.flip(3)))
        return seen[:, own, None] - seen


def shrink(framed: Tensor) -> Tensor:
    """Slices [B, 1, S, S] at the classifier's size."""
    if framed.shape[-1] == SIDE:
        return framed.float()
    return functional.interpolate(framed.float(), (SIDE, SIDE), mode="bilinear", antialias=True)


def pooled(latent: Tensor) -> Tensor:
    """Posterior means [B, latent, h, w] as vectors [B, D]."""
    return functional.adaptive_avg_pool2d(latent.float(), POOLED).flatten(1)


def _stage(before: int, after: int) -> nn.Sequential:
    """Halve the resolution; the names are those of MONAI's `Convolution`, which gates were saved with."""
    follow = nn.Sequential(OrderedDict(N=nn.GroupNorm(4, after), A=nn.ReLU()))
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(before, after, 3, stride=2, padding=1), adn=follow))
