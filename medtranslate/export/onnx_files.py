"""ONNX files of a model's generators, one for each direction, and their weights read back.

    image [slices, C, S, S], noise [slices, latent, h, w] -->
        translation, of the posterior's mean; sample, of mean + sigma * noise;
        posterior_mean, posterior_log_variance; gate, the scores of `gate.look`, where the model has a gate;
        brightness, of the source's tissues, where the model sees it;
        limit, ln of the error limit of the translation, where the model estimates it

Weights are stored under the names that they have in the generator, so that they can be read back.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medtranslate import __version__
from medtranslate.checkpoint import FILES, Model
from medtranslate.checkpoint.description import header_of
from medtranslate.config import Modality
from medtranslate.errors import ModelRefused, RunFailed
from medtranslate.export.index import copy_files, read_bounded
from medtranslate.gate import look
from medtranslate.modality import MODALITIES, OTHER
from medtranslate.networks import SliceGate, Told, VariationalGenerator

MEANS = "means.safetensors"
"""Mean training slices of both modalities, in half precision."""

WITHIN = 2e-4
"""Largest difference of an output in ONNX Runtime, 1e-4 of the range [-1, 1]."""

_INPUTS = ("image", "noise")
_OUTPUTS = ("translation", "sample", "posterior_mean", "posterior_log_variance")
_PREFIX = "medtranslate."
_CHECKED = 3
"""Slices that are compared after export."""

Arrays = list[NDArray[np.float32]]


class _Graph(nn.Module):
    """The computation of an ONNX file."""

    def __init__(
        self, generator: VariationalGenerator | Told, gate: SliceGate | None, source: Modality
    ) -> None:
        super().__init__()
        self.generator, self.gate, self.source = generator, gate, source

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        given = self.generator(image)
        posterior, sample = given.posterior, self.generator.decode(given.posterior.at(noise))
        judged = () if self.gate is None else (look(self.gate, image, posterior.mean, self.source),)
        others = [output for output in (given.seen, given.limit) if output is not None]
        return (given.image, sample, posterior.mean, posterior.log_variance, *judged, *others)

    @property
    def names(self) -> list[str]:
        """Names of the outputs, in order."""
        own = self.generator.generator if isinstance(self.generator, Told) else self.generator
        others = {"gate": self.gate is not None, "brightness": own.sees, "limit": own.limits is not None}
        return [*_OUTPUTS, *(name for name, given in others.items() if given)]


def file_of(to: Modality) -> str:
    """Name the file that translates to a modality."""
    return f"to_{to}.onnx"


def require_onnx() -> None:
    """Refuse early to export without the packages.

    Raises:
        RunFailed: one of them is not installed.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise RunFailed(f"--to onnx: {' and '.join(missing)} not installed; pip install 'medtranslate[onnx]'")


def write_onnx(model: Model, folder: Path, out: Path) -> None:
    """Write both directions into an empty folder, with the files that a model folder has beside its weights.

    Args:
        folder: of the model.

    Raises:
        RunFailed: ONNX Runtime gives other values.
    """
    copy_files(folder, out, (name for name in FILES if name not in ("weights.safetensors", "log.csv")))
    means: dict[str, Tensor] = {modality: mean.half().contiguous() for modality, mean in model.means.items()}
    (out / MEANS).write_bytes(safetensors.torch.save(means))
    path = folder / "weights.safetensors"
    meaning = header_of(path.read_bytes(), path)["__metadata__"]["meaning"]
    for to in MODALITIES:
        graph = _Graph(model.translator(to), model.gate, OTHER[to]).eval()
        proto = _traced(graph, model)
        contrast = model.info(to).contrast
        told = {"contrast": contrast} if contrast else {}
        _label(proto, model, {"to": to, "meaning": meaning, **told})
        (out / file_of(to)).write_bytes(proto.SerializeToString(deterministic=True))
        _compare(graph, model, out / file_of(to))


def read_weights(path: Path, to: Modality) -> tuple[dict[str, Tensor], str]:
    """Read the weights of a generator from an ONNX file; its graph is not used.

    Returns:
        The weights by their names in the generator, and network and scale as JSON, as they are in the header
        of `weights.safetensors`.

    Raises:
        ModelRefused: it is no ONNX file, or none of this direction that `write_onnx` wrote.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        proto = onnx.load_model_from_string(read_bounded(path))
    except DecodeError:
        raise ModelRefused(f"{path}: is no ONNX file; export the model again") from None
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    if texts.get(f"{_PREFIX}to") != to or f"{_PREFIX}meaning" not in texts:
        raise ModelRefused(f"{path}: is no ONNX file that medtranslate wrote to make {to.upper()}")
    weights = {}
    for tensor in proto.graph.initializer:
        # One prefix is that of `_Graph`; the other that of a generator that is told the contrast.
        name = tensor.name.removeprefix("generator.").removeprefix("generator.")
        # Data in other files, anywhere on the disk, are not followed.
        if name not in (tensor.name, "brightness") and not tensor.external_data:
            weights[name] = torch.from_numpy(numpy_helper.to_array(tensor).copy())
    return weights, texts[f"{_PREFIX}meaning"]


def _inputs(model: Model, slices: int) -> tuple[Tensor, Tensor]:
    network, generator = model.description.network, model.generators.to_ct
    random = torch.Generator().manual_seed(0)
    shape = slices, network.shown, network.size, network.size
    image = torch.rand(shape, generator=random) * 2 - 1
    with torch.inference_mode():
        latent = generator.encode(image).mean
    return image, torch.randn(latent.shape, generator=random)


def _traced(graph: _Graph, model: Model) -> Any:
    """Trace the computation of a file for any number of slices; returns ONNX's `ModelProto`."""
    slices = torch.export.Dim("slices", min=1, max=2**16)
    with _quiet():
        program = torch.onnx.export(
            graph,
            _inputs(model, 2),
            dynamo=True,
            optimize=False,  # it would rename weights
            input_names=_INPUTS,
            output_names=graph.names,
            dynamic_shapes={name: {0: slices} for name in _INPUTS},
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _label(proto: Any, model: Model, texts: Mapping[str, str]) -> None:
    """State the model of a file, and remove traces of this machine."""
    import onnx

    known = model.description
    proto.producer_name, proto.producer_version = "medtranslate", __version__
    proto.doc_string = f"{known.summary} Research use only; not for diagnosis, dose or treatment."
    # The exporter writes lines of this program's source and paths of this machine at each node.
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.initializer, proto.graph):
        del part.metadata_props[:]
    facts = {**texts, "name": known.name, "sha256": known.sha256, "licence": known.licence or "not stated"}
    onnx.helper.set_model_props(proto, {f"{_PREFIX}{key}": value for key, value in facts.items()})


def _compare(graph: _Graph, model: Model, path: Path) -> None:
    """Compare an ONNX file with its generator.

    Raises:
        RunFailed: an output differs by more than `WITHIN`.
    """
    import onnxruntime

    given = _inputs(model, _CHECKED)
    with torch.inference_mode():
        wanted: Arrays = [output.numpy() for output in graph(*given)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    made: Arrays = session.run(
        None, {name: value.numpy() for name, value in zip(_INPUTS, given, strict=True)}
    )
    apart = max(float(np.abs(one - other).max()) for one, other in zip(made, wanted, strict=True))
    if not apart <= WITHIN:
        raise RunFailed(
            f"{path}: differs from the model by {apart:.2g} in ONNX Runtime {onnxruntime.__version__},"
            f" expected is at most {WITHIN:g}; try other versions of torch and onnxscript"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks on packages and axes that do not matter here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
