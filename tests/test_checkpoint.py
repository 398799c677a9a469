from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from medtranslate.checkpoint import (
    MAX_TEXT,
    facts,
    list_models,
    load_model,
    read_card,
    save_calibration,
    save_model,
)
from medtranslate.errors import ModelRefused
from medtranslate.records import Calibration, Curve


@pytest.fixture
def folder(small_model, tmp_path):
    return shutil.copytree(small_model, tmp_path / "model")


def change(folder, **values):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_model_comes_back_as_it_was_saved(folder):
    first, second = load_model(str(folder)), load_model(str(folder))
    image = torch.rand(1, 1, 32, 32)
    made = first.translator("ct")(image).image
    assert torch.equal(made, second.translator("ct")(image).image)
    assert not torch.allclose(made, first.translator("mr")(image).image)
    assert not first.generators.training
    assert first.means["ct"].shape == (1, 32, 32)
    assert first.info("ct").output_range == (-20, 100)
    assert first.info("mr").output_range == (0, 1000)


def test_the_same_weights_have_the_same_digest_whenever_they_are_saved(folder, tmp_path):
    model = load_model(str(folder))
    digests = set()
    for attempt in range(8):
        again = tmp_path / str(attempt)
        again.mkdir()
        known = model.description
        saved = save_model(
            again,
            model.generators,
            model.means,
            name=known.name,
            summary=known.summary,
            network=known.network,
            scale=known.scale,
            training={},
        )
        digests.add(saved.sha256)
    assert digests == {model.description.sha256}


def test_a_calibration_comes_back_with_the_model(folder):
    curve = Curve(value=0, spread=(0.01, 0.02), error=(0.1, 0.3))
    known = Calibration(curves=(curve,), on="two heads")
    before = load_model(str(folder)).description
    save_calibration(folder, {"ct": known}, samples=16)
    assert load_model(str(folder)).description == replace(before, calibration={"ct": known})
    assert facts(str(folder))["calibrated"] == {"ct": "two heads"}


def test_a_calibration_from_before_error_limits_is_one_of_root_mean_squares(folder):
    curve = {"value": 0, "spread": [0.01, 0.02], "error": [0.1, 0.3]}
    change(folder, calibration={"ct": {"curves": [curve], "on": "two heads"}})
    known = load_model(str(folder)).description.calibration["ct"]
    assert known.share is None
    assert "root mean square error" in known.meaning


@pytest.mark.parametrize("share", [0, 1, "most"])
def test_a_share_that_is_none_is_refused(folder, share):
    curve = {"value": 0, "spread": [0.01], "error": [0.3]}
    change(folder, calibration={"ct": {"curves": [curve], "on": "two heads", "share": share}})
    with pytest.raises(ModelRefused, match=r"calibration\.ct\.share"):
        load_model(str(folder))


def test_a_calibration_that_falls_is_refused(folder):
    curve = {"value": 0, "spread": [0.01, 0.02], "error": [0.3, 0.1]}
    change(folder, calibration={"ct": {"curves": [curve], "on": "two heads"}})
    with pytest.raises(ModelRefused, match=r"calibration\.ct\.curves\.0: value error, error falls"):
        load_model(str(folder))


def test_altered_weights_are_refused(folder):
    weights = folder / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(ModelRefused, match="altered weights"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"schema": "medtranslate/model/2"}, "schema"),
        ({"network": {"sizes": 3}}, "sizes"),
        ({"extra": 1}, "extra"),
        ({"sha256": None}, "sha256"),
        ({"name": "../../elsewhere"}, "name"),
        ({"name": "red\x1b[31m"}, "name"),
        ({"scale": {"ct_window": [100, -20]}}, "lower end"),
        ({"scale": {"mr_range": [0, float("inf")]}}, "finite"),
        ({"network": {"blocks": 10**9}}, "blocks"),
    ],
)
def test_a_description_of_another_form_is_refused(folder, values, words):
    change(folder, **values)
    with pytest.raises(ModelRefused, match=words):
        load_model(str(folder))


@pytest.mark.parametrize("values", [{"scale": {"ct_window": [-1000, 1000]}}, {"network": {"margin": 0.2}}])
def test_weights_keep_the_meaning_they_were_made_with(folder, values):
    """What stands in model.json alone could be changed without changing the digest."""
    known = json.loads((folder / "model.json").read_text())
    change(folder, **{key: {**known[key], **value} for key, value in values.items()})
    with pytest.raises(ModelRefused, match=f"altered {next(iter(values))}"):
        load_model(str(folder))


def test_weights_without_their_meaning_are_still_read(folder):
    tensors = load_file(folder / "weights.safetensors")
    save_file(tensors, folder / "weights.safetensors")
    raw = (folder / "weights.safetensors").read_bytes()
    change(folder, sha256=hashlib.sha256(raw).hexdigest())
    assert load_model(str(folder)).means["ct"].shape == (1, 32, 32)
    tensors.pop("means.mr")
    save_file(tensors, folder / "weights.safetensors")
    raw = (folder / "weights.safetensors").read_bytes()
    change(folder, sha256=hashlib.sha256(raw).hexdigest())
    with pytest.raises(ModelRefused, match="do not fit"):
        load_model(str(folder))


def test_a_large_network_is_refused_before_it_is_allocated(folder):
    """Sixteen thousand million parameters of a description with few weights."""
    tensors = load_file(folder / "weights.safetensors")
    save_file(tensors, folder / "weights.safetensors")
    raw = (folder / "weights.safetensors").read_bytes()
    network = json.loads((folder / "model.json").read_text())["network"]
    network |= {"channels": [4096] * 4, "blocks": 8}
    change(folder, network=network, sha256=hashlib.sha256(raw).hexdigest())
    with pytest.raises(ModelRefused, match="do not fit"):
        load_model(str(folder))


def test_a_name_is_a_model_that_ships_or_a_folder_from_here(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert load_model("model").description.name == "small"
    with pytest.raises(ModelRefused, match="no model of this name"):
        load_model("../models/phantom")  # leads from the shipped models' folder to one, from here to none


def test_a_run_stands_for_its_model(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "runs" / "mine" / "model").parents[1])
    assert load_model("mine").description.name == "small"
    assert facts("mine")["card"].startswith("# small")
    (tmp_path / "runs" / "mine" / "model").rename(tmp_path / "runs" / "mine" / "other")
    with pytest.raises(ModelRefused, match="holds 1 models; name one of them, as --model mine/other"):
        load_model("mine")
    with pytest.raises(ModelRefused, match="no model of this name"):
        load_model(".")
    (tmp_path / "runs" / "mine" / "checkpoint.pt").touch()
    with pytest.raises(ModelRefused, match="a training run that has no model yet"):
        load_model("mine")


def test_facts_are_checked_and_complete(folder):
    (folder / "weights.pt").write_bytes(b"a pickle, perhaps")
    known = facts(str(folder))
    assert known["digests"]["weights.safetensors"] == load_model(str(folder)).description.sha256
    assert known["parameters"]["to_ct"] == known["parameters"]["to_mr"] > 1000
    assert known["output"]["mr"] == {"range": (0, 1000), "unit": "a.u."}
    assert known["foreign"] == ["weights.pt"]
    assert json.dumps(known)
    (folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelRefused, match="altered weights"):
        facts(str(folder))


@pytest.mark.parametrize("content", ["[" * 100_000, " " * MAX_TEXT + "{}"], ids=["nested", "huge"])
def test_text_that_would_exhaust_the_reader_is_refused(folder, content):
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelRefused, match="not a model of this version"):
        load_model(str(folder))


def test_a_model_of_another_version_is_refused_with_what_to_do(folder):
    change(folder, schema="medtranslate/model/2", novelty=1)
    with pytest.raises(ModelRefused, match="update medtranslate"):
        load_model(str(folder))


@pytest.mark.parametrize("content", ["", "[]", "no json", '"text"'])
def test_what_is_no_description_is_refused(folder, content):
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelRefused, match="not a model of this version"):
        load_model(str(folder))


def test_missing_weights_and_unknown_names_are_refused(folder):
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelRefused, match="cannot be read"):
        load_model(str(folder))
    with pytest.raises(ModelRefused, match="at hand"):
        load_model("no-such-model")


@pytest.mark.parametrize("model", list_models(), ids=lambda model: model.name)
def test_a_shipped_model_loads_and_has_a_card(model):
    assert load_model(model.name).description == model
    assert model.name in read_card(model.name)


def test_models_are_listed_and_shown_without_loading_torch():
    script = (
        "import sys; from medtranslate.checkpoint import facts, list_models\n"
        "assert len(list_models()) > 1 and facts('phantom')['parameters']['to_ct'] > 1000\n"
        "print({'torch', 'monai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
