from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from skimage.exposure import match_histograms

from medtranslate.checkpoint import SHIPPED, load_model
from medtranslate.config import ScaleSettings, TrainSettings
from medtranslate.data import Source, open_sources
from medtranslate.networks import Generated, Posterior
from medtranslate.training import fit, run
from medtranslate.training.diagnostics import (
    WINDOW,
    bone_brightness,
    collapsed,
    discriminators_won,
    linear_correlation,
    near_identity,
    relative_size,
    signs,
    target_likeness,
)
from medtranslate.training.latent import latent_scores
from medtranslate.training.synthetic_pairs import anchor_slices
from medtranslate.training.validation import validate
from medtranslate.transforms import Frame, into_frame

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


@pytest.fixture(params=["phantom", "real"])
def sources(request, shipped, tmp_path) -> dict[str, Source]:
    """None, so that phantoms validate, or real pictures."""
    if request.param == "phantom":
        return {}
    folders = {"val_ct": "valA", "val_mr": "valB"}
    for key, name in folders.items():
        pictures = sorted((request.getfixturevalue("shared_data") / "brain-ct-mr" / name).iterdir())
        (tmp_path / key).mkdir()
        for picture in pictures[:: len(pictures) // 12]:
            (tmp_path / key / picture.name).symlink_to(picture)
    named = {key: str(tmp_path / key) for key in folders}
    return open_sources(replace(shipped, **named), quiet=True).sources


def stand_in(to_ct, to_mr) -> SimpleNamespace:
    """A model of two functions of slices, whose posterior is healthy."""

    def generator(function):
        posterior = Posterior(torch.randn(4, LATENT, 8, 8), torch.full((4, LATENT, 8, 8), -4.0))
        return lambda image: Generated(function(image), posterior)

    return SimpleNamespace(
        parameters=PHANTOM.generators.parameters, to_ct=generator(to_ct), to_mr=generator(to_mr)
    )


def working(to):
    return lambda image: PHANTOM.translator(to)(image).image


def monotone(like):
    """Every grey value becomes another, the brighter the brighter, so that both sets look alike."""

    def translated(image):
        seen = image > -0.94
        made = match_histograms(image[seen].numpy(), like[like > -0.94].numpy())
        return torch.full_like(image, -1.0).masked_scatter(seen, torch.from_numpy(made).float())

    return translated


def zoomed(function, factor):
    side = PHANTOM.description.network.size
    edge = round(side * (1 / factor - 1) / 2)
    frame = Frame(-edge, -edge, side + 2 * edge, side + 2 * edge)
    return lambda image: into_frame(function(image), frame, side)


def test_a_healthy_model_and_its_log_show_no_sign(shipped, sources):
    seen = validate(shipped, PHANTOM.generators, sources)
    assert signs(seen.scores, LATENT) == {}
    with (SHIPPED / "phantom" / "log.csv").open(newline="") as file:
        losses = [float(row["discriminator"]) for row in csv.DictReader(file)]
    windows = [sum(losses[i : i + WINDOW]) / WINDOW for i in range(len(losses) - WINDOW)]
    assert len(windows) > 2000
    assert not any(map(discriminators_won, windows))


def test_a_generator_that_hands_its_source_on_shows(shipped, sources):
    model = stand_in(lambda mr: 0.3 - 0.5 * mr + 0.02 * torch.randn_like(mr), lambda ct: ct)
    assert found(shipped, model, sources) == {"identity_ct", "identity_mr"}


def test_one_that_stays_nearer_to_its_source_than_to_its_target_shows(shipped, sources):
    to_ct, to_mr = working("ct"), working("mr")
    model = stand_in(lambda mr: 0.3 * to_ct(mr) + 0.7 * mr, lambda ct: 0.3 * to_mr(ct) + 0.7 * ct)
    assert found(shipped, model, sources) == {"identity_ct", "identity_mr"}


def test_one_that_makes_bone_of_what_is_bright_shows(shipped, sources):
    known = anchor_slices(shipped, 8, 0)
    real = {side: source.fixed(8) for side, source in sources.items()}
    ct, mr = real.get("val_ct", known["anchor_ct"]), real.get("val_mr", known["anchor_wanted"])
    assert found(shipped, stand_in(monotone(ct), monotone(mr)), sources) == {"polarity_ct", "polarity_mr"}


@pytest.mark.parametrize("factor", [0.75, 1.3])
def test_one_that_changes_the_size_of_heads_shows(shipped, sources, factor):
    model = stand_in(zoomed(working("ct"), factor), zoomed(working("mr"), factor))
    assert found(shipped, model, sources) == {"framing_ct", "framing_mr"}


def test_beginners_are_in_no_trap_yet():
    scores = {"kl_ct": 1.5, "active_ct": 8.0, "prior_gap_ct": 0.2}
    scores |= {"linear_ct": 0.95, "likeness_ct": 0.7, "bone_ct": 0.0, "size_ct": 1.3}
    assert signs(scores, 8, share=0.4) == {}
    assert set(signs(scores, 8, share=0.6)) == {"identity_ct", "framing_ct"}


def found(settings, model, sources) -> set[str]:
    return set(signs(validate(settings, model, sources).scores, LATENT))


def test_a_phantoms_own_truth_is_no_identity(shipped):
    known = anchor_slices(shipped, 4, 0)
    assert linear_correlation(known["anchor_ct"], known["anchor_wanted"]) < 0.6
    assert not near_identity(0.6, 1.0)


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


@pytest.mark.parametrize(
    ("mean", "spread", "ignored"), [(0, 1, False), (0, 0.5, False), (2, 1, True), (0, 4, True)]
)
def test_a_latent_that_lies_elsewhere_than_its_prior_ignores_it(shipped, mean, spread, ignored):
    posterior = Posterior(mean + spread * torch.randn(8, 8, 16, 16), torch.full((8, 8, 16, 16), -4.0))
    scores = validate(shipped, PHANTOM.generators, {}).scores
    scores |= {f"{name}_ct": value for name, value in latent_scores(posterior).items()}
    assert set(signs(scores, LATENT)) == ({"prior_ignored_ct"} if ignored else set())


def test_discriminators_that_are_never_wrong_have_won():
    assert discriminators_won(0.01)
    assert not discriminators_won(0.5)
    assert signs({"discriminator": 0.4}, 8) == {}
    assert "mean loss 0.002" in signs({"discriminator": 0.002}, 8)["discriminators_won"]
    assert signs({}, 8) == {}


def test_a_sign_is_said_once_and_kept(settings, rows, monkeypatch, capsys):
    monkeypatch.setattr(run, "validate", dead(run.validate))
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


def test_a_trap_that_a_run_comes_out_of_is_not_kept(settings, rows, monkeypatch, capsys):
    validate, sizes = run.validate, iter((1.4, 1.4, 1.0))  # the first is of the early pictures

    def large(*arguments):
        seen = validate(*arguments)
        return replace(
            seen, scores={**seen.scores, "size_ct": next(sizes), "linear_mr": 0.95, "bone_mr": 0.0}
        )

    monkeypatch.setattr(run, "validate", large)
    done = fit(settings, quiet=True)
    assert "warning: framing_ct: after 8 images" in capsys.readouterr().err
    found = [row["warnings"].split() for row in rows(settings.out / "validation.csv")]
    assert [("framing_ct" in names, "identity_mr" in names) for names in found] == [
        (True, True),
        (False, True),
    ]
    assert not any("heads change their size in translations of ct" in text for text in done["warnings"])
    assert any("translations of mr slices are their source" in text for text in done["warnings"])


def dead(validate):
    """A validation in which the posterior of CT slices carries nothing."""

    def found(*arguments):
        seen = validate(*arguments)
        return replace(seen, scores={**seen.scores, "kl_ct": 0.001, "active_ct": 0.0})

    return found


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


def test_likeness_is_the_share_of_the_way_from_source_to_target():
    source, target = torch.rand(2, 2, 1, 16, 16).double()
    target = 0.5 * target
    assert target_likeness(source, source, target) == 0
    assert target_likeness(source, target, target) == 1
    made = 0.25 * source
    ways = [wasserstein_distance(made.flatten(), other.flatten()) for other in (source, target)]
    assert target_likeness(source, made, target) == pytest.approx(ways[0] / sum(ways), abs=0.03)
    assert target_likeness(source, torch.full_like(made, -1.0), target) == 0.5


@pytest.mark.parametrize(("window", "bone"), [((-20.0, 100.0), 0.95), ((-1000.0, 2000.0), 0.0)])
def test_bone_is_as_bright_as_the_share_of_the_head_that_is_darker(window, bone):
    scale = ScaleSettings(ct_window=window)
    ct = torch.full((3, 1, 20, 20), -0.2)
    ct[..., :4] = bone
    mr = torch.linspace(-0.5, 0.9, 20).expand(3, 1, 20, 20)
    assert bone_brightness(ct, mr, scale) == 0
    assert bone_brightness(ct, -mr, scale) == 1
    assert bone_brightness(ct, torch.zeros_like(mr), scale) == 0.5
    assert bone_brightness(ct.clamp(max=-0.2), mr, scale) == 0  # no bone


def disc(radius: float) -> torch.Tensor:
    rows, columns = np.ogrid[:96, :96]
    inside = (rows - 48) ** 2 + (columns - 48) ** 2 < radius**2
    return torch.from_numpy(np.where(inside, 0.3, -1.0)).float()[None, None]


def test_size_is_the_ratio_of_the_extents():
    several = torch.cat([disc(20), disc(24), disc(30)])
    assert relative_size(several, several, "ct") == 1
    halved = torch.cat([disc(10), disc(12), disc(15)])
    assert relative_size(several, halved, "mr") == pytest.approx(0.5, abs=0.06)
    # Without a head, or without anything else, there is no size.
    assert relative_size(several, torch.full_like(several, -1.0), "ct") is None
    assert relative_size(several, torch.zeros_like(several), "ct") is None
    one_left = torch.cat([halved[:1], torch.full_like(several[1:], -1.0)])
    assert relative_size(several, one_left, "ct") == pytest.approx(0.5, abs=0.06)
