"""The model of whole heads that ships: CT in HU, MR in the contrast that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from medtranslate import cli
from medtranslate.checkpoint import FILES, SHIPPED, facts, load_model
from medtranslate.errors import InputRefused
from medtranslate.io import write_volume
from medtranslate.modality import OTHER
from medtranslate.phantom import LABEL, study
from medtranslate.records import Evaluation, Translation, read_result
from medtranslate.translation import Translator

MODEL = "head-ct"


@pytest.fixture(scope="module")
def head():
    """A digital head that was never trained on, with its labels."""
    return study(900_302, size=64, spacing=3.2, contrast="flair")


@pytest.fixture(scope="module")
def inside(head):
    labels = head.labels.values
    brain = np.isin(labels, [LABEL[name] for name in ("grey matter", "white matter", "deep nuclei")])
    return {"fluid": labels == LABEL["csf"], "brain": brain}


def test_it_ships_whole_and_small():
    files = {path.name: path.stat().st_size for path in (SHIPPED / MODEL).iterdir()}
    assert set(files) == set(FILES)
    assert files["weights.safetensors"] + files["gate.safetensors"] <= 24 * 2**20
    assert facts(MODEL)["output"]["ct"]["range"] == (-1000, 2000)


def test_a_ct_has_air_brain_and_bone(head, tmp_path):
    given, truth, out = (str(tmp_path / f"{name}.nii.gz") for name in ("given", "truth", "out"))
    write_volume(head.mr, given)
    write_volume(head.ct, truth)
    asked = ["translate", given, out, "--to", "ct", "--model", MODEL, "--reference", truth, "--quiet"]
    assert cli.invoke(asked) in (0, 4)
    record = read_result(Translation, tmp_path / "out.translation.json")
    assert record.gate.verdict == "pass"
    assert record.plausibility.bone_outside_ml == 0
    scored = read_result(Evaluation, tmp_path / "out.result.json")
    assert scored.volume["mae"] < 0.8 * min(scores["mae"] for scores in scored.baselines.values())
    assert scored.tissues["bone"].dice > 0.7
    assert scored.tissues["soft tissue"].mae < 40


def test_an_mr_has_the_fluid_of_its_contrast(head, inside):
    brighter = {}
    for contrast in ("t1", "t2", "flair"):
        translator = Translator(load_model(MODEL, contrast=contrast), "mr")
        made = translator.translate(head.ct).volume.values
        brighter[contrast] = np.median(made[inside["fluid"]]) - np.median(made[inside["brain"]])
    assert brighter["t2"] > 20 > -20 > max(brighter["t1"], brighter["flair"])


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_the_other_modality_is_refused(head, modality):
    volume = getattr(head, OTHER[modality]).with_meta(modality=modality)
    with pytest.raises(InputRefused):
        Translator(load_model(MODEL), OTHER[modality]).translate(volume)
