from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

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


@pytest.mark.parametrize("fold", [2, 4, 8])
def test_a_fine_part_of_the_latent_has_a_cell_for_four_pixels_and_begins_without_effect(fold):
    settings = replace(SETTINGS, fold=fold)
    torch.manual_seed(0)
    coarse, fine = VariationalGenerator(settings), VariationalGenerator(replace(settings, fine=3))
    fine.load_state_dict(coarse.state_dict(), strict=False)
    image = torch.rand(2, 1, 64, 64)
    made = fine(image)
    torch.testing.assert_close(made.image, coarse(image).image)
    torch.testing.assert_close(made.posterior.mean[:, :4], coarse(image).posterior.mean)
    assert made.posterior.mean[:, 4:].numel() == 3 * image.numel() // 4


def test_the_fine_part_shows_a_pixel_in_its_own_place():
    torch.manual_seed(0)
    generator = VariationalGenerator(replace(SETTINGS, fold=8, fine=2))
    with torch.no_grad():
        generator.edges[-1].weight.normal_()
        latent = generator.encode(torch.zeros(1, 1, 64, 64)).mean
        other = latent.clone()
        # One cell: place (5, 2) of the grid of 8 pixels, row 3 and column 1 of its 4 x 4 cells.
        other[0, 4 + 3 * 4 + 1, 5, 2] += 5
        changed = (generator.decode(other) - generator.decode(latent))[0, 0].abs()
    rows, columns = (changed > 1e-6).nonzero().T
    assert {int(rows.min()) // 8, int(rows.max()) // 8} <= {5, 6}
    assert 5 * 8 + 3 * 2 - 6 <= rows.min() <= rows.max() <= 5 * 8 + 3 * 2 + 7
    assert 2 * 8 + 1 * 2 - 6 <= columns.min() <= columns.max() <= 2 * 8 + 1 * 2 + 7


def test_a_fold_of_one_has_finer_cells_already():
    with pytest.raises(ValidationError, match="fold of 1"):
        replace(SETTINGS, fold=1, fine=2)


@pytest.mark.parametrize("fine", [0, 2])
def test_nothing_goes_around_the_latent(fine):
    generator = VariationalGenerator(replace(SETTINGS, fine=fine))
    images = torch.rand(2, 1, 64, 64)
    first, second = generator(images).image
    assert not torch.allclose(first, second)
    with torch.no_grad():
        generator.posterior.weight.zero_()
        if fine:
            generator.edges[-1].weight.normal_()
            assert not torch.allclose(*generator(images).image)
            generator.near_posterior.weight.zero_()
    first, second = generator(images).image
    torch.testing.assert_close(first, second)


def test_the_posterior_is_bounded_and_in_float32_under_mixed_precision():
    generator = VariationalGenerator(replace(SETTINGS, fine=2))
    with torch.no_grad():
        generator.posterior.weight.mul_(1e4)
        generator.near_posterior.weight.mul_(1e4)
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
