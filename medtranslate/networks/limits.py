"""Error limits: how far each pixel of a translation may be from the truth, as a network estimates it.

    features of encoder and decoder --> context, at their resolution --+
    slice and translation --2 x 2--------------------------------------+--> ln(limit)

The spread of the posterior's samples shows some errors. Others come before it, such as those of a dark spot
in T1, which may be oedema or a bleeding. They can be learnt where the truth is known (Kendall and Gal, "What
uncertainties do we need in Bayesian deep learning for computer vision?", NeurIPS 2017), here as a quantile
(`losses.limit`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtranslate.config import NetworkSettings
from medtranslate.networks.blocks import Convolution

_CONTEXT, _NEAR = 32, 24
"""Widths of the layers that see the anatomy, and of those that see pixels."""

_FIRST_LIMIT = -3.0
"""ln(limit) before training."""


class Limits(nn.Module):
    """Estimates ln(limit) of each pixel of a translation, where both are in [-1, 1].

    No gradient goes back from it: training it changes no translation.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.context = nn.Sequential(Convolution(2 * settings.channels[0], _CONTEXT), nn.SiLU())
        self.pixels = nn.Sequential(
            Convolution(_CONTEXT + 4 * (settings.shown + 1), _NEAR),
            nn.SiLU(),
            Convolution(_NEAR, _NEAR),
            nn.SiLU(),
            Convolution(_NEAR, 4),
        )

    def forward(self, image: Tensor, made: Tensor, encoded: Tensor, decoded: Tensor) -> Tensor:
        """Estimate [B, 1, S, S].

        Args:
            image: slices that were translated, [B, shown, S, S].
            made: their translations, [B, 1, S, S].
            encoded, decoded: features of the generator, [B, channels, S / fold, S / fold].
        """
        known = torch.cat([encoded, decoded.to(encoded.dtype)], dim=1).detach()
        pixels = functional.pixel_unshuffle(torch.cat([image, made.to(image.dtype)], dim=1).detach(), 2)
        context = functional.interpolate(self.context(known), pixels.shape[2:], mode="bilinear")
        found = self.pixels(torch.cat([context.to(pixels.dtype), pixels], dim=1))
        return functional.pixel_shuffle(found, 2).float() + _FIRST_LIMIT
