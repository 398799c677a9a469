"""The body of a generator: residual blocks around an hourglass, and the way out to full resolution."""

from __future__ import annotations

from torch import Tensor, nn

from medtranslate.config import NetworkSettings
from medtranslate.networks.blocks import GROUPS, AttentionBlock, Convolution, ResidualBlock

LAST = 4
"""Layers of `unfolding` behind the features of half the resolution."""


class Hourglass(nn.Module):
    """x + what is seen at half the resolution, and so on down the channels, with attention at the bottom.

    Args:
        channels: of x, and of each coarser level.
        blocks: residual blocks per level.
        attention: look at all places at once at the coarsest level.
    """

    def __init__(self, channels: tuple[int, ...], blocks: int, attention: bool) -> None:
        super().__init__()
        width, coarse, *deeper = channels
        layers: list[nn.Module] = [Convolution(width, coarse, stride=2), *_residuals(coarse, blocks)]
        if deeper:
            layers.append(Hourglass((coarse, *deeper), blocks, attention))
        elif attention:
            layers.append(AttentionBlock(coarse))
        layers += [*_residuals(coarse, blocks), nn.Upsample(scale_factor=2, mode="nearest")]
        self.around = nn.Sequential(*layers, Convolution(coarse, width))

    def forward(self, features: Tensor) -> Tensor:
        seen: Tensor = self.around(features)
        return features + seen


def body(settings: NetworkSettings) -> list[nn.Module]:
    """Build the layers between the first and the last at the folded resolution."""
    width, blocks = settings.channels[0], settings.blocks
    around = [Hourglass(settings.channels, blocks, settings.attention)] if len(settings.channels) > 1 else []
    return [*_residuals(width, blocks), *around, *_residuals(width, blocks)]


def _residuals(channels: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(count)]


def norm(channels: int) -> nn.GroupNorm:
    """Normalise groups of channels."""
    return nn.GroupNorm(GROUPS, channels)


def unfolding(channels: int, fold: int, outputs: int) -> nn.Sequential:
    """Build the layers that undo a fold, from [B, channels, h, w] to [B, outputs, fold h, fold w]."""
    layers: list[nn.Module] = []
    while fold > 1:
        narrower = max(channels // 2, 8)
        layers += [
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(channels, narrower, kernel_size=3, padding=1),
            nn.SiLU(),
        ]
        channels, fold = narrower, fold // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, outputs, kernel_size=3, padding=1))
