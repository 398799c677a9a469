"""The plain blocks are MONAI's: names, first weights, outputs and derivatives."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from monai.networks import blocks as monai
from monai.networks.nets.autoencoderkl import AEKLResBlock

from medtranslate.config import NetworkSettings
from medtranslate.model import VAECycleGAN
from medtranslate.networks import SliceGate, VariationalGenerator
from medtranslate.networks.blocks import AttentionBlock, Convolution, ResidualBlock
from medtranslate.networks.monai_blocks import with_monai_blocks

PAIRS = {
    "convolution": (lambda: Convolution(16, 24), lambda: monai.Convolution(2, 16, 24, conv_only=True)),
    "stride": (
        lambda: Convolution(16, 24, stride=2),
        lambda: monai.Convolution(2, 16, 24, strides=2, conv_only=True),
    ),
    "residual": (lambda: ResidualBlock(16), lambda: AEKLResBlock(2, 16, 8, 1e-6, 16)),
    "attention": (
        lambda: AttentionBlock(16),
        lambda: monai.SpatialAttentionBlock(2, 16, norm_num_groups=8, use_flash_attention=True),
    ),
}
STAGE = {"strides": 2, "norm": ("group", {"num_groups": 4}), "act": "relu"}


def same_state(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


def same_pass(ours: torch.nn.Module, theirs: torch.nn.Module, shape: tuple[int, ...], fast: bool) -> None:
    shown = torch.randn(shape)
    seen = []
    for network in (ours, theirs):
        image = shown.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            made = network(image)
        made = getattr(made, "image", made)
        made.square().sum().backward()
        seen.append((made, image.grad, *(value.grad for value in network.parameters())))
    for own, other in zip(*seen, strict=True):
        assert (own is None) == (other is None)
        assert own is None or torch.equal(own, other)


@pytest.mark.parametrize("fast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", PAIRS)
def test_a_block_is_monais(kind, fast):
    built = []
    for build in PAIRS[kind]:
        torch.manual_seed(3)
        built.append(build())
    same_state(*built)
    same_pass(*built, (2, 16, 12, 12), fast)


@pytest.mark.parametrize("fast", [False, True], ids=["float32", "bfloat16"])
def test_a_generator_computes_the_same_with_either_blocks(fast):
    torch.manual_seed(0)
    plain = VariationalGenerator(NetworkSettings(size=32, channels=(8, 16, 16), latent_channels=4))
    backed = with_monai_blocks(deepcopy(plain))
    ours = (Convolution, ResidualBlock, AttentionBlock)
    assert not any(isinstance(part, ours) for part in backed.modules())
    same_state(plain, backed)
    same_pass(plain, backed, (2, 1, 32, 32), fast)


def test_what_trains_is_built_of_monais_blocks_and_draws_no_more_random_numbers():
    settings = NetworkSettings(size=32, channels=(8, 16), latent_channels=4)
    torch.manual_seed(1)
    generator = VariationalGenerator(settings)
    VariationalGenerator(settings)
    expected = torch.get_rng_state()
    torch.manual_seed(1)
    model = VAECycleGAN(settings)
    same_state(generator, model.generators.to_ct)
    parts = list(model.generators.modules())
    assert any(isinstance(part, AEKLResBlock) for part in parts)
    assert not any(isinstance(part, (Convolution, ResidualBlock, AttentionBlock)) for part in parts)
    torch.manual_seed(1)
    with_monai_blocks(VariationalGenerator(settings))
    with_monai_blocks(VariationalGenerator(settings))
    assert torch.equal(torch.get_rng_state(), expected)


def test_a_stage_of_the_gate_is_monais_convolution():
    torch.manual_seed(2)
    stage = SliceGate(NetworkSettings(size=32)).classifier[0]
    torch.manual_seed(2)
    theirs = monai.Convolution(2, 1, 16, **STAGE)
    same_state(stage, theirs)
    same_pass(stage, theirs, (2, 1, 16, 16), fast=False)
