from __future__ import annotations

import json
import shutil

import pytest
import torch

from medtranslate.checkpoint import card, list_models, load_model
from medtranslate.errors import ModelRefused


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


def test_altered_weights_are_refused(folder):
    weights = folder / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(ModelRefused, match="altered weights"):
        load_model(str(folder))


def test_weights_for_another_network_are_refused(folder):
    network = json.loads((folder / "model.json").read_text())["network"]
    change(folder, network={**network, "channels": [16, 16]})
    with pytest.raises(ModelRefused, match="do not fit"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"schema": "medtranslate/model/2"}, "schema"),
        ({"network": {"sizes": 3}}, "sizes"),
        ({"extra": 1}, "extra"),
        ({"sha256": None}, "sha256"),
    ],
)
def test_a_description_of_another_form_is_refused(folder, values, words):
    change(folder, **values)
    with pytest.raises(ModelRefused, match=words):
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
    assert model.name in card(model.name)
