"""A bundle is run by MONAI's own workflow, and compared with what `translate` computes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai import bundle as monai_bundle
from monai.bundle import ConfigWorkflow

from medtranslate.checkpoint import load_model
from medtranslate.cli import invoke
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.modality import OTHER
from medtranslate.phantom import study
from medtranslate.records import Translation, read_result
from medtranslate.translation import Translator

pytest.importorskip("ignite")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A digital head in both modalities; the MR is stored from head to feet, its axes exchanged."""
    head = study(910_003, size=40, spacing=6.0)
    folder = tmp_path_factory.mktemp("sources")
    turned = head.mr.values.transpose(2, 0, 1)[::-1]
    affine = head.mr.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * (turned.shape[0] - 1)
    affine[:3, 0] *= -1
    paths = {"ct": folder / "ct.nii.gz", "mr": folder / "mr.nii.gz"}
    write_volume(head.ct, paths["ct"])
    write_volume(Volume(np.ascontiguousarray(turned), affine), paths["mr"])
    return paths


def run(bundle: Path, **values: Any) -> None:
    config = str(bundle / "configs" / "inference.json")
    meta = str(bundle / "configs" / "metadata.json")
    values |= {"bundle_root": str(bundle), "device": "$torch.device('cpu')"}
    workflow = ConfigWorkflow(
        config_file=config, meta_file=meta, workflow_type="infer", logging_file=False, **values
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    workflow.run()


def put(source: Path, folder: Path) -> dict[str, str]:
    (folder / "in").mkdir()
    shutil.copy(source, folder / "in")
    return {"dataset_dir": str(folder / "in"), "output_dir": str(folder / "out")}


@pytest.mark.parametrize("to", ["ct", "mr"])
def test_monai_translates_to_the_voxels_of_translate(bundle, gated_model, sources, tmp_path, to):
    source = sources[OTHER[to]]
    run(bundle, to=to, **put(source, tmp_path))
    name = f"{OTHER[to]}_synthetic-{to}"
    made = nib.load(tmp_path / "out" / f"{name}.nii.gz")
    translated = Translator(load_model(str(gated_model)), to).translate(
        read_volume(source, modality=OTHER[to])
    )
    wanted, known = translated.volume, translated.record
    np.testing.assert_allclose(made.get_fdata(), wanted.values, atol=1e-4 * np.ptp(known.model.output_range))
    np.testing.assert_allclose(made.affine, nib.load(source).affine, atol=1e-5)
    assert f"SYNTHETIC {to.upper()}" in str(made.header["descrip"])
    record = read_result(Translation, tmp_path / "out" / f"{name}.translation.json")
    assert record.output == f"{name}.nii.gz"
    assert (record.source, record.model, record.warnings) == (known.source, known.model, known.warnings)
    assert record.gate.verdict == known.gate.verdict
    assert record.plausibility.air_ml == pytest.approx(known.plausibility.air_ml, rel=1e-3)


@pytest.mark.parametrize(
    ("to", "exported", "asked", "contrast"),
    [
        ("ct", [], {}, None),
        ("mr", [], {}, "t2"),
        ("mr", ["--contrast", "flair"], {}, "flair"),
        ("mr", ["--contrast", "flair"], {"contrast": "pd"}, "pd"),
    ],
)
def test_a_bundle_makes_mr_in_the_contrast_of_its_export_or_of_its_run(
    told_model, sources, tmp_path, to, exported, asked, contrast
):
    folder, back = tmp_path / "bundle", tmp_path / "model"
    assert invoke(["export", str(told_model), str(folder), "--to", "bundle", "--quiet", *exported]) == 0
    source = sources[OTHER[to]]
    run(folder, to=to, force=True, **asked, **put(source, tmp_path))
    made = nib.load(tmp_path / "out" / f"{OTHER[to]}_synthetic-{to}.nii.gz").get_fdata()
    assert invoke(["models", "import", str(folder), str(back), "--quiet"]) == 0
    translator = Translator(load_model(str(back), contrast=contrast), to, force=True)
    wanted = translator.translate(read_volume(source, modality=OTHER[to]))
    extent = np.ptp(wanted.record.model.output_range)
    np.testing.assert_allclose(made, wanted.volume.values, atol=1e-4 * extent)
    record = read_result(Translation, tmp_path / "out" / f"{OTHER[to]}_synthetic-{to}.translation.json")
    assert record.model == wanted.record.model
    assert record.model.contrast == contrast


def test_a_bundle_refuses_a_contrast_that_nobody_knows(told_model, sources, tmp_path):
    folder = tmp_path / "bundle"
    assert invoke(["export", str(told_model), str(folder), "--to", "bundle", "--quiet"]) == 0
    with pytest.raises(RuntimeError) as error:
        run(folder, to="mr", contrast="t3", **put(sources["ct"], tmp_path))
    assert "contrast: 't3' is none of t1, t1c, t2, flair, pd" in "".join(
        traceback.format_exception(error.value)
    )


@pytest.mark.parametrize("to", ["bundle", "onnx"])
def test_a_model_of_one_contrast_is_not_exported_in_another(gated_model, tmp_path, capsys, to):
    out = tmp_path / "out"
    assert invoke(["export", str(gated_model), str(out), "--to", to, "--contrast", "flair"]) == 3
    assert "makes MR of one contrast alone" in capsys.readouterr().err
    assert not out.exists()


def test_monai_verifies_the_network_and_loads_its_weights(bundle, gated_model):
    places = {name: str(bundle / "configs" / f"{name}.json") for name in ("metadata", "inference")}
    monai_bundle.verify_net_in_out(
        "network_def", meta_file=places["metadata"], config_file=places["inference"], device="cpu"
    )
    network = monai_bundle.load(
        bundle.name, bundle_dir=bundle.parent, device="cpu", workflow_type="inference"
    ).eval()
    image = torch.rand(2, 1, 32, 32) * 2 - 1
    wanted = load_model(str(gated_model)).translator("ct")(image).image
    torch.testing.assert_close(network(image), wanted, rtol=0, atol=1e-5)


SPECIFIED = (
    *("version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
    *("required_packages_version", "task", "description", "authors", "copyright", "network_data_format"),
)
"""Keys that MONAI's specification demands; its own schema is on the net."""

TENSOR = ("type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range")


def test_monai_verifies_the_metadata(bundle, tmp_path):
    pytest.importorskip("jsonschema")
    tensor = {"type": "object", "required": [*TENSOR, "is_patch_data", "channel_def"]}
    side = {"type": "object", "minProperties": 1, "additionalProperties": tensor}
    sides = {"properties": {"inputs": side, "outputs": side}, "required": ["inputs", "outputs"]}
    schema = {
        "type": "object",
        "required": SPECIFIED,
        "properties": {
            **{name: {"type": "string"} for name in ("version", "monai_version", "task", "description")},
            "network_data_format": sides,
        },
    }
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    monai_bundle.verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(path))


def test_a_bundle_with_altered_weights_is_refused(bundle, sources, tmp_path, capsys):
    altered = shutil.copytree(bundle, tmp_path / "altered")
    weights = altered / "models" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RuntimeError) as error:
        run(altered, **put(sources["mr"], tmp_path))
    assert "altered weights: SHA-256" in "".join(traceback.format_exception(error.value))
    assert not (tmp_path / "out").exists()
    assert invoke(["models", "import", str(altered), str(tmp_path / "model")]) == 3
    message = capsys.readouterr().err
    assert message.startswith(f"error: {weights}: altered: SHA-256")
    assert message.count("\n") == 1


def test_a_bundle_whose_state_dictionary_is_altered_is_not_imported(bundle, tmp_path, capsys):
    altered = shutil.copytree(bundle, tmp_path / "altered")
    (altered / "models" / "model.pt").write_bytes(b"other")
    assert invoke(["models", "import", str(altered), str(tmp_path / "model")]) == 3
    assert "model.pt: altered" in capsys.readouterr().err


def test_a_source_that_the_gate_refuses_is_not_translated(bundle, sources, tmp_path):
    with pytest.raises(RuntimeError) as error:
        run(bundle, to="mr", **put(sources["mr"], tmp_path))
    assert "without air of -1000 it is no CT in HU" in "".join(traceback.format_exception(error.value))
    assert not (tmp_path / "out").exists()


def test_files_are_replaced_on_request_alone(bundle, sources, tmp_path):
    places = put(sources["mr"], tmp_path)
    run(bundle, **places)
    with pytest.raises(RuntimeError) as error:
        run(bundle, **places)
    assert "exists already" in "".join(traceback.format_exception(error.value))
    run(bundle, **places, overwrite=True)


def test_a_bundle_is_a_model(bundle, gated_model, tmp_path):
    known = load_model(str(gated_model)).description
    assert load_model(str(bundle)).description == known
    assert invoke(["models", "import", str(bundle), str(tmp_path / "model"), "--quiet"]) == 0
    for name in ("model.json", "weights.safetensors", "gate.safetensors", "card.md"):
        assert (tmp_path / "model" / name).read_bytes() == (gated_model / name).read_bytes()
    assert load_model(str(tmp_path / "model")).description == replace(known)


def test_another_export_is_replaced_on_request_alone(gated_model, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["export", str(gated_model), str(out), "--to", "bundle"]
    assert [invoke(command), invoke(command), invoke([*command, "--overwrite"])] == [0, 2, 0]
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_of_monai_translates_a_head(shared_data, tmp_path):
    source = shared_data / "nifti" / "mr-t1-head.nii.gz"
    places = put(source, tmp_path)
    folder = tmp_path / "bundle"
    assert invoke(["export", "brain-2d", str(folder), "--to", "bundle", "--quiet"]) == 0
    changed = {**places, "bundle_root": str(folder), "to": "ct", "device": "$torch.device('cpu')"}
    changed |= {"config_file": str(folder / "configs" / "inference.json")}
    options = [text for name, value in changed.items() for text in (f"--{name}", value)]
    subprocess.run([sys.executable, "-m", "monai.bundle", "run", *options], check=True, timeout=600)
    out = tmp_path / "translated.nii.gz"
    given = ["--model", "brain-2d", "--to", "ct", "--precision", "float32"]
    assert invoke(["translate", str(source), str(out), *given]) == 0
    made = nib.load(tmp_path / "out" / "mr-t1-head_synthetic-ct.nii.gz").get_fdata()
    np.testing.assert_allclose(made, nib.load(out).get_fdata(), rtol=0, atol=1e-4 * 120)
