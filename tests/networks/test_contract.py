"""What every network of the dicts has to keep to; a new entry is tested here before it has a test."""

from __future__ import annotations

import pytest
import torch

from medtranslate.config import NetworkSettings
from medtranslate.networks import DISCRIMINATORS, GENERATORS

SETTINGS = NetworkSettings(size=32, channels=(8, 16), latent_channels=4, discriminator_channels=(8, 8, 8))


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_translates_each_slice_of_a_batch_by_itself(name):
    torch.manual_seed(0)
    generator = GENERATORS[name](SETTINGS).eval()
    slices = torch.rand(3, 1, 32, 32) * 2 - 1
    made = generator(slices)
    assert made.image.shape == slices.shape
    assert made.image.abs().max() <= 1
    assert made.posterior.mean.shape == made.posterior.log_variance.shape
    torch.testing.assert_close(generator(slices[1:2]).image, made.image[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_draws_from_its_posterior_only_when_asked(name):
    torch.manual_seed(0)
    generator = GENERATORS[name](SETTINGS)
    slices = torch.rand(1, 1, 32, 32)
    assert torch.equal(generator(slices).image, generator(slices).image)
    assert not torch.equal(generator(slices, draw=True).image, generator(slices, draw=True).image)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_judges_each_slice_of_a_batch_by_itself(name):
    torch.manual_seed(0)
    judge = DISCRIMINATORS[name](SETTINGS)
    slices = torch.rand(3, 1, 32, 32) * 2 - 1
    heads = judge(slices)
    assert heads
    for head, alone in zip(heads, judge(slices[1:2]), strict=True):
        assert head.shape[:2] == (3, 1)
        torch.testing.assert_close(alone, head[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_every_head_of_a_discriminator_moves_the_image(name):
    torch.manual_seed(0)
    judge = DISCRIMINATORS[name](SETTINGS)
    for k in range(len(judge(torch.zeros(1, 1, 32, 32)))):
        slices = torch.rand(1, 1, 32, 32, requires_grad=True)
        judge(slices)[k].sum().backward()
        assert slices.grad is not None
        assert slices.grad.abs().max() > 0
