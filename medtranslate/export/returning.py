"""Makes a model folder of an export."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from medtranslate.checkpoint import FILES, Description, describe, load_model
from medtranslate.checkpoint.folder import pack
from medtranslate.errors import ModelRefused
from medtranslate.export.index import copy_files, read_bounded, read_index
from medtranslate.export.onnx_files import MEANS, file_of, read_weights, require_onnx
from medtranslate.modality import MODALITIES
from medtranslate.runtime import check_free, require_apart, whole_output


def import_model(export: Path, output: Path, *, overwrite: bool = False) -> Description:
    """Write a model folder of an export of either kind, with the weights of the exported model, bit for bit.

    Raises:
        ModelRefused: it is no export, a file is altered, or its weights are those of another model.
        OutputExists: the output is there, and `overwrite` is not set.
    """
    require_apart([output], [export])
    check_free(output, overwrite=overwrite)
    index = read_index(export)
    with whole_output(output, overwrite=overwrite, folder=True) as fresh:
        if index.kind == "bundle":
            copy_files(export / "models", fresh, FILES)
        else:
            require_onnx()
            copy_files(export, fresh, FILES)
            (fresh / "weights.safetensors").write_bytes(_weights(export))
        return load_model(str(fresh)).description


def _weights(export: Path) -> bytes:
    """Pack the weights of ONNX files as the exported model had them.

    Raises:
        ModelRefused: the result is not what model.json declares.
    """
    tensors: dict[str, Tensor] = {}
    meanings = set()
    for to in MODALITIES:
        weights, meaning = read_weights(export / file_of(to), to)
        tensors |= {f"generators.to_{to}.{name}": value for name, value in weights.items()}
        meanings.add(meaning)
    try:
        means = safetensors.torch.load(read_bounded(export / MEANS))
    except SafetensorError as error:
        raise ModelRefused(f"{export / MEANS}: cannot be read ({error}); export the model again") from None
    tensors |= {f"means.{modality}": mean for modality, mean in means.items()}
    packed = pack(tensors, meanings.pop())
    known = describe(export)
    if meanings or hashlib.sha256(packed).hexdigest() != known.sha256:
        raise ModelRefused(
            f"{export}: the ONNX files hold the weights of another model than {known.name}, which model.json"
            " describes; export the model again"
        )
    return packed
