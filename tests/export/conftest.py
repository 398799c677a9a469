from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from medtranslate.checkpoint import save_gate
from medtranslate.config import ExportSettings
from medtranslate.export import export_model, onnx_files
from medtranslate.networks import SliceGate
from tests.conftest import SMALL


@pytest.fixture(scope="session")
def gated_model(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small model with a gate that passes everything that can be a head."""
    folder = shutil.copytree(small_model, tmp_path_factory.mktemp("gated") / "model")
    torch.manual_seed(1)
    gate = SliceGate(SMALL)
    gate.limits.fill_(-100.0)
    gate.reach.fill_(100.0)
    save_gate(folder, gate)
    return folder


@pytest.fixture(scope="session")
def bundle(gated_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "bundle"
    export_model(ExportSettings(model=str(gated_model), output=folder, to="bundle"))
    return folder


@pytest.fixture(scope="session")
def onnx_folder(gated_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export whose files have the weights, but no computation: torch's exporter takes many seconds."""
    onnx = pytest.importorskip("onnx")

    def weights_alone(graph: torch.nn.Module, model: object) -> Any:
        arrays = {name: value.numpy() for name, value in graph.state_dict().items()}
        tensors = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
        return onnx.helper.make_model(onnx.helper.make_graph([], "weights", [], [], tensors))

    folder = tmp_path_factory.mktemp("exports") / "onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_files, "_traced", weights_alone)
        patch.setattr(onnx_files, "_compare", lambda *given: None)
        export_model(ExportSettings(model=str(gated_model), output=folder, to="onnx"))
    return folder


@pytest.fixture(scope="session")
def whole_onnx_folder(gated_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "onnx"
    export_model(ExportSettings(model=str(gated_model), output=folder, to="onnx"))
    return folder
