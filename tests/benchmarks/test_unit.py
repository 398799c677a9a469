"""UNIT as published: sizes, what is shared, and what a step moves."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from benchmarks.ablation.methods.unit import UNIT, Passes, Trainer

WIDTH = 8


def test_networks_have_the_sizes_of_the_released_settings() -> None:
    # Convolutions k x k x before x after and as many biases as channels after; norms have no weights.
    block = 2 * (9 * 256 * 256 + 256)
    encoder = 49 * 64 + 64 + 9 * 64 * 128 + 128 + 9 * 128 * 256 + 256 + 3 * block
    decoder = 3 * block + 9 * 256 * 128 + 128 + 9 * 128 * 64 + 64 + 64 + 1
    widths = [1, 64, 128, 256, 512, 1024, 2048]
    judge = sum(9 * a * b + b for a, b in pairwise(widths)) + 2048 + 1
    with torch.device("meta"):
        networks = UNIT()
    assert _size(networks.encode_ct) == encoder
    assert _size(networks.decode_mr) == decoder
    assert _size(networks.judge_ct) == judge
    # Two of each, and one block on either side of the code for both.
    assert _size(networks) == 2 * (encoder + decoder + judge) + 2 * block


def test_translations_have_the_size_of_their_source_and_draw_nothing() -> None:
    networks, image = UNIT(WIDTH), _slices()[0]
    assert networks.to_mr(image).shape == image.shape
    assert torch.equal(networks.to_mr(image), networks.to_mr(image))


@pytest.mark.parametrize("own", ["own_ct", "own_mr", "fake_ct", "fake_mr"])
def test_shared_layers_learn_from_either_modality(own: str) -> None:
    networks = UNIT(WIDTH)
    getattr(Passes(networks, *_slices()), own).abs().mean().backward()
    for shared in (networks.shared_encoder, networks.shared_decoder):
        assert all(weight.grad is not None and weight.grad.any() for weight in _matrices(shared))
    source = {"own_ct": "ct", "own_mr": "mr", "fake_ct": "mr", "fake_mr": "ct"}[own]
    other = networks.encode_mr if source == "ct" else networks.encode_ct
    assert not any(weight.grad is not None and weight.grad.any() for weight in other.parameters())


def test_posterior_has_unit_variance() -> None:
    networks = UNIT(WIDTH)
    networks.shared_decoder = torch.nn.Identity()  # type: ignore[assignment]
    torch.manual_seed(0)
    code = torch.full((1, 4 * WIDTH, 32, 32), 2.0)
    drawn = networks.draw(code)
    assert float(drawn.mean()) == pytest.approx(2.0, abs=0.02)
    assert float(drawn.std()) == pytest.approx(1.0, abs=0.02)


def test_a_step_moves_every_part() -> None:
    trainer = Trainer(width=WIDTH)
    before = {name: weight.clone() for name, weight in trainer.networks.named_parameters()}
    losses = trainer.step(*_slices())
    assert all(torch.isfinite(loss) for loss in losses.values())
    after = dict(trainer.networks.named_parameters())
    assert all(not torch.equal(before[name], after[name]) for name in before if before[name].ndim > 1)


def test_generators_do_not_move_the_judges() -> None:
    trainer = Trainer(width=WIDTH)
    trainer.optimisers[1].step = lambda: None  # type: ignore[method-assign,assignment]
    before = [weight.clone() for weight in trainer.judges]
    trainer.step(*_slices())
    assert all(torch.equal(old, new) for old, new in zip(before, trainer.judges, strict=True))


def _slices() -> Tensor:
    return torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _size(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _matrices(network: torch.nn.Module) -> list[Tensor]:
    return [weight for weight in network.parameters() if weight.ndim > 1]
