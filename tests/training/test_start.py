"""Runs that start from a model instead of noise."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from medtranslate import cli
from medtranslate.checkpoint import (
    as_parent,
    describe,
    facts,
    inherit,
    load_model,
    read_card,
    save_calibration,
)
from medtranslate.errors import ModelRefused, SettingsError, Unreadable
from medtranslate.records import Calibration, Curve
from medtranslate.training import fit, loop

STILL = {"learning_rate": 1e-12, "discriminator_rate": 1e-12}
"""Rates at which a run keeps the weights that it starts from."""


@pytest.fixture
def model(small_model, tmp_path):
    return shutil.copytree(small_model, tmp_path / "parent")


def change(folder, **values):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def begin(settings) -> dict:
    """Checkpoint of a run before its first step."""

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "sides", stop)
        fit(settings, quiet=True)
    return torch.load(settings.out / "checkpoint.pt", weights_only=True)


def test_a_run_on_larger_slices_begins_with_enlarged_weights(settings, model):
    network = describe(model).network
    larger = replace(network, size=2 * network.size, fold=2 * network.fold)
    done = fit(replace(settings, parent=str(model), network=larger, images=4, every=4, **STILL), quiet=True)
    parent, child = load_model(str(model)), load_model(done["model"])
    assert child.description.network.size == 2 * network.size
    image = torch.nn.functional.interpolate(
        torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1, size=network.size
    )
    with torch.no_grad():
        known = parent.generators.to_ct.encode(image).mean
        found = child.generators.to_ct.encode(image.repeat_interleave(2, 2).repeat_interleave(2, 3)).mean
    assert float((found - known).abs().mean()) < 0.1 * float(known.std())


def test_a_run_of_a_deeper_network_begins_with_the_translations_of_its_parent(settings, model):
    network = describe(model).network
    deeper = replace(network, blocks=network.blocks + 1)
    done = fit(replace(settings, parent=str(model), network=deeper, images=4, every=4, **STILL), quiet=True)
    parent, child = load_model(str(model)), load_model(done["model"])
    assert child.description.network == deeper
    image = torch.rand(2, 1, *[network.size] * 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        known, found = (each.generators.to_ct(image).image for each in (parent, child))
    assert float((found - known).abs().mean()) < 0.1 * float(known.std())


def test_a_run_begins_with_the_weights_of_its_parent_and_names_it(settings, model):
    done = fit(replace(settings, parent=str(model), images=4, every=4, **STILL), quiet=True)
    parent, child = load_model(str(model)), load_model(done["model"])
    weights = parent.generators.state_dict()
    for key, value in child.generators.state_dict().items():
        assert torch.allclose(value, weights[key], atol=1e-3)
    known = child.description
    assert (known.parent.name, known.parent.sha256) == ("small", parent.description.sha256)
    assert (known.gate, known.calibration) == (None, {})
    assert f"started from: small, SHA-256 {parent.description.sha256}" in read_card(done["model"])
    assert "weights of small" in (settings.out / "model" / "notice.md").read_text()
    assert facts(done["model"])["parent"]["name"] == "small"


def test_a_run_hands_on_its_discriminators_and_a_model_folder_none(settings, model, tmp_path):
    run = tmp_path / "first"
    fit(replace(settings, out=run, images=4, every=4), quiet=True)
    first = torch.load(run / "checkpoint.pt", weights_only=True)
    shutil.copytree(run / "model", tmp_path / "alone")
    for name, taken in (("first", True), ("first/model", True), ("alone", False)):
        out = tmp_path / "child" / name
        second = begin(replace(settings, out=out, seed=1, parent=str(tmp_path / name)))
        equal = [
            torch.equal(value, first["model"][key])
            for key, value in second["model"].items()
            if key.startswith("discriminators.") and key.endswith("weight")
        ]
        assert all(equal) if taken else not all(equal)
        average = first["average"]
        for part in ("average", "model"):
            for key, value in second[part].items():
                key = key.removeprefix("generators.")
                assert key not in average or torch.equal(value, average[key].half().float())


def test_network_and_scale_come_from_the_parent_on_the_command_line(model, tmp_path, capsys):
    change(model, licence="CC-BY-4.0")
    command = ["train", "--ct", "phantom:0-9", "--mr", "phantom:0-9", "--from", str(model), "--quiet"]
    command += ["--images", "2", "--batch", "2", "--gate", "0", "--workers", "0"]
    refused = {
        "--network.size 64": "network.size is 64 and not 32",
        "--network.channels 8,8 --scale.mr-percentile 99": "network.channels is (8, 8) and not (8, 16)",
        "--scale.ct-window -1000 2000": "scale.ct_window is (-1000.0, 2000.0) and not (-20.0, 100.0)",
    }
    for options, words in refused.items():
        assert cli.invoke([*command, "--out", str(tmp_path / "no"), *options.split()]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: train --from small: ")
        assert words in line
    assert not (tmp_path / "no").exists()
    out = tmp_path / "run"
    assert cli.invoke([*command, "--out", str(out), "--scale.mr-range", "0", "4000"]) == 0
    known = load_model(str(out)).description
    assert known.network == describe(model).network
    assert known.scale == replace(describe(model).scale, mr_range=(0, 4000))
    assert known.licence == known.parent.licence == "CC-BY-4.0"


def test_a_run_is_resumed_without_its_parent(settings, model):
    settings = replace(settings, parent=str(model), images=8, every=4)
    first = begin(settings)
    shutil.rmtree(model)
    values = inherit({"from": str(model), "resume": True, "out": str(settings.out), "network": {"size": 32}})
    assert values["network"]["channels"] == [8, 16]
    done = fit(replace(settings, resume=True), quiet=True)
    assert done["images"] == 8
    assert load_model(done["model"]).description.parent.sha256 == first["parent"]["sha256"]
    with pytest.raises(SettingsError, match="made with other from;"):
        fit(replace(settings, resume=True, parent=None), quiet=True)


@pytest.mark.parametrize("samples", [0, 16])
def test_a_calibration_is_dropped_and_that_is_said(settings, model, samples, capsys):
    known = Calibration(curves=(Curve(value=0, spread=(0.1,), error=(0.2,)),), on="two heads")
    save_calibration(model, {"ct": known}, samples)
    done = fit(replace(settings, parent=str(model), images=4, every=4), quiet=True)
    assert load_model(done["model"]).description.curves(samples) == {}
    assert "medtranslate calibrate" in capsys.readouterr().err
    assert any("calibration of small does not hold" in text for text in done["warnings"])


@pytest.mark.parametrize(
    ("licence", "notice", "allowed"),
    [
        (None, None, True),
        ("CC-BY-SA-4.0", "Share alike.", True),
        ("MIT", "Made in Andorra, by-and-large.", True),
        ("CC-BY-ND-4.0", None, False),
        ("CC-BY-NC-ND-4.0", None, False),
        (None, "Licensed under CC BY-NC-ND 4.0.", False),
        ("LicenseRef-own", "Attribution, No Derivatives.", False),
        (None, "Attribution-NonCommercial-NoDerivs", False),
    ],
)
def test_terms_that_forbid_derived_models_are_refused(settings, model, licence, notice, allowed):
    change(model, licence=licence)
    if notice:
        (model / "notice.md").write_text(notice)
    if allowed:
        parent, text = as_parent(model, describe(model))
        assert parent.licence == licence
        assert (notice or "none is stated") in text
        return
    with pytest.raises(ModelRefused, match="forbids to train on from it"):
        fit(replace(settings, parent=str(model)), quiet=True)
    assert not settings.out.exists()


def test_terms_are_handed_on_from_parent_to_child_to_grandchild(settings, model, tmp_path):
    (model / "notice.md").write_text("# Terms\n\nName the hospital.\n")
    child, grandchild = (replace(settings, out=tmp_path / name, images=2, every=4, batch=2) for name in "ab")
    fit(replace(child, parent=str(model), name="child"), quiet=True)
    fit(replace(grandchild, parent=str(child.out)), quiet=True)
    text = (grandchild.out / "model" / "notice.md").read_text()
    assert "Name the hospital." in text
    assert text.index("weights of child") < text.index("weights of small")


def test_what_cannot_be_a_parent_is_refused_before_anything_is_written(settings, model, tmp_path):
    with pytest.raises(ModelRefused, match="no model of this name"):
        fit(replace(settings, parent="nothing"), quiet=True)
    with pytest.raises(SettingsError, match=r"network\.size is 128 and not 32"):
        fit(replace(settings, parent=str(model), network=type(settings.network)()), quiet=True)
    run = tmp_path / "damaged"
    shutil.copytree(model, run / "model")
    (run / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(Unreadable, match="start from a copy of its model folder"):
        fit(replace(settings, parent=str(run)), quiet=True)
    assert not settings.out.exists()
