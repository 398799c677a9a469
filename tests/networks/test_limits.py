"""Error limits that generators estimate of their own translations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medtranslate.checkpoint import Model, describe, load_model, save_model
from medtranslate.config import LossSettings, NetworkSettings, ScaleSettings
from medtranslate.errors import SettingsError
from medtranslate.losses import LOSSES, Anchor, Passes
from medtranslate.model import Batch, Generators, PassSettings
from medtranslate.phantom import study
from medtranslate.records import Calibration, Curve
from medtranslate.training import fit
from medtranslate.translation import sample_volume

PLAIN = NetworkSettings(
    size=32, channels=(8, 8), latent_channels=4, fine=2, neighbours=1, discriminator_channels=(8, 8, 8)
)
SMALL = replace(PLAIN, limits=True)


def generators_of(network: NetworkSettings) -> Generators:
    torch.manual_seed(3)
    return Generators(network)


@pytest.fixture(scope="module")
def head():
    return study(910_001, size=40, spacing=6.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    means = {"ct": torch.zeros(1, 32, 32), "mr": torch.zeros(1, 32, 32)}
    known = {"name": "limited", "summary": "Random.", "network": SMALL, "scale": ScaleSettings()}
    save_model(folder, generators_of(SMALL), means, **known)
    return load_model(str(folder))


@pytest.mark.parametrize("told", [0, 7])
def test_limits_change_no_translation(told):
    plain, limited = (generators_of(replace(each, told=told)) for each in (PLAIN, SMALL))
    limited.load_state_dict(plain.state_dict(), strict=False)
    image, brightness = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 7) * 2 - 1
    for side in ("to_ct", "to_mr"):
        told_this = [brightness] if told and side == "to_mr" else []
        without, made = (getattr(each, side)(image, *told_this) for each in (plain, limited))
        assert torch.equal(made.image, without.image)
        assert without.limit is None
        assert made.limit.shape == made.image.shape


def test_the_error_of_a_limit_teaches_nothing_but_the_limits():
    generators = generators_of(SMALL)
    images = torch.rand(3, 2, 1, 32, 32) * 2 - 1
    batch = Batch(**dict(zip(("anchor_ct", "anchor_mr", "anchor_wanted"), images, strict=True)))
    passes = generators(batch, PassSettings(cycle=False, identity=False, noise=0.0))
    LOSSES["limit"](passes).backward()
    for name, weight in generators.named_parameters():
        assert (weight.grad is not None) == (".limits." in name), name


@settings(deadline=None, max_examples=20)
@given(st.floats(-4, 0), st.floats(0.3, 1.5), st.integers(0, 1000))
def test_the_best_limit_holds_nine_errors_in_ten(middle, width, seed):
    """Of errors of any size and spread: the loss is least at their quantile of 90 %."""
    draws = torch.randn(1, 1, 50, 40, generator=torch.Generator().manual_seed(seed))
    errors = (middle + width * draws).exp()
    truth, mr = torch.zeros_like(errors), torch.zeros_like(errors)

    def loss(limit):
        of = torch.full_like(errors, float(np.log(limit + 0.004)))
        return LOSSES["limit"](Passes(anchor=Anchor(truth, mr, mr, errors, mr, limit_ct=of))).item()

    best = min(np.quantile(errors.numpy(), np.arange(0.5, 1.0, 0.02)), key=loss)
    assert 0.87 <= (errors.numpy() <= best).mean() <= 0.93


def test_a_weighted_error_counts_as_often_in_the_limit():
    errors = torch.tensor([[[[0.01, 0.01, 0.5]]]])
    zeros, limit = torch.zeros_like(errors), torch.full_like(errors, np.log(0.1))

    def loss(weight):
        anchor = Anchor(zeros, zeros, zeros, errors, zeros, weight=weight, limit_ct=limit)
        return LOSSES["limit"](Passes(anchor=anchor)).item()

    doubled = loss(torch.tensor([[[[1.0, 1.0, 2.0]]]])) - loss(torch.ones(1, 1, 1, 3))
    assert doubled == pytest.approx(0.9 * np.log(0.504 / 0.1) / 3, rel=1e-4)


def test_the_map_of_a_volume_is_what_the_network_estimates(head, model):
    done = sample_volume(head.mr, model, "ct", limits=True)
    plain = sample_volume(head.mr, model, "ct")
    assert plain.uncertainty is None
    assert np.array_equal(done.volume.values, plain.volume.values)
    place = len(done.framed.shown) // 2
    z = int(done.framed.shown[place])
    with torch.inference_mode():
        given = model.generators.to_ct(done.framed.framed(np.array([z]), 32, 1))
    # An untrained network estimates about the same limit everywhere, whatever the frame's resampling.
    lower, upper = done.record.model.output_range
    wanted = float(given.limit.exp().mean()) * (upper - lower) / 2
    inside = done.uncertainty.values[:, :, z]
    assert np.median(inside[inside > 0]) == pytest.approx(wanted, rel=0.2)
    assert done.uncertainty.values[0, 0, 0] == 0
    record = done.record.uncertainty
    assert (record.samples, record.title, record.quantity) == (
        0,
        "90% error limit",
        "90% error limit",
    )
    assert "not calibrated" in record.meaning


def test_limits_and_samples_are_calibrated_apart(head, model):
    raw = sample_volume(head.mr, model, "ct", limits=True).uncertainty.values
    curve = Curve(value=0.0, spread=(0.0, 1.0), error=(0.0, 2.0))
    known = Calibration(curves=(curve,), on="three heads", share=0.9)
    description = replace(model.description, limits={"ct": known})
    calibrated = Model(description, model.generators, model.means)
    done = sample_volume(head.mr, calibrated, "ct", limits=True)
    inside = done.uncertainty.values > 0
    np.testing.assert_allclose(done.uncertainty.values[inside], 2 * raw[inside], rtol=1e-4)
    assert done.record.uncertainty.quantity == "90% error limit"
    samples = sample_volume(head.mr, calibrated, "ct", samples=2, limits=True).record.uncertainty
    assert (samples.samples, samples.calibrated_on) == (2, None)


def test_a_model_learns_limits_and_keeps_its_translations(small_model, tmp_path):
    """A run from a model without limits, for them alone."""
    from medtranslate.config import TrainSettings

    parent = load_model(str(small_model))
    asked = TrainSettings(
        ct="phantom:0-999",
        mr="phantom:1000-1999",
        out=tmp_path / "run",
        parent=str(small_model),
        images=64,
        every=64,
        batch=4,
        gate=0,
        learning_rate=0.01,
        unpaired=False,
        precision="float32",
        network=replace(parent.description.network, limits=True),
        loss=LossSettings(anchor=0, kl=0, adversarial=0, cycle=0, limit=1),
    )
    done = fit(asked, quiet=True)
    child = load_model(done["model"])
    before, after = parent.generators.state_dict(), child.generators.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert {name.split(".")[1] for name in after.keys() - before.keys()} == {"limits"}
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("limit")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert losses[-1] < 0.7 * losses[0]
    assert describe(tmp_path / "run" / "model").network.limits


def test_limits_that_nothing_estimates_cannot_be_trained(small_model, tmp_path):
    from medtranslate.config import TrainSettings

    asked = TrainSettings(
        ct="phantom:0-9", mr="phantom:10-19", out=tmp_path / "run", loss=LossSettings(limit=1)
    )
    with pytest.raises(SettingsError, match=r"give --network\.limits, or --loss\.limit 0"):
        fit(asked, quiet=True)
