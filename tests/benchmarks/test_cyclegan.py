"""CycleGAN as published is what the paper says, and the budget counts what a step does."""

from argparse import Namespace

import pytest
import torch
from torch import nn

from benchmarks.ablation.methods.cyclegan import PatchDiscriminator, ResNetGenerator, Trainer
from benchmarks.speed import operations
from benchmarks.speed.training import contender


def test_networks_have_the_sizes_of_the_paper() -> None:
    # Convolutions k x k x before x after and as many biases as channels after; norms have no weights.
    generator = 49 * 64 + 64 + 9 * 64 * 128 + 128 + 9 * 128 * 256 + 256
    generator += 18 * (9 * 256 * 256 + 256)
    generator += 9 * 256 * 128 + 128 + 9 * 128 * 64 + 64 + 49 * 64 + 1
    assert _size(ResNetGenerator()) == generator == 11_365_633
    judge = 16 * (64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 128 + 256 + 512 + 1
    assert _size(PatchDiscriminator()) == judge == 2_762_689


def test_a_score_sees_70_pixels() -> None:
    layers = [layer for layer in PatchDiscriminator() if not isinstance(layer, nn.InstanceNorm2d)]
    image = torch.rand(1, 1, 256, 256, requires_grad=True)
    scores = nn.Sequential(*layers)(image)
    assert scores.shape == (1, 1, 30, 30)
    scores[0, 0, 15, 15].backward()
    assert image.grad is not None
    seen = image.grad[0, 0].nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_a_step_moves_all_four_networks() -> None:
    trainer = Trainer()
    before = [weight.clone() for weight in trainer.networks.parameters()]
    ct, mr = torch.rand(2, 1, 1, 32, 32) * 2 - 1
    losses = trainer.step(ct, mr)
    assert all(torch.isfinite(loss) for loss in losses.values())
    moved = [
        not torch.equal(old, new) for old, new in zip(before, trainer.networks.parameters(), strict=True)
    ]
    weights = [weight.ndim > 1 for weight in before]
    assert all(change for change, is_weight in zip(moved, weights, strict=True) if is_weight)


@pytest.mark.parametrize(("share", "rate"), [(0.0, 2e-4), (0.5, 2e-4), (0.75, 1e-4), (1.0, 0.0)])
def test_rate_is_constant_for_half_of_the_run_and_then_falls_to_zero(share: float, rate: float) -> None:
    trainer = Trainer()
    trainer.set_rate(share)
    rates = [group["lr"] for optimiser in trainer.optimisers for group in optimiser.param_groups]
    assert rates == pytest.approx([rate, rate])


@pytest.mark.parametrize("name", ["ours", "published"])
def test_the_cost_of_a_step_on_paper_is_what_a_step_does(name: str) -> None:
    options = Namespace(size=32, batch=1, device="cpu", precision="auto")
    step, _ = contender(name, options)
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    with operations.Tally() as done:
        step(image, image)
    paper = operations.step_cost(operations.ours(32) if name == "ours" else operations.theirs(32))
    # The first layer's derivative for a real slice is on paper, and nobody asks for it in a step.
    assert done.cost.flop == pytest.approx(paper.flop, rel=0.03)


def _size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
