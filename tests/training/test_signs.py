from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from medtranslate.checkpoint import SHIPPED, load_model
from medtranslate.config import TrainSettings
from medtranslate.networks import Generated, Posterior
from medtranslate.training import fit, loop
from medtranslate.training.batches import anchor_slices
from medtranslate.training.signs import (
    WINDOW,
    collapsed,
    discriminators_won,
    linear_correlation,
    near_identity,
    signs,
)
from medtranslate.training.validation import latent_scores, validate

PHANTOM = load_model("phantom")
LATENT = PHANTOM.description.network.latent_channels


@pytest.fixture
def shipped(tmp_path) -> TrainSettings:
    """The settings that the shipped model was trained with, as far as a validation reads them."""
    description = PHANTOM.description
    return TrainSettings(
        ct="phantom:0-9",
        mr="phantom:0-9",
        out=tmp_path,
        network=description.network,
        scale=description.scale,
    )


def test_a_healthy_model_and_its_log_show_no_sign(shipped):
    scores, _ = validate(shipped, PHANTOM.generators, {})
    assert signs(scores, LATENT) == {}
    with (SHIPPED / "phantom" / "log.csv").open(newline="") as file:
        losses = [float(row["discriminator"]) for row in csv.DictReader(file)]
    windows = [sum(losses[i : i + WINDOW]) / WINDOW for i in range(len(losses) - WINDOW)]
    assert len(windows) > 2000
    assert not any(map(discriminators_won, windows))


def test_a_generator_that_hands_its_source_on_shows(shipped):
    posterior = Posterior(torch.randn(4, LATENT, 8, 8), torch.full((4, LATENT, 8, 8), -4.0))
    generators = SimpleNamespace(
        parameters=PHANTOM.generators.parameters,
        to_ct=lambda image: Generated(0.3 - 0.5 * image + 0.02 * torch.randn_like(image), posterior),
        to_mr=lambda image: Generated(image, posterior),
    )
    scores, _ = validate(shipped, generators, {})
    assert set(signs(scores, LATENT)) == {"identity_ct", "identity_mr"}


def test_a_phantoms_own_truth_is_no_identity(shipped):
    known = anchor_slices(shipped, 4, 0)
    assert linear_correlation(known["anchor_ct"], known["anchor_wanted"]) < 0.6
    assert not near_identity(0.6)


def test_the_correlation_is_that_of_the_closest_linear_map():
    source = torch.rand(2, 1, 8, 8)
    assert linear_correlation(source, 0.1 - 3 * source) == pytest.approx(1)
    assert linear_correlation(source, torch.full_like(source, 0.5)) == 0
    noisy = source + 0.3 * torch.randn_like(source)
    expected = torch.corrcoef(torch.stack([source.flatten(), noisy.flatten()]))[0, 1]
    assert linear_correlation(source, noisy) == pytest.approx(float(expected), abs=1e-5)
    dark = torch.where(torch.rand(2, 1, 8, 8) > 0.5, -1.0, source)
    seen = dark > -0.94
    assert linear_correlation(dark, torch.where(seen, dark, torch.rand_like(dark))) == pytest.approx(1)


@pytest.mark.parametrize(
    ("mean", "log_variance", "expected"),
    [(0.0, 0.0, True), (0.1, 0.0, True), (1.0, -4.0, False), (1.0, 0.0, False)],
)
def test_a_posterior_that_is_the_prior_has_collapsed(mean, log_variance, expected):
    posterior = Posterior(mean * torch.randn(4, 8, 8, 8), torch.full((4, 8, 8, 8), log_variance))
    scores = latent_scores(posterior)
    assert collapsed(scores["kl"], scores["active"], 8) == expected


def test_a_posterior_that_moves_in_one_channel_alone_has_collapsed():
    mean = torch.zeros(4, 8, 8, 8)
    mean[:, 0] = 10 * torch.randn(4, 8, 8)
    scores = latent_scores(Posterior(mean, torch.zeros_like(mean)))
    assert scores["kl"] > 1
    assert collapsed(scores["kl"], scores["active"], 8)


def test_discriminators_that_are_never_wrong_have_won():
    assert discriminators_won(0.01)
    assert not discriminators_won(0.5)
    healthy = {"kl_ct": 1.5, "active_ct": 8.0, "linear_ct": 0.5, "discriminator": 0.4}
    assert signs(healthy, 8) == {}
    assert "mean loss 0.002" in signs({**healthy, "discriminator": 0.002}, 8)["discriminators_won"]
    assert signs({"kl_ct": 1.5, "active_ct": 8.0, "linear_ct": 0.5}, 8) == {}


def test_a_sign_is_said_once_and_kept(settings, rows, monkeypatch, capsys):
    monkeypatch.setattr(loop, "validate", dead(loop.validate))
    done = fit(settings, quiet=True)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(said) == 1
    assert said[0].startswith("warning: collapsed_ct: after 8 images the posterior of ct slices")
    assert [said[0].removeprefix("warning: collapsed_ct: ")] == done["warnings"]
    assert [row["warnings"] for row in rows(settings.out / "validation.csv")] == ["collapsed_ct"] * 2
    model = json.loads((settings.out / "model" / "model.json").read_text())
    assert model["training"]["warnings"] == done["warnings"]
    fit(replace(settings, resume=True), quiet=True)
    assert "warning" not in capsys.readouterr().err


def dead(validate):
    """A validation in which the posterior of CT slices carries nothing."""

    def found(*arguments):
        scores, sheet = validate(*arguments)
        return {**scores, "kl_ct": 0.001, "active_ct": 0.0}, sheet

    return found
