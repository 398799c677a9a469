"""Further measures of the ablation, on cases with a known answer."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.ablation.anatomy import Twins, displacement, invented, lesions, moved, noise, twins
from benchmarks.ablation.appearance import checkerboard, sliced_wasserstein
from benchmarks.quality.uncertainty_measures import binned_spread, interval_width, sparsification
from medtranslate.config import Modality, NetworkSettings, ScaleSettings


@pytest.fixture(scope="module")
def pairs() -> Twins:
    return twins(900_000, 24, NetworkSettings(size=64), ScaleSettings(), "t1")


def test_patches_of_the_same_set_have_no_distance(pairs: Twins) -> None:
    assert sliced_wasserstein(pairs.ct, pairs.ct) == 0


def test_a_constant_more_is_its_mean_projection() -> None:
    # Along a direction it is the constant times the sum of 49 numbers of unit length: normal, of deviation 1.
    brain = 0.2 * torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = 0.5 * np.sqrt(2 / np.pi)
    assert sliced_wasserstein(brain, brain + 0.5) == pytest.approx(expected, rel=0.2)


def test_unlike_slices_are_further_apart_than_like_ones(pairs: Twins) -> None:
    halves = sliced_wasserstein(pairs.mr[:12], pairs.mr[12:])
    assert halves < sliced_wasserstein(pairs.mr, pairs.ct)
    assert halves < sliced_wasserstein(pairs.mr, functional.avg_pool2d(pairs.mr, 5, 1, 2))


@pytest.mark.parametrize("period", [2, 4])
def test_a_pattern_of_upsampling_is_seen(pairs: Twins, period: int) -> None:
    comb = 0.2 * ((torch.arange(64) % period) < period // 2).float() - 0.1
    assert checkerboard(pairs.ct, pairs.ct) == pytest.approx(1)
    assert checkerboard(pairs.ct, pairs.ct + comb[:, None] * comb.sign()) > 1.2
    assert checkerboard(pairs.ct, functional.avg_pool2d(pairs.ct, 3, 1, 1)) < 1


@pytest.mark.parametrize(("shift", "distance"), [((0, 0), 0.0), ((0, 1), 1.0), ((-3, 4), 5.0)])
def test_displacement_is_that_of_a_translation_that_moves(
    pairs: Twins, shift: tuple[int, int], distance: float
) -> None:
    middle, far = displacement(lambda images: moved(images, shift), pairs.ct[:4], pairs.ct[:4])
    assert middle == pytest.approx(distance, abs=0.1)
    assert far == pytest.approx(distance, abs=0.2)


def test_half_a_pixel_is_measured(pairs: Twins) -> None:
    def half(images: Tensor) -> Tensor:
        return 0.5 * (images + moved(images, (0, 1)))

    assert displacement(half, pairs.mr[:4], pairs.mr[:4])[0] == pytest.approx(0.5, abs=0.1)


def test_twins_differ_by_lesions_alone(pairs: Twins) -> None:
    changed = ((pairs.ct != pairs.healthy_ct) | (pairs.mr != pairs.healthy_mr)).flatten(1)
    share = changed.float().mean(dim=1)
    assert (share == 0).any()
    assert (share > 0.005).any()
    assert share.max() < 0.5


@pytest.mark.parametrize("to", ["ct", "mr"])
def test_the_truth_keeps_all_lesions_and_a_blind_translation_none(pairs: Twins, to: Modality) -> None:
    truth, healthy = pairs.of(to)
    kept, blind, wrong = (
        lesions(made, well, pairs, to)
        for made, well in ((truth, healthy), (healthy, healthy), (-truth, -healthy))
    )
    assert kept.clear > 0
    assert (kept.kept, kept.contrast, kept.invented) == (kept.clear, 1.0, 0)
    assert (blind.kept, blind.contrast) == (0, 0.0)
    assert (wrong.kept, wrong.contrast) == (0, -1.0)


def test_a_spot_is_invented_and_a_blurred_edge_is_not() -> None:
    truth: NDArray[np.float32] = np.zeros((48, 48), np.float32)
    truth[:, 24:] = 0.8
    inside = np.ones_like(truth, bool)
    spot = truth.copy()
    spot[8:17, 6:15] += 0.5
    blurred = functional.avg_pool2d(torch.from_numpy(truth)[None, None], 5, 1, 2, count_include_pad=False)
    assert invented(spot, truth, inside)
    assert not invented(spot, truth, inside & (spot == truth) & np.roll(spot == truth, 4, 0))
    assert not invented(blurred[0, 0].numpy(), truth, inside)
    assert not invented(truth + 0.4, truth, inside)


def test_noise_is_measured_beside_an_edge() -> None:
    image = np.random.default_rng(0).normal(0, 0.1, (64, 64)).astype(np.float32)
    image[:, 32:] += 1
    assert noise(image, np.ones_like(image, bool)) == pytest.approx(0.1, rel=0.1)


def test_spread_that_is_the_error_ranks_it() -> None:
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.1, 1, 20_000)
    errors = spread * np.abs(rng.standard_normal(20_000))
    assert sparsification(errors, errors) == pytest.approx(0)
    assert 0.2 < sparsification(spread, errors) < 0.9
    assert sparsification(rng.uniform(size=20_000), errors) == pytest.approx(1, abs=0.05)
    assert sparsification(-errors, errors) > 1


def test_intervals_are_narrower_where_spread_knows_the_error() -> None:
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.1, 1, 20_000)
    errors = spread * np.abs(rng.standard_normal(20_000))
    constant = interval_width(np.ones(20_000), errors)
    assert constant == pytest.approx(np.quantile(errors, 0.9))
    # 90 % of normal errors lie within 1.645 deviations.
    assert interval_width(spread, errors) == pytest.approx(1.645 * spread.mean(), rel=0.03)
    assert interval_width(spread, errors) < constant
    # An error that follows from the intensity needs no samples.
    assert interval_width(binned_spread(spread, errors), errors) < 1.05 * interval_width(spread, errors)
