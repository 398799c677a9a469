from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch

from medtranslate.checkpoint import load_model
from medtranslate.config import LossSettings, TrainSettings
from medtranslate.errors import Diverged, OutputExists, SettingsError
from medtranslate.model import ImagePool
from medtranslate.networks import Posterior
from medtranslate.training import fit, loop
from medtranslate.training.loop import decayed
from medtranslate.training.validation import latent_scores


@pytest.fixture
def settings(tmp_path, small_model):
    return TrainSettings(
        ct="phantom:0-999",
        mr="phantom:1000-1999",
        val_ct="phantom:5000-5000",
        out=tmp_path / "run",
        images=16,
        every=8,
        batch=4,
        pool=4,
        precision="float32",
        network=load_model(str(small_model)).description.network,
        loss=LossSettings(identity=1, structure=1),
    )


def read(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


def weights(folder):
    return load_model(str(folder)).generators.state_dict()


def test_a_run_leaves_model_log_pictures_and_a_checkpoint(settings):
    done = fit(settings, quiet=True)
    assert done["images"] == 16
    rows = read(settings.out / "log.csv")
    assert [int(row["images"]) for row in rows] == [4, 8, 12, 16]
    assert {"adversarial", "cycle", "identity", "kl", "structure", "anchor", "discriminator"} <= set(rows[-1])
    assert [int(row["images"]) for row in read(settings.out / "validation.csv")] == [8, 16]
    assert len(list((settings.out / "pictures").iterdir())) == 2
    assert load_model(done["model"]).description.training["images"] == 16


def test_the_same_seed_gives_the_same_model_and_another_seed_another(settings, tmp_path):
    runs = [(settings.seed, "a"), (settings.seed, "b"), (7, "c")]
    a, b, c = (
        weights(fit(replace(settings, seed=seed, out=tmp_path / name), quiet=True)["model"])
        for seed, name in runs
    )
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


def test_a_resumed_run_ends_like_one_that_never_stopped(settings, tmp_path, monkeypatch):
    whole = weights(fit(replace(settings, out=tmp_path / "whole"), quiet=True)["model"])

    original = loop._require_finite

    def stop(values, images, out):
        original(values, images, out)
        if images > 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_require_finite", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(settings, quiet=True)
    monkeypatch.setattr(loop, "_require_finite", original)
    resumed = weights(fit(replace(settings, resume=True), quiet=True)["model"])
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_run_does_not_go_on_with_other_settings(settings):
    fit(settings, quiet=True)
    with pytest.raises(SettingsError, match="made with other batch, loss"):
        fit(replace(settings, resume=True, batch=8, loss=LossSettings()), quiet=True)
    assert fit(replace(settings, resume=True, images=20), quiet=True)["images"] == 20


def test_the_anchor_alone_and_the_plain_method_alone_train(settings, tmp_path):
    fit(replace(settings, unpaired=False, out=tmp_path / "anchor"), quiet=True)
    plain = replace(settings.loss, anchor=0)
    fit(replace(settings, loss=plain, out=tmp_path / "plain"), quiet=True)
    with pytest.raises(SettingsError, match="nothing to learn"):
        fit(replace(settings, unpaired=False, loss=plain, out=tmp_path / "none"), quiet=True)


def test_a_run_is_not_overwritten_unasked(settings):
    settings.out.mkdir()
    (settings.out / "precious").write_text("kept")
    with pytest.raises(OutputExists, match="--resume"):
        fit(settings, quiet=True)
    assert (settings.out / "precious").exists()
    with pytest.raises(SettingsError, match="no checkpoint"):
        fit(replace(settings, resume=True), quiet=True)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_model(settings):

    with pytest.raises(Diverged, match=r"cycle.*after 12 images"):
        loop._require_finite({"cycle": float("nan"), "kl": 1.0}, 12, settings.out)
    with pytest.raises(Diverged):
        fit(replace(settings, learning_rate=1e30), quiet=True)


def test_the_learning_rate_stays_and_then_falls_to_zero():
    assert [decayed(share, 0.5) for share in (0, 0.5, 0.75, 1)] == [1, 1, 0.5, 0]
    assert decayed(0.9, 0) == 1


def test_the_pool_shows_past_images_about_half_the_time():
    pool, generator = ImagePool(50), torch.Generator().manual_seed(0)
    shown = [float(pool.exchange(torch.full((1, 1, 1, 1), float(i)), generator)) for i in range(1000)]
    assert shown[:50] == list(range(50))
    fresh = sum(image == i for i, image in enumerate(shown[50:], 50))
    assert 400 < fresh < 550
    assert len(set(shown)) == len(shown) - sum(shown.count(image) > 1 for image in set(shown))
    empty = ImagePool(0)
    assert [float(empty.exchange(torch.full((1, 1, 1, 1), float(i)), generator)) for i in range(5)] == list(
        range(5)
    )


def test_a_collapsed_posterior_shows_in_the_scores():
    collapsed = latent_scores(Posterior(torch.zeros(4, 3, 8, 8), torch.zeros(4, 3, 8, 8)))
    assert collapsed == {"kl": 0, "active": 0, "aggregate_mean": 0, "aggregate_variance": 1}
    alive = latent_scores(Posterior(torch.randn(4, 3, 8, 8), torch.full((4, 3, 8, 8), -4.0)))
    assert alive["active"] == 3
    assert alive["kl"] > 1
