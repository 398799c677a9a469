from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from medtranslate.checkpoint import load_model
from medtranslate.config import ScaleSettings
from medtranslate.errors import Diverged, OutputExists, SettingsError, Unreadable
from medtranslate.gate import fit as gate_fit
from medtranslate.model import ImagePool
from medtranslate.networks import Posterior
from medtranslate.training import fit, loop, run
from medtranslate.training.latent import latent_scores
from medtranslate.training.step import average_decay, decayed


def weights(folder):
    return load_model(str(folder)).generators.state_dict()


def test_a_run_leaves_model_log_pictures_and_a_checkpoint(settings, rows):
    done = fit(settings, quiet=True)
    assert done["images"] == 16
    log = rows(settings.out / "log.csv")
    assert [int(row["images"]) for row in log] == [4, 8, 12, 16]
    assert {"adversarial", "cycle", "identity", "kl", "structure", "anchor", "discriminator"} <= set(log[-1])
    validation = rows(settings.out / "validation.csv")
    assert [int(row["images"]) for row in validation] == [8, 16]
    for side in ("ct", "mr"):  # there is no val_mr: phantom slices take its place
        assert {f"{name}_{side}" for name in ("cycle", "linear", "kl", "active")} <= set(validation[-1])
    assert done["linear_mr"] == pytest.approx(float(validation[-1]["linear_mr"]), rel=1e-5)
    pictures = {path.name for path in (settings.out / "pictures").iterdir()}
    assert pictures == {"00000004.png", "00000008.png", "00000016.png", "latent.png"}  # the first comes early
    assert load_model(done["model"]).description.training["images"] == 16
    assert {"settings.yaml", "data.json", "checkpoint.pt"} <= {path.name for path in settings.out.iterdir()}


def test_the_same_seed_gives_the_same_model_and_another_seed_another(settings, tmp_path):
    runs = [(settings.seed, "a"), (settings.seed, "b"), (7, "c")]
    a, b, c = (
        weights(fit(replace(settings, seed=seed, out=tmp_path / name), quiet=True)["model"])
        for seed, name in runs
    )
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


def test_the_anchor_alone_and_the_plain_method_alone_train(settings, tmp_path, rows):
    fit(replace(settings, unpaired=False, out=tmp_path / "anchor", images=8), quiet=True)
    assert "discriminator" not in rows(tmp_path / "anchor" / "log.csv")[0]
    plain = replace(settings.loss, anchor=0)
    fit(replace(settings, loss=plain, out=tmp_path / "plain", images=8), quiet=True)
    with pytest.raises(SettingsError, match="nothing to learn"):
        fit(replace(settings, unpaired=False, loss=plain, out=tmp_path / "none"), quiet=True)


@pytest.mark.parametrize(("only", "other"), [("ct", "mr"), ("mr", "ct")])
def test_one_translation_alone_trains_and_the_other_stays_bit_for_bit(settings, tmp_path, only, other):
    first = fit(replace(settings, unpaired=False, out=tmp_path / "first", images=4), quiet=True)["model"]
    alone = replace(settings, unpaired=False, only=only, parent=str(first), images=8, out=tmp_path / "alone")
    before, after = weights(first), weights(fit(alone, quiet=True)["model"])
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {f"to_{only}" in key for key in changed} == {True}
    assert len(changed) > 10
    with pytest.raises(SettingsError, match="give --no-unpaired too"):
        fit(replace(alone, unpaired=True, out=tmp_path / "both"), quiet=True)


def test_unpaired_images_train_a_model_that_is_told_the_contrast_it_sees(settings, tmp_path):
    network = replace(settings.network, told=7, seen=7)
    hu = ScaleSettings(ct_window=(-1000, 2000), ct_knots=(-20, 100), ct_picture=(-20, 100))
    told = replace(settings, network=network, scale=hu, out=tmp_path / "told", images=8)
    assert fit(told, quiet=True)["images"] == 8
    with pytest.raises(SettingsError, match=r"network\.seen 7"):
        fit(replace(told, network=replace(network, seen=0), out=tmp_path / "blind"), quiet=True)


def test_a_batch_that_cannot_hold_each_slice_twice_is_refused(settings):
    with pytest.raises(SettingsError, match="make it even"):
        fit(replace(settings, batch=3), quiet=True)


def test_a_run_is_not_overwritten_unasked(settings):
    settings.out.mkdir()
    (settings.out / "precious").write_text("kept")
    with pytest.raises(OutputExists, match="did not write"):
        fit(settings, quiet=True)
    with pytest.raises(OutputExists, match="did not write"):
        fit(replace(settings, overwrite=True), quiet=True)
    assert (settings.out / "precious").exists()


def test_images_that_are_refused_cost_no_run(settings, tmp_path):
    lost = replace(settings, ct=str(tmp_path / "nothing"))
    with pytest.raises(Unreadable):
        fit(lost, quiet=True)
    assert not settings.out.exists()
    settings.out.mkdir()
    (settings.out / "settings.yaml").write_text("an earlier run")
    with pytest.raises(Unreadable):
        fit(replace(lost, overwrite=True), quiet=True)
    assert (settings.out / "settings.yaml").read_text() == "an earlier run"


def test_the_run_says_which_images_it_read_and_passed_over(settings, tmp_path, capsys):
    rows, columns = np.ogrid[:48, :48]
    disc = ((rows - 24) ** 2 + (columns - 24) ** 2 < 300).astype(np.uint8)
    (tmp_path / "ct").mkdir()
    for index in range(20):
        Image.fromarray(disc * (100 + index)).save(tmp_path / "ct" / f"{index}.png")
    (tmp_path / "ct" / "bad\nname.png").write_bytes(b"")
    done = fit(replace(settings, ct=str(tmp_path / "ct"), images=4, every=4), quiet=True)
    record = json.loads((settings.out / "data.json").read_text())
    assert (record["ct"]["images"], record["ct"]["slices"]) == (20, 20)
    assert record["warnings"] == [f"ct: passed over: {record['ct']['failures'][0]}"] == done["warnings"][:1]
    assert "bad\\nname.png: empty" in capsys.readouterr().err.splitlines()[0]


def test_a_loss_that_is_not_finite_stops_the_run_and_the_remedy_works(settings):
    with pytest.raises(Diverged, match=r"cycle.*after 12 images"):
        run.require_finite({"cycle": float("nan"), "kl": 1.0}, 12, settings.out)
    with pytest.raises(Diverged, match="--resume and a lower --learning-rate"):
        fit(replace(settings, learning_rate=1e30), quiet=True)
    assert fit(replace(settings, resume=True), quiet=True)["images"] == 16


def test_broken_weights_are_never_kept(settings, monkeypatch):
    """A step's losses are of the weights before it: the last step can break what they do not show."""
    train_step = loop.train_step

    def break_a_judge(settings, players, state, *rest):
        losses = train_step(settings, players, state, *rest)
        if state.images + settings.batch == 8:
            next(state.model.discriminators.parameters()).data[0] = float("inf")
        return losses

    monkeypatch.setattr(loop, "train_step", break_a_judge)
    with pytest.raises(Diverged, match="weights not finite after 8 images"):
        fit(settings, quiet=True)
    assert torch.load(settings.out / "checkpoint.pt", weights_only=True)["images"] == 0
    assert not (settings.out / "model").exists()


def test_no_process_outlives_a_run_whose_error_is_kept(settings, monkeypatch):
    """As a notebook keeps it: the interpreter could not end while such a process waits for work."""

    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(loop, "train_step", fail)
    with pytest.raises(RuntimeError) as kept:
        fit(replace(settings, workers=2), quiet=True)
    assert kept.tb is not None
    assert not multiprocessing.active_children()


def test_the_average_forgets_the_weights_that_a_run_began_with():
    for steps, left in ((50, 1e-4), (375, 1e-4), (20_000, 1e-4)):
        held = 1.0
        for step in range(steps):
            held *= average_decay(step, 0.998)
        assert held < left
    assert average_decay(0, 0) == 0
    assert average_decay(20_000, 0.998) == 0.998


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
    assert collapsed == {
        "kl": 0,
        "active": 0,
        "aggregate_mean": 0,
        "aggregate_variance": 1,
        "prior_gap": 0,
    }
    alive = latent_scores(Posterior(torch.randn(4, 3, 8, 8), torch.full((4, 3, 8, 8), -4.0)))
    assert alive["active"] == 3
    assert alive["kl"] > 1


def test_a_run_ends_with_a_gate_and_a_finished_one_gets_it_when_it_goes_on(settings, monkeypatch):
    for name, value in {"MOST": 12, "PHANTOMS": 12, "MADE": 4}.items():
        monkeypatch.setattr(gate_fit, name, value)
    done = fit(settings, quiet=True)
    assert load_model(done["model"]).gate is None
    again = fit(replace(settings, resume=True, gate=2), quiet=True)
    gate = load_model(again["model"]).gate
    assert gate is not None
    assert not gate.training
    assert (gate.limits[:, :, 1] <= gate.limits[:, :, 0]).all()
