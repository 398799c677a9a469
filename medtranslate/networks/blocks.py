"""Blocks of the generator in plain torch: those of MONAI, with the same parameters under the same names.

Importing MONAI costs more than importing torch, so translation builds networks of these. What trains is built
of MONAI's own (`monai_blocks`). Both give the same numbers, bit for bit.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8
"""Groups of channels that are normalised together (group normalisation has no batch statistics)."""

EPSILON = 1e-6
"""Added to the variance of a group."""


class Convolution(nn.Module):
    """A convolution of 3 x 3 pixels, [B, before, H, W] to [B, after, H / stride, W / stride]."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        convolved: Tensor = self.conv(features)
        return convolved


class ResidualBlock(nn.Module):
    """x + two convolutions, each after normalisation and SiLU (He et al., "Identity Mappings", 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels, EPSILON)
        self.conv1 = Convolution(channels, channels)
        self.norm2 = nn.GroupNorm(GROUPS, channels, EPSILON)
        self.conv2 = Convolution(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.conv1(functional.silu(self.norm1(features)))
        change = self.conv2(functional.silu(self.norm2(change)))
        return features + change


class AttentionBlock(nn.Module):
    """x + attention of every place to all places, one head (Vaswani et al., 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, EPSILON)
        self.attn = _Attention(channels)

    def forward(self, features: Tensor) -> Tensor:
        places = self.norm(features).flatten(2).transpose(1, 2)
        change: Tensor = self.attn(places).transpose(1, 2).reshape(features.shape)
        return change + features


class _Attention(nn.Module):
    """Attention among places [B, N, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # In MONAI's order, so that a seed gives the same weights.
        self.out_proj = nn.Linear(channels, channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)

    def forward(self, places: Tensor) -> Tensor:
        query, key, value = (project(places)[:, None] for project in (self.to_q, self.to_k, self.to_v))
        seen = functional.scaled_dot_product_attention(query, key, value)[:, 0]
        projected: Tensor = self.out_proj(seen)
        return projected
