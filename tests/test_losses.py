from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from medtranslate.config import LossSettings, NetworkSettings
from medtranslate.losses import LOSSES, Anchor, Passes, kl, kl_map, least_squares, mind, weights
from medtranslate.model import Batch, Generators, PassSettings, VAECycleGAN
from medtranslate.networks import Posterior

SMALL = NetworkSettings(
    size=32, channels=(8, 16), latent_channels=4, discriminator_channels=(8, 8, 8), seen=7, limits=True
)


def test_kl_of_a_standard_normal_is_zero():
    zeros = torch.zeros(2, 4, 8, 8)
    assert kl(Passes(posteriors={"ct": Posterior(zeros, zeros)})) == 0


def test_the_fine_part_of_a_latent_counts_as_much_as_the_coarse_one():
    mean = torch.cat([torch.ones(2, 4, 8, 8), 3 * torch.ones(2, 16, 8, 8)], dim=1)
    posterior = Posterior(mean, torch.zeros_like(mean), fine=16)
    assert kl(Passes(posteriors={"ct": posterior, "mr": posterior})).item() == pytest.approx(0.5 + 4.5)


def test_kl_agrees_with_torch_distributions():
    mean, log_variance = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, (0.5 * log_variance).exp()), normal(torch.zeros(()), torch.ones(()))
    )
    torch.testing.assert_close(kl_map(Posterior(mean, log_variance)), expected)


def test_least_squares_by_hand():
    heads = [torch.tensor([[[[0.5, 1.0]]]]), torch.tensor([[[[-1.0]]]])]
    assert least_squares(heads, real=True).item() == pytest.approx((0.125 + 4.0) / 2)
    # A negative score is not softened by a leaky ReLU.
    assert least_squares(heads, real=False).item() == pytest.approx((0.625 + 1.0) / 2)


def test_mind_sees_edges_and_not_contrast():
    torch.manual_seed(0)
    image = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 40, 40), 5, 1)
    image = (image - image.mean()) * 8
    assert torch.allclose(mind(image), mind(-image))
    other = image.roll(6, dims=-1)
    assert (mind(image) - mind(-image)).abs().mean() < 0.2 * (mind(image) - mind(other)).abs().mean()


def test_the_anchor_asks_nothing_beyond_what_a_windowed_truth_tells():
    truth = torch.tensor([[[[-1.0, -0.6, 0.0, 0.4]]]])
    made = torch.tensor([[[[-0.7, -0.8, 0.1, 0.9]]]])
    mr = torch.zeros_like(truth)
    known = torch.tensor([[-0.6, 0.4]])
    passes = [Passes(anchor=Anchor(truth, mr, mr, made, mr, ends)) for ends in (known, None)]
    windowed, whole = (LOSSES["anchor"](one).item() for one in passes)
    assert windowed == pytest.approx(0.1 / 4)
    assert whole == pytest.approx((0.3 + 0.2 + 0.1 + 0.5) / 4)


def _step(unpaired: bool = True) -> tuple[VAECycleGAN, Passes]:
    torch.manual_seed(0)
    model = VAECycleGAN(SMALL)
    images = {
        name: torch.rand(2, 1, 32, 32) * 2 - 1
        for name in ("anchor_ct", "anchor_mr", "anchor_wanted", "anchor_shown")
    }
    if unpaired:
        images |= {name: torch.rand(2, 1, 32, 32) * 2 - 1 for name in ("ct", "mr", "mr_otherwise")}
    made = model.generators(
        Batch(**images, anchor_seen=torch.zeros(2, 7)), PassSettings(cycle=True, identity=True, noise=0.0)
    )
    if unpaired:
        made.judged_ct, made.judged_mr = model.discriminators(made.fake_ct, made.fake_mr)
    return model, made


TRANSLATING = sorted(LOSSES.keys() - {"limit"})
"""Terms that change translations."""


@pytest.mark.parametrize("name", TRANSLATING)
def test_every_term_moves_both_generators(name):
    model, made = _step()
    LOSSES[name](made).backward()
    both = (model.generators.to_ct, model.generators.to_mr)
    # The contrast of an MR is seen by one generator, without its decoder; the same one makes CT that agree.
    for generator in both[:1] if name in ("contrast", "agreement") else both:
        moved = [float(p.grad.abs().max()) for p in generator.encoder.parameters() if p.grad is not None]
        assert max(moved) > 0
        decoded = any(p.grad is not None and p.grad.abs().max() > 0 for p in generator.unfold.parameters())
        # The first posterior of each generator comes before its decoder, the second behind the other's.
        assert decoded or name in ("kl", "contrast")


@pytest.mark.parametrize("name", LOSSES)
def test_a_term_without_its_passes_is_zero(name):
    _, made = _step(unpaired=False)
    alone = ("kl", "anchor", "edges", "contrast", "limit")
    assert LOSSES[name](Passes()) == 0
    assert (LOSSES[name](made) > 0) == (name in alone)


@pytest.mark.parametrize("only", ["ct", "mr"])
def test_one_translation_alone_has_the_terms_that_it_has_beside_the_other(only, monkeypatch):
    monkeypatch.setattr(Posterior, "draw", lambda posterior: posterior.mean)
    torch.manual_seed(0)
    generators = Generators(SMALL)
    names = ("anchor_ct", "anchor_mr", "anchor_wanted")
    batch = Batch(**{name: torch.rand(2, 1, 32, 32) * 2 - 1 for name in names}, anchor_seen=torch.zeros(2, 7))
    both, alone = (
        generators(batch, PassSettings(cycle=False, identity=False, noise=0.0, only=which))
        for which in (None, only)
    )
    other = {"ct": "fake_mr", "mr": "fake_ct"}[only]
    assert getattr(alone.anchor, other) is None
    assert list(alone.posteriors) == [{"ct": "mr", "mr": "ct"}[only]]
    for name in ("anchor", "edges"):
        without = LOSSES[name](replace(both, anchor=replace(both.anchor, **{other: None})))
        assert LOSSES[name](alone) > 0
        torch.testing.assert_close(LOSSES[name](alone), without)


def test_every_slice_of_a_step_comes_back_in_its_own_place(monkeypatch):
    """With all of the unpaired slices, with MR alone, and with none."""
    monkeypatch.setattr(Posterior, "draw", lambda posterior: posterior.mean)
    torch.manual_seed(0)
    generators = Generators(replace(SMALL, seen=0))
    names = ("ct", "mr", "mr_otherwise", "anchor_ct", "anchor_mr", "anchor_wanted")
    images = {name: torch.rand(2, 1, 32, 32) * 2 - 1 for name in names}
    for absent in ((), ("ct",), ("ct", "mr", "mr_otherwise")):
        batch = Batch(**{name: image for name, image in images.items() if name not in absent})
        passes = generators(batch, PassSettings(cycle=False, identity=False, noise=0.0))
        for source, made, generator in (
            ("mr", passes.fake_ct, generators.to_ct),
            ("mr_otherwise", passes.agreed_ct, generators.to_ct),
            ("ct", passes.fake_mr, generators.to_mr),
            ("anchor_mr", passes.anchor.fake_ct, generators.to_ct),
            ("anchor_ct", passes.anchor.fake_mr, generators.to_mr),
        ):
            if source in absent:
                assert made is None
            else:
                torch.testing.assert_close(made, generator(images[source]).image)


def test_the_anchor_is_l1_to_the_truth():
    ones, zeros = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    known = Anchor(ct=ones, mr=zeros, mr_wanted=ones, fake_ct=zeros, fake_mr=0.5 * ones)
    assert LOSSES["anchor"](Passes(anchor=known)).item() == pytest.approx(1.5)
    weight = ones.clone()
    weight[..., :2] = 3.0  # of half of the pixels
    weighted = replace(known, weight=weight)
    assert LOSSES["anchor"](Passes(anchor=weighted)).item() == pytest.approx(3.0)


def test_edges_are_differences_of_neighbours_and_not_of_grey():
    truth = torch.zeros(1, 1, 4, 4)
    truth[..., 2:] = 1.0
    known = Anchor(ct=truth, mr=truth, mr_wanted=truth, fake_ct=truth + 0.5, fake_mr=0.5 * truth)
    # One of three differences along the rows lacks a half.
    assert LOSSES["edges"](Passes(anchor=known)).item() == pytest.approx(0.5 / 3)


def test_weights_of_zero_take_a_term_away_and_warm_up_from_zero():
    settings = LossSettings(adversarial=1, cycle=4, identity=0, kl=0.01, structure=0, anchor=10, warmup=0.1)
    assert weights(settings, 0.0) == {"adversarial": 1, "cycle": 0, "kl": 0, "anchor": 10}
    assert math.isclose(weights(settings, 0.05)["cycle"], 2.0)
    assert weights(settings, 0.5) == {"adversarial": 1, "cycle": 4, "kl": 0.01, "anchor": 10}


def test_the_discriminators_step_leaves_the_generators_alone():
    model, made = _step()
    assert all(image is not None for image in (made.ct, made.mr, made.fake_ct, made.fake_mr))
    model.discriminators.loss(made.ct, made.mr, made.fake_ct.detach(), made.fake_mr.detach()).backward()
    assert all(p.grad is None for p in model.generators.parameters())
    assert all(p.grad is not None for p in model.discriminators.parameters())


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_term_without_passes_is_zero_where_it_is_asked_for(name: str) -> None:
    """Steps on a GPU are recorded, and a recording takes nothing from the host."""
    assert LOSSES[name](Passes()) == 0
    with torch.device("meta"):
        assert LOSSES[name](Passes()).device.type == "meta"
