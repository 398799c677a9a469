from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medtranslate.config import NetworkSettings
from medtranslate.networks import VariationalGenerator
from medtranslate.networks.generator import LOG_VARIANCE_BOUND

SETTINGS = NetworkSettings(size=64, channels=(8, 16), latent_channels=4)


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_a_slice_becomes_a_slice_in_range_through_a_latent(fold):
    generator = VariationalGenerator(replace(SETTINGS, fold=fold))
    made = generator(torch.rand(2, 1, 64, 64) * 2 - 1)
    assert made.image.shape == (2, 1, 64, 64)
    assert made.image.abs().max() <= 1
    assert made.posterior.mean.shape == (2, 4, 64 // fold, 64 // fold)


def test_the_mean_is_repeatable_and_draws_differ():
    generator = VariationalGenerator(SETTINGS)
    image = torch.rand(1, 1, 64, 64)
    assert torch.equal(generator(image).image, generator(image).image)
    assert not torch.equal(generator(image, draw=True).image, generator(image, draw=True).image)


def test_nothing_goes_around_the_latent():
    generator = VariationalGenerator(SETTINGS)
    images = torch.rand(2, 1, 64, 64)
    first, second = generator(images).image
    assert not torch.allclose(first, second)
    with torch.no_grad():
        generator.posterior.weight.zero_()
    first, second = generator(images).image
    torch.testing.assert_close(first, second)


def test_the_posterior_is_bounded_and_in_float32_under_mixed_precision():
    generator = VariationalGenerator(SETTINGS)
    with torch.no_grad():
        generator.posterior.weight.mul_(1e4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        posterior = generator.encode(torch.rand(1, 1, 64, 64))
    assert posterior.mean.dtype == posterior.log_variance.dtype == torch.float32
    assert posterior.log_variance.abs().max() <= LOG_VARIANCE_BOUND


def test_position_in_the_frame_matters_only_where_it_is_given():
    blank = torch.zeros(1, 1, 64, 64)
    blank[..., 8:24, 8:24] = 1
    moved = blank.roll((24, 24), (2, 3))
    told = VariationalGenerator(replace(SETTINGS, attention=False))
    untold = VariationalGenerator(replace(SETTINGS, attention=False, coordinates=False))

    def shifted_alike(generator: VariationalGenerator) -> bool:
        first, second = generator.encode(blank).mean, generator.encode(moved).mean
        # Away from the border, where padding is seen.
        return torch.allclose(first[..., 2, 2], second[..., 5, 5], atol=1e-4)

    assert not shifted_alike(told)
    assert untold.encode(blank).mean.shape == told.encode(blank).mean.shape
