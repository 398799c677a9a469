from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medtranslate.config import NetworkSettings
from medtranslate.losses import least_squares
from medtranslate.networks import MultiScaleDiscriminator

SETTINGS = NetworkSettings(size=64, discriminator_channels=(8, 8, 16, 16))


def gradients(network: MultiScaleDiscriminator, head: int) -> tuple[torch.Tensor, list[float]]:
    """Gradient of one head's loss: on the image, and its largest entry in each stage."""
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    least_squares([network(image)[head]], real=False).backward()
    assert image.grad is not None
    stages = [
        max(0.0 if p.grad is None else float(p.grad.abs().max()) for p in stage.parameters())
        for stage in network.stages
    ]
    return image.grad, stages


@pytest.mark.parametrize("head", range(4))
def test_a_head_moves_its_own_stages_and_no_deeper_one(head):
    torch.manual_seed(0)
    image, stages = gradients(MultiScaleDiscriminator(SETTINGS), head)
    assert image.abs().max() > 0
    assert all(value > 0 for value in stages[: head + 1])
    assert all(value == 0 for value in stages[head + 1 :])


def test_without_independence_an_early_head_reaches_the_deepest_stage():
    torch.manual_seed(0)
    _, stages = gradients(MultiScaleDiscriminator(replace(SETTINGS, independent=False)), 0)
    assert stages[-1] > 0


def test_the_deepest_features_change_what_early_heads_say():
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(SETTINGS)
    image = torch.rand(1, 1, 64, 64)
    before = network(image)
    with torch.no_grad():
        for parameter in network.stages[-1].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert not torch.allclose(before[0], network(image)[0])
    plain = MultiScaleDiscriminator(replace(SETTINGS, adjustment=False))
    before = plain(image)
    with torch.no_grad():
        for parameter in plain.stages[-1].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert torch.equal(before[0], plain(image)[0])


def test_heads_judge_at_each_scale_or_at_the_last_alone():
    image = torch.rand(1, 1, 64, 64)
    sides = [head.shape[-1] for head in MultiScaleDiscriminator(SETTINGS)(image)]
    assert sides == [32, 16, 8, 4]
    assert [head.shape[-1] for head in MultiScaleDiscriminator(replace(SETTINGS, heads="last"))(image)] == [4]


def test_a_verdict_does_not_depend_on_the_batch():
    network = MultiScaleDiscriminator(SETTINGS)
    images = torch.rand(3, 1, 64, 64)
    for together, alone in zip(network(images), network(images[:1]), strict=True):
        torch.testing.assert_close(together[:1], alone)
