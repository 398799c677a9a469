"""The model that `translate` takes where none is named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medtranslate import cli
from medtranslate.checkpoint import FILES, SHIPPED, facts, list_models
from medtranslate.config import PATIENTS
from medtranslate.io import read_volume, write_volume
from medtranslate.phantom import study
from medtranslate.result import Result, Translation, read_result
from medtranslate.transforms import to_axial

MIB = 2**20


@pytest.fixture(scope="module")
def head():
    """A digital head that was never trained on, in T2 and CT."""
    made = study(900_301, size=64, spacing=3.2, contrast="t2")
    return {"ct": made.ct, "mr": made.mr}


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
    scored = read_result(Result, tmp_path / "out.result.json")
    assert set(scored.baselines) == {"source copied", "histogram match", "mean image"}
    assert scored.volume.mae < 0.8 * min(scores.mae for scores in scored.baselines.values())


@pytest.mark.parametrize(("source", "to"), [("mr", "mr"), ("ct", "ct")])
def test_the_other_modality_is_refused(head, source, to, tmp_path, capsys):
    given, out = tmp_path / "in.nii.gz", tmp_path / "out.nii.gz"
    write_volume(head[source], given)
    assert cli.invoke(["translate", str(given), str(out), "--to", to]) == 3
    assert "error:" in capsys.readouterr().err
    assert not out.exists()


def test_a_head_of_a_person_gets_a_skull(shared_data, tmp_path):
    source, out = shared_data / "nifti" / "mr-t1-head.nii.gz", tmp_path / "ct.nii.gz"
    assert cli.invoke(["translate", str(source), str(out), "--to", "ct", "--quiet"]) == 0
    given, made = read_volume(source, modality="mr"), read_volume(out, modality="ct")
    np.testing.assert_allclose(made.affine, given.affine, atol=1e-4)
    assert made.shape == given.shape
    ct = to_axial(made).numpy()[0]
    # A slice well above the eyes: one closed ring of bone, with brain of 20 to 45 HU in it.
    middle = ct[:, :, round(0.68 * ct.shape[2])]
    bone = middle > 70
    inside = ndimage.binary_fill_holes(bone) & ~ndimage.binary_dilation(bone, iterations=4)
    assert inside.sum() > 0.25 * (middle > -15).sum()
    assert 20 < np.median(middle[inside]) < 45
