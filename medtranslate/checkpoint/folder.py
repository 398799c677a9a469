"""Weights of a model: written into its folder, and read into networks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from medtranslate.checkpoint.card import draft_card
from medtranslate.checkpoint.description import (
    Description,
    check_meaning,
    describe,
    find_model,
    header_of,
    read_declared,
    write_description,
)
from medtranslate.config import Contrast, Modality, ScaleSettings, plain
from medtranslate.config.types import Ends
from medtranslate.errors import ModelRefused, UsageError
from medtranslate.model import Generators
from medtranslate.networks import SliceGate, Told, VariationalGenerator
from medtranslate.phantom import CONTRASTS, named_brightness, nominal_brightness
from medtranslate.records import Calibration, ModelInfo
from medtranslate.runtime import whole_output

_MODALITIES: tuple[Modality, Modality] = ("ct", "mr")


DEFAULT_CONTRAST: Contrast = "t2"
"""Contrast of a translated MR, where the model has a choice and nobody chose."""


class Model:
    """Both generators, with weights in float32 and in evaluation mode, with their description.

    Attributes:
        means: mean framed training slice [1, size, size] of each modality in [-1, 1].
        precision: arithmetic of the generators' convolutions; their posterior is in float32 in any.
        gate: judges what is to be translated, on the generators' device; None where the model has none.
        contrast: of the MR that it makes; None where it has no choice, or `brightness` says it.
        brightness: of the tissues of `phantom.TOLD` in that MR; None where it has no choice.
        window: HU that are black and white in CT pictures; None for those of its scale.
        planes: in which volumes are translated: 3, or 1 for axial slices alone.
    """

    def __init__(
        self,
        description: Description,
        generators: Generators,
        means: Mapping[Modality, Tensor],
        precision: torch.dtype = torch.float32,
        gate: SliceGate | None = None,
        contrast: Contrast | None = None,
        brightness: NDArray[np.float32] | None = None,
        window: Ends | None = None,
    ) -> None:
        self.description = description
        self.generators = generators
        self.means = means
        self.precision = precision
        self.gate = gate
        self.contrast = contrast
        self.brightness = nominal_brightness(contrast) if contrast else brightness
        self.window = window
        self.planes = description.network.planes

    @property
    def device(self) -> torch.device:
        """Return the device of the generators."""
        return next(self.generators.parameters()).device

    @property
    def scale(self) -> ScaleSettings:
        """Return the scale of its translations, whose pictures of CT have the window that is asked for."""
        known = self.description.scale
        return replace(known, ct_picture=self.window) if self.window else known

    def translator(self, to: Modality) -> VariationalGenerator | Told:
        """Return the generator into a modality, which is told the contrast where it has a choice."""
        if to == "ct" or self.brightness is None:
            return self.generators.to_ct if to == "ct" else self.generators.to_mr
        told = torch.from_numpy(self.brightness)
        return Told(self.generators.to_mr, told[: self.description.network.told].to(self.device))

    def info(self, to: Modality) -> ModelInfo:
        """Describe this model in a record."""
        known = self.description.info(to)
        if to == "ct" or self.brightness is None:
            return known
        if self.contrast:
            return replace(known, contrast=self.contrast)
        return replace(known, brightness=named_brightness(self.brightness))

    def told(self, brightness: NDArray[np.float32]) -> Model:
        """Return this model, told the brightness of the tissues in the MR that it makes."""
        told = copy(self)
        told.contrast, told.brightness = None, brightness
        return told

    def axial(self) -> Model:
        """Return this model, which then translates axial slices alone."""
        axial = copy(self)
        axial.planes = 1
        return axial


def save_model(
    folder: Path,
    generators: Generators,
    means: Mapping[Modality, Tensor],
    *,
    notice: str = "",
    **description: Any,
) -> Description:
    """Write a model folder (which exists and is empty) with weights in half precision.

    The weights' own header repeats network and scale, so that the digest covers the meaning of the numbers.

    Args:
        means: mean framed training slice of each modality.
        notice: terms of the weights, Markdown; none where empty.
        description: the other fields of `Description`, but for the digest.
    """
    tensors = {f"generators.{key}": value for key, value in generators.state_dict().items()}
    tensors |= {f"means.{modality}": mean for modality, mean in means.items()}
    meaning = {"network": plain(description["network"]), "scale": plain(description["scale"])}
    weights = pack(tensors, json.dumps(meaning))
    saved = Description(**description, sha256=hashlib.sha256(weights).hexdigest())
    (folder / "weights.safetensors").write_bytes(weights)
    write_description(folder, saved)
    (folder / "card.md").write_text(draft_card(saved), encoding="utf-8")
    if notice:
        (folder / "notice.md").write_text(notice, encoding="utf-8")
    return saved


def pack(tensors: Mapping[str, Tensor], meaning: str) -> bytes:
    """Write weights.safetensors in memory, in half precision.

    Args:
        meaning: network and scale as JSON, for the header.
    """
    return safetensors.torch.save(
        {key: value.detach().cpu().half().contiguous() for key, value in tensors.items()},
        # One entry: safetensors writes several in an order of its own, and the digest would differ.
        metadata={"meaning": meaning},
    )


def save_gate(folder: Path, gate: SliceGate) -> None:
    """Add an input gate to a model folder; its header names the weights that it was fitted for."""
    description = describe(folder)
    tensors = safetensors.torch.save(
        {key: value.detach().cpu().float().contiguous() for key, value in gate.state_dict().items()},
        metadata={"weights": description.sha256},
    )
    with whole_output(folder / "gate.safetensors", overwrite=True, folder=False) as path:
        path.write_bytes(tensors)
    write_description(folder, replace(description, gate=hashlib.sha256(tensors).hexdigest()))


def save_calibration(folder: Path, curves: Mapping[Modality, Calibration], samples: int | None) -> None:
    """Write the calibration of samples into a model folder, or without samples that of its error limits."""
    known, given = describe(folder), dict(curves)
    write_description(folder, replace(known, calibration=given) if samples else replace(known, limits=given))


def load_model(
    name_or_folder: str,
    device: torch.device | None = None,
    precision: torch.dtype = torch.float32,
    contrast: Contrast | None = None,
    window: Ends | None = None,
) -> Model:
    """Load the model of a name at hand or of a folder, on a device, to compute in a precision.

    Args:
        contrast: of the MR that it shall make (default: `DEFAULT_CONTRAST`, where it has a choice).
        window: HU that are black and white in CT pictures (default: those of its scale).

    Raises:
        ModelRefused: there is no such model, its weights are not those that its description
            declares, it is of a form that this version does not know, or it makes one contrast alone.
        UsageError: there is no such contrast.
    """
    folder = find_model(name_or_folder)
    description = describe(folder)
    if contrast not in (None, *CONTRASTS):
        raise UsageError(f"contrast: {contrast!r} is none of {', '.join(CONTRASTS)}; give one of these")
    if contrast is not None and not description.network.told:
        raise ModelRefused(
            f"{description.name}: makes MR of one contrast alone, and --contrast {contrast} is given; leave"
            " it out, or name a model that is told the contrast"
        )
    path = folder / "weights.safetensors"
    weights, header = _read_tensors(path, description.sha256)
    check_meaning(header, description, path)
    parts: dict[str, dict[str, Tensor]] = {"generators": {}, "means": {}}
    for key, tensor in weights.items():
        part, _, rest = key.partition(".")
        parts.setdefault(part, {})[rest] = _ready(tensor)
    side = description.network.size
    # On the device `meta` nothing is allocated, however large a network model.json describes.
    with torch.device("meta"):
        generators = Generators(description.network)
        wanted = {"generators": generators.state_dict()}
        wanted["means"] = {modality: torch.empty(1, side, side) for modality in _MODALITIES}
    if _shapes(parts) != _shapes(wanted):
        raise ModelRefused(
            f"{folder}: the weights do not fit the network that model.json describes; get the model anew"
        )
    generators.load_state_dict(parts["generators"], assign=True)
    means: dict[Modality, Tensor] = {"ct": parts["means"]["ct"], "mr": parts["means"]["mr"]}
    generators = generators.eval().requires_grad_(False).to(device)
    gate = _load_gate(folder, description, device)
    chosen = contrast or (DEFAULT_CONTRAST if description.network.told else None)
    return Model(description, generators, means, precision, gate, chosen, window=window)


def _load_gate(folder: Path, description: Description, device: torch.device | None) -> SliceGate | None:
    path = folder / "gate.safetensors"
    if description.gate is None:
        return None
    tensors, header = _read_tensors(path, description.gate)
    if header["__metadata__"].get("weights") != description.sha256:
        raise ModelRefused(f"{path}: the gate of other weights than those of model.json; get the model anew")
    with torch.device("meta"):
        gate = SliceGate(description.network)
    if _shapes({"": tensors}) != _shapes({"": gate.state_dict()}):
        raise ModelRefused(f"{path}: does not fit the network that model.json describes; get the model anew")
    gate.load_state_dict(tensors, assign=True)
    return gate.eval().requires_grad_(False).to(device)


def _ready(weights: Tensor) -> Tensor:
    """Bring weights to float32; with channels last in memory convolutions are half as fast again."""
    layout = torch.channels_last if weights.ndim == 4 else torch.preserve_format
    return weights.to(torch.float32, memory_format=layout)


def _shapes(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, tuple[int, ...]]]:
    return {
        part: {key: tuple(value.shape) for key, value in tensors.items()} for part, tensors in parts.items()
    }


def _read_tensors(path: Path, declared: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and header of a file, if it is the one that model.json declares."""
    raw = read_declared(path, declared)
    try:
        return safetensors.torch.load(raw), header_of(raw, path)
    except SafetensorError as error:
        raise ModelRefused(f"{path}: weights cannot be read ({error}); get the model anew") from None
