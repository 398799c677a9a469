"""The model that `translate` takes where none is named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medtranslate import cli
from medtranslate.checkpoint import FILES, SHIPPED, facts, list_models, load_model
from medtranslate.config import PATIENTS
from medtranslate.io import read_volume, write_volume
from medtranslate.io.layout import to_axial
from medtranslate.phantom import LABEL, study
from medtranslate.records import Evaluation, Translation, read_result
from medtranslate.translation import translate_volume

MIB = 2**20


@pytest.fixture(scope="module")
def head():
    """A digital head that was never trained on, in T2 and CT."""
    made = study(900_301, size=64, spacing=3.2, contrast="t2")
    return {"ct": made.ct, "mr": made.mr, "labels": made.labels}


def test_the_model_for_patients_ships_whole_and_small():
    assert PATIENTS in {model.name for model in list_models()}
    files = {path.name: path.stat().st_size for path in (SHIPPED / PATIENTS).iterdir()}
    assert set(files) == set(FILES)
    assert files["weights.safetensors"] + files["gate.safetensors"] <= 16 * MIB
    known = facts(PATIENTS)
    assert known["foreign"] == []
    assert {"weights.safetensors", "gate.safetensors"} <= set(known["digests"])


@pytest.mark.parametrize(("source", "to"), [("mr", "ct"), ("ct", "mr")])
def test_it_knows_more_than_doing_nothing(head, source, to, tmp_path):
    given, truth, out = (str(tmp_path / f"{name}.nii.gz") for name in ("given", "truth", "out"))
    write_volume(head[source], given)
    write_volume(head[to], truth)
    assert cli.invoke(["translate", given, out, "--to", to, "--reference", truth, "--quiet"]) == 0
    record = read_result(Translation, tmp_path / "out.translation.json")
    assert (record.model.name, record.gate.verdict) == (PATIENTS, "pass")
    scored = read_result(Evaluation, tmp_path / "out.result.json")
    assert set(scored.baselines) == {"source copied", "histogram match", "mean image"}
    assert scored.volume["mae"] < 0.8 * min(scores["mae"] for scores in scored.baselines.values())


@pytest.mark.parametrize(("source", "to"), [("mr", "mr"), ("ct", "ct")])
def test_the_other_modality_is_refused(head, source, to, tmp_path, capsys):
    given, out = tmp_path / "in.nii.gz", tmp_path / "out.nii.gz"
    write_volume(head[source], given)
    assert cli.invoke(["translate", str(given), str(out), "--to", to]) == 3
    assert "error:" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(("source", "to", "air"), [("mr", "ct", 0.0), ("ct", "mr", -1000.0)])
def test_a_brain_without_its_skull_is_refused(head, source, to, air, tmp_path, capsys):
    names = ("grey matter", "white matter", "deep nuclei", "brainstem", "cerebellar cortex", "csf")
    brain = np.isin(head["labels"].values, [LABEL[name] for name in names])
    labels, _ = ndimage.label(ndimage.binary_opening(brain))
    brain = ndimage.binary_closing(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]), iterations=2)
    bare = head[source].with_values(np.where(brain, head[source].values, air))
    given, out = tmp_path / "bare.nii.gz", tmp_path / "out.nii.gz"
    write_volume(bare, given)
    assert cli.invoke(["translate", str(given), str(out), "--to", to]) == 3
    assert "refused by the input gate" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("nifti/t1-template", "mr"),
        ("nifti/mr-t1-head", "mr"),
        ("heads/mr/flair-2d-torchio-fernando", "mr"),
        ("heads/mr/flair-3d-py_synthsr", "mr"),
        ("heads/mr/t2-brain_037", "mr"),
        ("nifti/ct-template-hu", "ct"),
        ("heads/ct-hu/invesalius-cranium", "ct"),
        ("heads/ct-hu/stanford-cthead", "ct"),
    ],
)
def test_whole_heads_of_persons_pass(name, modality, shared_data):
    volume = read_volume(shared_data / f"{name}.nii.gz", modality=modality)
    _, record = translate_volume(volume, load_model(PATIENTS), "ct" if modality == "mr" else "mr")
    assert record.gate.verdict == "pass"


def test_a_head_of_a_person_gets_a_skull(shared_data, tmp_path):
    source, out = shared_data / "nifti" / "mr-t1-head.nii.gz", tmp_path / "ct.nii.gz"
    assert cli.invoke(["translate", str(source), str(out), "--to", "ct", "--quiet"]) == 0
    given, made = read_volume(source, modality="mr"), read_volume(out, modality="ct")
    np.testing.assert_allclose(made.affine, given.affine, atol=1e-4)
    assert made.shape == given.shape
    ct = to_axial(made).values
    # A slice well above the eyes: one closed ring of bone, with brain of 20 to 45 HU in it.
    middle = ct[:, :, round(0.68 * ct.shape[2])]
    bone = middle > 70
    inside = ndimage.binary_fill_holes(bone) & ~ndimage.binary_dilation(bone, iterations=4)
    assert inside.sum() > 0.25 * (middle > -15).sum()
    assert 20 < np.median(middle[inside]) < 45
