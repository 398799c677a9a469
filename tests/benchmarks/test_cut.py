"""CUT as published: depths that are compared, the contrastive loss, and what a step moves."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.ablation.methods.cut import DEPTHS, TEMPERATURE, Direction, Trainer, embed, patch_nce


@pytest.fixture(scope="module")
def way() -> Direction:
    torch.manual_seed(0)
    return Direction()


def test_features_are_of_the_depths_of_the_paper(way: Direction) -> None:
    image = torch.rand(1, 1, 32, 32)
    found = way.features(image)
    assert [features.shape[1] for features in found] == list(DEPTHS.values())
    # Pixels with the border of the first convolution, halved, halved again, and two residual blocks.
    assert [features.shape[2] for features in found] == [38, 16, 8, 8, 8]
    made, seen = way.translate(image)
    assert made.shape == image.shape
    assert all(torch.equal(a, b) for a, b in zip(found, seen, strict=True))


def test_a_place_sees_what_the_paper_says_less_the_blur(way: Direction) -> None:
    # 1, 9, 15, 35 and 99 in the paper, where halving blurs: two pixels more after the first, six after both.
    sides = []
    for depth in DEPTHS:
        side, step = 1, 1
        for layer in list(way.generator)[: depth + 1]:
            inner = layer.around if hasattr(layer, "around") else [layer]
            for one in inner:
                if isinstance(one, torch.nn.Conv2d):
                    side += (one.kernel_size[0] - 1) * step
                    step *= one.stride[0]
        sides.append(side)
    assert sides == [1, 9, 13, 29, 93]


def test_loss_is_small_where_each_place_is_found_and_chance_where_none_is() -> None:
    keys = functional.normalize(torch.randn(2, 64, 256, generator=torch.Generator().manual_seed(0)), dim=2)
    assert float(patch_nce(keys, keys)) < 0.01
    same = torch.ones(2, 64, 256) / 16
    assert float(patch_nce(same, same)) == pytest.approx(math.log(64), abs=1e-4)
    # Of two opposite keys, the right one: log(1 + exp(-2 / temperature)).
    pair = torch.tensor([[[1.0], [-1.0]]])
    assert float(patch_nce(pair, pair)) == pytest.approx(math.log1p(math.exp(-2 / TEMPERATURE)), abs=1e-6)
    assert float(patch_nce(pair, -pair)) == pytest.approx(2 / TEMPERATURE, rel=1e-4)


def test_loss_pulls_a_query_to_its_own_place() -> None:
    keys = functional.normalize(torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(1)), dim=2)
    queries = keys.roll(1, dims=1).clone().requires_grad_()
    patch_nce(queries, keys).backward()
    assert queries.grad is not None
    towards = (-queries.grad * (keys - queries)).sum(dim=2)
    assert bool((towards > 0).all())


def test_derivatives_flow_into_the_translation_and_not_into_what_is_to_be_found(way: Direction) -> None:
    made, source = _slices()
    made.requires_grad_()
    features = [one.detach().requires_grad_() for one in way.features(source)]
    way.nce(made, features).backward()
    assert made.grad is not None
    assert made.grad.any()
    assert all(one.grad is None for one in features)
    assert all(weight.grad is not None for weight in way.perceptrons.parameters())


def test_embeddings_have_unit_length(way: Direction) -> None:
    vectors = embed(torch.randn(2, 128, 4, 4), torch.arange(5), way.perceptrons[1])
    assert vectors.shape == (2, 5, 256)
    assert torch.allclose(vectors.norm(dim=2), torch.ones(2, 5), atol=1e-5)


def test_a_step_moves_both_directions() -> None:
    trainer = Trainer()
    before = {name: weight.clone() for name, weight in trainer.networks.named_parameters()}
    losses = trainer.step(*_slices())
    assert all(torch.isfinite(loss) for loss in losses.values())
    after = dict(trainer.networks.named_parameters())
    assert all(not torch.equal(before[name], after[name]) for name in before if before[name].ndim > 1)
    trainer.set_rate(0.75)
    rates = [group["lr"] for optimiser in trainer.optimisers for group in optimiser.param_groups]
    assert rates == pytest.approx([1e-4, 1e-4])


def _slices() -> tuple[Tensor, Tensor]:
    ct, mr = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return ct, mr
