"""Steps recorded on a GPU: `pytest -m gpu`."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medtranslate.config import AugmentSettings, LossSettings
from medtranslate.data import open_sources
from medtranslate.training.batches import batches, seeds
from medtranslate.training.distributed import open_fabric
from medtranslate.training.state import fresh_state
from medtranslate.training.step import sides, train_step

pytestmark = pytest.mark.gpu

STEPS = 12


def trained(settings):
    """Losses of each step, and the weights after the last."""
    fabric = open_fabric(settings)
    state = fresh_state(settings, {}, fabric.device, {})
    players = sides(fabric, state, settings)
    sources = open_sources(settings, quiet=True).sources
    losses = []
    for step, batch in enumerate(batches(settings, sources, range(STEPS), 0, fabric.device)):
        share = step / STEPS
        losses.append(train_step(settings, players, state, batch, seeds(settings.seed, step, 0), share))
        state.images += settings.batch
    rows = [{name: value.item() for name, value in row.items()} for row in losses]
    return rows, [weight.detach().clone() for weight in state.average.parameters()]


@pytest.fixture
def on_a_gpu(settings):
    return replace(
        settings,
        device="cuda",
        workers=0,
        loss=LossSettings(identity=1, structure=1, warmup=0.5),
        augment=AugmentSettings(ct_window=0.2),
    )


@pytest.mark.parametrize("unpaired", [True, False])
def test_recorded_steps_are_those_that_are_not(on_a_gpu, unpaired):
    on_a_gpu = replace(on_a_gpu, unpaired=unpaired)
    recorded, average = trained(on_a_gpu)
    plain, expected = trained(replace(on_a_gpu, capture=False))
    for one, other in zip(recorded, plain, strict=True):
        assert one.keys() == other.keys()
        assert one == pytest.approx(other, rel=0.02, abs=2e-3)
    for one, other in zip(average, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=5e-3)


def test_recorded_draws_are_new_ones_each_step(on_a_gpu):
    """With nothing learnt and the same slices shown, only the draws of the posterior differ."""
    still = replace(on_a_gpu, learning_rate=1e-30, discriminator_rate=1e-30)
    fabric = open_fabric(still)
    state = fresh_state(still, {}, fabric.device, {})
    players = sides(fabric, state, still)
    (batch,) = batches(still, open_sources(still, quiet=True).sources, range(1), 0, fabric.device)
    totals = [
        train_step(still, players, state, batch, seeds(0, step, 0), 0.5)["total"].item()
        for step in (*range(8), 7)
    ]
    assert len(set(totals[:8])) == 8
    assert totals[8] == pytest.approx(totals[7], rel=1e-5)
