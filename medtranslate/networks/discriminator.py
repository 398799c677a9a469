"""The multi-scale discriminator with independent derivatives.

Stages f1 ... fL each halve the resolution, f(k+1) = stage(f(k)). A head behind every stage scores real
against fake, pixel by pixel of that stage:

    head L judges f(L)
    head k < L judges adjust(f(k), stopgrad(up(f(L))))

So the deepest features, which depend on the whole head, scale and shift the earlier ones before
these are judged, and the derivatives of each head stay separate: head k changes stages 1 ... k and the
image, and never a stage deeper than k. With kernel 5 every head judges a pixel with its
neighbours. There are no batch statistics (instance normalisation), so a slice's scores do not
depend on its batch.
"""

from __future__ import annotations

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn
from torch.nn import functional

from medtranslate.config import NetworkSettings
from medtranslate.networks.generator import coordinates


class MultiScaleDiscriminator(nn.Module):
    """Judges slices [B, 1, S, S] in [-1, 1] by one map of scores [B, 1, h, w] per head, shallow first."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels = settings.discriminator_channels
        self.coordinates = settings.coordinates
        self.independent = settings.independent
        inputs = (1 + 2 * settings.coordinates, *channels[:-1])
        self.stages = nn.ModuleList(
            _stage(before, after, first=k == 0, last=k == len(channels) - 1)
            for k, (before, after) in enumerate(zip(inputs, channels, strict=True))
        )
        self.judged = range(len(channels)) if settings.heads == "all" else [len(channels) - 1]
        self.heads = nn.ModuleDict(
            {str(k): nn.Conv2d(channels[k], 1, kernel_size=5, padding=2) for k in self.judged}
        )
        self.adjustments = nn.ModuleDict(
            {
                str(k): nn.Conv2d(channels[-1], 2 * channels[k], kernel_size=1)
                for k in self.judged
                if settings.adjustment and k < len(channels) - 1
            }
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        flow = torch.cat([image, coordinates(image)], dim=1) if self.coordinates else image
        for stage in self.stages:
            flow = stage(flow)
            features.append(flow)
        return [self.heads[str(k)](self._adjusted(features, k)) for k in self.judged]

    def _adjusted(self, features: list[Tensor], k: int) -> Tensor:
        if str(k) not in self.adjustments:
            return features[k]
        deepest = features[-1].detach() if self.independent else features[-1]
        # A 1 x 1 convolution and the interpolation commute, and at the deepest stage it costs least.
        adjustment = functional.interpolate(
            self.adjustments[str(k)](deepest), features[k].shape[-2:], mode="bilinear"
        )
        scale, shift = adjustment.chunk(2, dim=1)
        return features[k] * (1 + scale) + shift


def _stage(before: int, after: int, *, first: bool, last: bool) -> nn.Sequential:
    """Halve the resolution; the last stage is deeper, for features of the whole picture."""
    norm = None if first else "INSTANCE"
    act = ("LEAKYRELU", {"negative_slope": 0.2})
    layers = [Convolution(2, before, after, strides=2, kernel_size=4, padding=1, norm=norm, act=act)]
    if last:
        layers.append(Convolution(2, after, after, kernel_size=3, norm="INSTANCE", act=act))
    return nn.Sequential(*layers)
