from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from medtranslate.checkpoint import save_gate, save_model
from medtranslate.config import Contrast, ExportSettings, NetworkSettings, ScaleSettings
from medtranslate.export import export_model, onnx_files
from medtranslate.model import Generators
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
def told_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random model of whole heads: CT along a curve, MR in the contrast that it is told."""
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("told")
    network = NetworkSettings(
        size=32, channels=(8, 8), latent_channels=4, fine=2, neighbours=1, told=7, limits=True
    )
    means = {"ct": torch.zeros(1, 32, 32), "mr": torch.zeros(1, 32, 32)}
    knots = (-150, -20, 4, 28, 52, 76, 100, 300, 1000)
    scale = ScaleSettings(ct_window=(-1000, 2000), ct_knots=knots, ct_picture=(-20, 100))
    known = {"name": "told", "summary": "Random.", "network": network, "scale": scale}
    save_model(folder, Generators(network), means, **known)
    return folder


def export_weights(model: Path, out: Path, contrast: Contrast | None = None) -> None:
    """Write ONNX files that have the weights, but no computation: torch's exporter takes many seconds."""
    onnx = pytest.importorskip("onnx")

    def weights_alone(graph: torch.nn.Module, model: object) -> Any:
        arrays = {name: value.numpy() for name, value in graph.state_dict().items()}
        tensors = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
        return onnx.helper.make_model(onnx.helper.make_graph([], "weights", [], [], tensors))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_files, "_traced", weights_alone)
        patch.setattr(onnx_files, "_compare", lambda *given: None)
        export_model(ExportSettings(model=str(model), output=out, to="onnx", contrast=contrast))


@pytest.fixture(scope="session")
def onnx_folder(gated_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "onnx"
    export_weights(gated_model, folder)
    return folder


@pytest.fixture(scope="session")
def whole_onnx_folder(gated_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "onnx"
    export_model(ExportSettings(model=str(gated_model), output=folder, to="onnx"))
    return folder
