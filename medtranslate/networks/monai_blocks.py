"""MONAI's blocks in place of the plain ones, for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from monai.networks.blocks import Convolution, SpatialAttentionBlock
from monai.networks.nets.autoencoderkl import AEKLResBlock
from torch import nn

from medtranslate.networks import blocks
from medtranslate.networks.blocks import EPSILON, GROUPS

Network = TypeVar("Network", bound=nn.Module)


def with_monai_blocks(network: Network) -> Network:
    """Exchange each plain block inside a network for MONAI's, which takes over its parameters.

    Returns:
        The network itself.
    """
    for name, block in network.named_children():
        if build := _BUILT.get(type(block)):
            with torch.device("meta"):  # so that the state of the random numbers stays as it is
                made = build(block)
            made.load_state_dict(block.state_dict(keep_vars=True), assign=True)
            network.register_module(name, made)
        else:
            with_monai_blocks(block)
    return network


def _convolution(block: Any) -> nn.Module:
    conv = block.conv
    return Convolution(2, conv.in_channels, conv.out_channels, strides=conv.stride, conv_only=True)


def _residual(block: Any) -> nn.Module:
    channels = block.norm1.num_channels
    return AEKLResBlock(2, channels, GROUPS, EPSILON, channels)


def _attention(block: Any) -> nn.Module:
    return SpatialAttentionBlock(
        2, block.norm.num_channels, norm_num_groups=GROUPS, norm_eps=EPSILON, use_flash_attention=True
    )


_BUILT: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    blocks.Convolution: _convolution,
    blocks.ResidualBlock: _residual,
    blocks.AttentionBlock: _attention,
}
