from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from medtranslate.checkpoint import load_model
from medtranslate.cli import invoke
from medtranslate.config import ExportSettings
from medtranslate.errors import RunFailed
from medtranslate.export import export_model, onnx_files
from medtranslate.gate import look
from medtranslate.modality import MODALITIES, OTHER
from medtranslate.phantom import nominal_brightness
from tests.export.conftest import export_weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def altered(onnx_folder, tmp_path):
    return shutil.copytree(onnx_folder, tmp_path / "export")


def declare(folder: Path) -> None:
    """Give the index the digests of the files as they are."""
    path = folder / "export.json"
    index = json.loads(path.read_text())
    index["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in index["files"]
    }
    path.write_text(json.dumps(index))


def refusal(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line with which an import is refused."""
    assert invoke(["models", "import", str(folder), str(tmp_path / "model")]) == 3
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert not (tmp_path / "model").exists()
    return message


@pytest.mark.slow
@pytest.mark.parametrize("to", ["ct", "mr"])
@pytest.mark.parametrize("slices", [1, 5])
def test_onnx_runtime_gives_the_outputs_of_the_model(whole_onnx_folder, gated_model, to, slices):
    model = load_model(str(gated_model))
    generator = model.translator(to)
    image, noise = torch.rand(slices, 1, 32, 32) * 2 - 1, torch.randn(slices, 4, 8, 8)
    posterior = generator.encode(image)
    wanted = {
        "translation": generator(image).image,
        "sample": generator.decode(posterior.at(noise)),
        "posterior_mean": posterior.mean,
        "posterior_log_variance": posterior.log_variance,
        "gate": look(model.gate, image, posterior.mean, OTHER[to]),
    }
    session = onnxruntime.InferenceSession(
        whole_onnx_folder / f"to_{to}.onnx", providers=["CPUExecutionProvider"]
    )
    made = session.run(list(wanted), {"image": image.numpy(), "noise": noise.numpy()})
    for (name, tensor), array in zip(wanted.items(), made, strict=True):
        np.testing.assert_allclose(array, tensor, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_an_export_without_a_gate_has_no_scores(small_model, tmp_path):
    out = tmp_path / "export"
    export_model(ExportSettings(model=str(small_model), output=out, to="onnx"))
    outputs = [output.name for output in onnx.load(out / "to_ct.onnx").graph.output]
    assert outputs == ["translation", "sample", "posterior_mean", "posterior_log_variance"]


@pytest.mark.slow
def test_the_files_say_what_they_are_and_nothing_of_this_machine(whole_onnx_folder, gated_model):
    known = load_model(str(gated_model)).description
    path = whole_onnx_folder / "to_mr.onnx"
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    assert texts["medtranslate.sha256"] == known.sha256
    assert texts["medtranslate.to"] == "mr"
    assert "not for diagnosis" in proto.doc_string
    raw = path.read_bytes()
    assert str(ROOT).encode() not in raw
    assert b".py" not in raw


@pytest.mark.parametrize("kind", ["onnx_folder", pytest.param("whole_onnx_folder", marks=pytest.mark.slow)])
def test_an_import_is_the_model_that_was_exported(kind, request, gated_model, tmp_path):
    out = tmp_path / "model"
    assert invoke(["models", "import", str(request.getfixturevalue(kind)), str(out), "--quiet"]) == 0
    for name in ("model.json", "weights.safetensors", "gate.safetensors", "card.md"):
        assert (out / name).read_bytes() == (gated_model / name).read_bytes()


def test_an_import_of_a_model_that_is_told_its_contrast_is_that_model(told_model, tmp_path):
    export_weights(told_model, tmp_path / "onnx")
    assert invoke(["models", "import", str(tmp_path / "onnx"), str(tmp_path / "model"), "--quiet"]) == 0
    for name in ("model.json", "weights.safetensors"):
        assert (tmp_path / "model" / name).read_bytes() == (told_model / name).read_bytes()


@pytest.mark.parametrize("contrast", [None, "flair"])
def test_the_file_to_mr_states_its_contrast_and_holds_the_brightness_of_its_tissues(
    told_model, tmp_path, contrast
):
    export_weights(told_model, tmp_path / "onnx", contrast)
    texts, weights = {}, {}
    for to in MODALITIES:
        proto = onnx.load(tmp_path / "onnx" / f"to_{to}.onnx")
        texts[to] = {entry.key: entry.value for entry in proto.metadata_props}
        weights[to] = {tensor.name: tensor for tensor in proto.graph.initializer}
    assert "medtranslate.contrast" not in texts["ct"]
    assert texts["mr"]["medtranslate.contrast"] == (contrast or "t2")
    told = onnx.numpy_helper.to_array(weights["mr"]["generator.brightness"])
    np.testing.assert_array_equal(told, nominal_brightness(contrast or "t2"))


@pytest.mark.slow
@pytest.mark.parametrize("contrast", [None, "flair"])
def test_onnx_runtime_makes_mr_in_the_contrast_of_the_export(told_model, tmp_path, contrast):
    out = tmp_path / "onnx"
    export_model(ExportSettings(model=str(told_model), output=out, to="onnx", contrast=contrast))
    image = torch.rand(3, 3, 32, 32) * 2 - 1
    noise = torch.randn_like(load_model(str(told_model)).translator("ct").encode(image).mean)
    for to in MODALITIES:
        session = onnxruntime.InferenceSession(out / f"to_{to}.onnx", providers=["CPUExecutionProvider"])
        outputs = ["translation", "limit"]
        made, limit = session.run(outputs, {"image": image.numpy(), "noise": noise.numpy()})
        with torch.inference_mode():
            wanted, other = (
                load_model(str(told_model), contrast=name).translator(to)(image) for name in (contrast, "t1")
            )
        np.testing.assert_allclose(made, wanted.image, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(limit, wanted.limit, rtol=1e-4, atol=1e-4)
        assert torch.equal(wanted.image, other.image) == (to == "ct")
        stated = session.get_modelmeta().custom_metadata_map.get("medtranslate.contrast")
        assert stated == (contrast or "t2" if to == "mr" else None)
    assert invoke(["models", "import", str(out), str(tmp_path / "model"), "--quiet"]) == 0
    weights = "weights.safetensors"
    assert (tmp_path / "model" / weights).read_bytes() == (told_model / weights).read_bytes()


def test_an_altered_file_is_refused(altered, tmp_path, capsys):
    path = altered / "to_ct.onnx"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert "to_ct.onnx: altered: SHA-256" in refusal(altered, tmp_path, capsys)


def test_an_altered_weight_is_refused_though_the_index_follows(altered, tmp_path, capsys):
    proto = onnx.load(altered / "to_ct.onnx")
    weights = next(tensor for tensor in proto.graph.initializer if tensor.name.endswith("conv.weight"))
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[0] += 1
    weights.raw_data = values.tobytes()
    onnx.save(proto, altered / "to_ct.onnx")
    declare(altered)
    assert "weights of another model than small" in refusal(altered, tmp_path, capsys)


def test_the_other_direction_is_refused(altered, tmp_path, capsys):
    shutil.copy(altered / "to_mr.onnx", altered / "to_ct.onnx")
    declare(altered)
    assert "to make CT" in refusal(altered, tmp_path, capsys)


def test_a_foreign_onnx_file_is_refused(altered, tmp_path, capsys):
    one = onnx.helper.make_tensor_value_info("one", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["one"], ["two"])], "g", [one], [one])
    onnx.save(onnx.helper.make_model(graph), altered / "to_ct.onnx")
    declare(altered)
    assert "no ONNX file that medtranslate wrote" in refusal(altered, tmp_path, capsys)


def test_a_file_of_another_kind_is_refused(altered, tmp_path, capsys):
    (altered / "to_ct.onnx").write_bytes(b"\xff" * 100)
    declare(altered)
    assert "is no ONNX file" in refusal(altered, tmp_path, capsys)


def test_weights_in_other_files_are_not_followed(altered, tmp_path, capsys):
    proto = onnx.load(altered / "to_ct.onnx")
    weights = next(tensor for tensor in proto.graph.initializer if tensor.name.endswith("conv.weight"))
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../../../etc/hostname"
    (altered / "to_ct.onnx").write_bytes(proto.SerializeToString())
    declare(altered)
    assert "weights of another model" in refusal(altered, tmp_path, capsys)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"files": {"../card.md": "0" * 64}}, "files.../card.md"),
        ({"files": {"/etc/hostname": "0" * 64}}, "files./etc/hostname"),
        ({"kind": "pickle"}, "kind"),
        ({"schema": "medtranslate/export/2"}, "schema"),
        ({"files": {"gone.onnx": "0" * 64}}, "gone.onnx: cannot be read"),
    ],
)
def test_an_index_of_another_form_is_refused(altered, tmp_path, capsys, values, words):
    path = altered / "export.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    assert words in refusal(altered, tmp_path, capsys)


def test_a_folder_without_an_index_is_refused(small_model, tmp_path, capsys):
    assert "no export of medtranslate" in refusal(small_model, tmp_path, capsys)


def test_an_export_named_as_a_model_is_refused_with_the_way(onnx_folder, tmp_path, capsys):
    assert invoke(["models", "show", str(onnx_folder)]) == 3
    assert f"medtranslate models import {onnx_folder} OUTPUT" in capsys.readouterr().err


def test_without_its_packages_the_export_ends_early(small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, "find_spec", lambda name: None)
    with pytest.raises(RunFailed, match=r"onnx and onnxscript and onnxruntime not installed; pip install"):
        export_model(ExportSettings(model=str(small_model), output=tmp_path / "x", to="onnx"))
    assert not (tmp_path / "x").exists()


def test_a_file_that_computes_something_else_is_not_kept(small_model, tmp_path, monkeypatch):
    def black(graph, model):
        """Give what the posterior's mean is decoded to as zeros, whatever the image."""
        dims = {"image": ("slices", 1, 32, 32), "noise": ("slices", 4, 8, 8)}
        float32 = onnx.TensorProto.FLOAT
        inputs = [onnx.helper.make_tensor_value_info(name, float32, shape) for name, shape in dims.items()]
        names = dict.fromkeys(("translation", "sample"), "image") | dict.fromkeys(
            ("posterior_mean", "posterior_log_variance"), "noise"
        )
        nodes = [onnx.helper.make_node("Sub", [given, given], [name]) for name, given in names.items()]
        outputs = [
            onnx.helper.make_tensor_value_info(name, float32, dims[given]) for name, given in names.items()
        ]
        opset = [onnx.helper.make_opsetid("", 20)]
        return onnx.helper.make_model(
            onnx.helper.make_graph(nodes, "black", inputs, outputs), opset_imports=opset, ir_version=10
        )

    monkeypatch.setattr(onnx_files, "_traced", black)
    with pytest.raises(RunFailed, match="differs from the model by"):
        export_model(ExportSettings(model=str(small_model), output=tmp_path / "x", to="onnx"))
    assert not (tmp_path / "x").exists()
