"""Model folders: weights, what they mean, and a digest; what is not known is refused.

A folder holds

    model.json           schema, name, network and scale settings, digest of the weights, calibration
    weights.safetensors  both generators in half precision, and the mean training slices
    gate.safetensors     the input gate, where the model has one
    card.md              for people: use, data, scores, limits
    notice.md            the terms of the weights, where they are not the code's

Nothing is unpickled. Models that ship are folders in `medtranslate/models`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors.torch
import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from torch import Tensor

from medtranslate.config import Modality, ModelName, NetworkSettings, ScaleSettings, build, plain
from medtranslate.errors import ModelRefused, SettingsError
from medtranslate.metrics import Calibration
from medtranslate.modality import UNITS
from medtranslate.model import Generators
from medtranslate.networks import SliceGate, VariationalGenerator
from medtranslate.records import ModelInfo
from medtranslate.runtime import whole_output

SHIPPED = Path(__file__).parent / "models"

SCHEMA = "medtranslate/model/1"

MAX_WEIGHTS = 2**30
"""Bytes of weights that are read at most; two orders above what ships."""

MAX_TEXT = 2**20
"""Bytes of model.json and of card.md that are read at most, each."""

FILES = ("model.json", "weights.safetensors", "gate.safetensors", "card.md", "notice.md", "log.csv")
"""What belongs to a model; other files in its folder are never opened."""

_MODALITIES: tuple[Modality, Modality] = ("ct", "mr")

_FROZEN = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Description:
    """model.json.

    Attributes:
        sha256: of weights.safetensors.
        gate: SHA-256 of gate.safetensors; None for a model without an input gate.
        calibration: by the modality that is made, what errors are to be expected of the spread of samples;
            empty for a model that was not measured.
        summary: one line for `models list`.
        training: plain facts about the run: data, images seen, device, seconds, commit.
    """

    schema: Literal["medtranslate/model/1"] = "medtranslate/model/1"
    name: ModelName
    summary: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    network: NetworkSettings
    scale: ScaleSettings
    gate: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    calibration: dict[Modality, Calibration] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


class Model:
    """Both generators, with weights in float32 and in evaluation mode, with their description.

    Attributes:
        means: mean framed training slice [1, size, size] of each modality in [-1, 1].
        precision: arithmetic of the generators' convolutions; their posterior is in float32 in any.
        gate: judges what is to be translated, on the generators' device; None where the model has none.
    """

    def __init__(
        self,
        description: Description,
        generators: Generators,
        means: Mapping[Modality, Tensor],
        precision: torch.dtype = torch.float32,
        gate: SliceGate | None = None,
    ) -> None:
        self.description = description
        self.generators = generators
        self.means = means
        self.precision = precision
        self.gate = gate

    @property
    def device(self) -> torch.device:
        """Where the generators are."""
        return next(self.generators.parameters()).device

    def translator(self, to: Modality) -> VariationalGenerator:
        """The generator into a modality."""
        return self.generators.to_ct if to == "ct" else self.generators.to_mr

    def info(self, to: Modality) -> ModelInfo:
        """What a result says of this model."""
        scale = self.description.scale
        return ModelInfo(
            name=self.description.name,
            sha256=self.description.sha256,
            to=to,
            output_range=scale.ct_window if to == "ct" else scale.mr_range,
            unit=UNITS[to],
            mr_percentile=scale.mr_percentile if to == "mr" else None,
            summary=self.description.summary or None,
        )


def save_model(
    folder: Path,
    generators: Generators,
    means: Mapping[Modality, Tensor],
    *,
    name: str,
    summary: str,
    network: NetworkSettings,
    scale: ScaleSettings,
    training: Mapping[str, Any],
) -> Description:
    """Write a model folder (which exists and is empty) with weights in half precision.

    The weights' own header repeats network and scale, so that the digest covers what the numbers mean.
    """
    tensors = {f"generators.{key}": value for key, value in generators.state_dict().items()}
    tensors |= {f"means.{modality}": mean for modality, mean in means.items()}
    weights = safetensors.torch.save(
        {key: value.detach().cpu().half().contiguous() for key, value in tensors.items()},
        # One entry: safetensors writes several in an order of its own, and the digest would differ.
        metadata={"meaning": json.dumps({"network": plain(network), "scale": plain(scale)})},
    )
    description = Description(
        name=name,
        summary=summary,
        sha256=hashlib.sha256(weights).hexdigest(),
        network=network,
        scale=scale,
        training=dict(training),
    )
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "model.json").write_text(json.dumps(plain(description), indent=2) + "\n", encoding="utf-8")
    (folder / "card.md").write_text(_draft_card(description), encoding="utf-8")
    return description


def save_gate(folder: Path, gate: SliceGate) -> None:
    """Add an input gate to a model folder; its header names the weights that it was fitted for."""
    description = describe(folder)
    tensors = safetensors.torch.save(
        {key: value.detach().cpu().float().contiguous() for key, value in gate.state_dict().items()},
        metadata={"weights": description.sha256},
    )
    with whole_output(folder / "gate.safetensors", overwrite=True, folder=False) as path:
        path.write_bytes(tensors)
    _describe_anew(folder, replace(description, gate=hashlib.sha256(tensors).hexdigest()))


def save_calibration(folder: Path, calibration: Mapping[Modality, Calibration]) -> None:
    """Say in a model folder what errors are to be expected of the spread of the model's samples."""
    _describe_anew(folder, replace(describe(folder), calibration=dict(calibration)))


def _describe_anew(folder: Path, description: Description) -> None:
    with whole_output(folder / "model.json", overwrite=True, folder=False) as path:
        path.write_text(json.dumps(plain(description), indent=2) + "\n", encoding="utf-8")


def load_model(
    name_or_folder: str, device: torch.device | None = None, precision: torch.dtype = torch.float32
) -> Model:
    """The model of a name at hand or of a folder, on a device, to compute in a precision.

    Raises:
        ModelRefused: there is no such model, its weights are not those that its description
            declares, or it is of a form that this version does not know.
    """
    folder = find_model(name_or_folder)
    description = describe(folder)
    path = folder / "weights.safetensors"
    weights, header = _read_tensors(path, description.sha256)
    _check_meaning(header, description, path)
    parts: dict[str, dict[str, Tensor]] = {"generators": {}, "means": {}}
    for key, tensor in weights.items():
        part, _, rest = key.partition(".")
        parts.setdefault(part, {})[rest] = tensor.float()
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
    # Convolutions are about half as fast again with the channels last in memory.
    generators = generators.eval().requires_grad_(False).to(device)
    generators.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(description, generators, means, precision, _load_gate(folder, description, device))


def _load_gate(folder: Path, description: Description, device: torch.device | None) -> SliceGate | None:
    path = folder / "gate.safetensors"
    if description.gate is None:
        return None
    tensors, header = _read_tensors(path, description.gate)
    if header.get("weights") != description.sha256:
        raise ModelRefused(f"{path}: the gate of other weights than those of model.json; get the model anew")
    with torch.device("meta"):
        gate = SliceGate(description.network)
    if _shapes({"": tensors}) != _shapes({"": gate.state_dict()}):
        raise ModelRefused(f"{path}: does not fit the network that model.json describes; get the model anew")
    gate.load_state_dict(tensors, assign=True)
    return gate.eval().requires_grad_(False).to(device)


def _shapes(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, tuple[int, ...]]]:
    return {
        part: {key: tuple(value.shape) for key, value in tensors.items()} for part, tensors in parts.items()
    }


def find_model(name_or_folder: str) -> Path:
    """Folder of a model that ships under this name, or this folder.

    Raises:
        ModelRefused: neither exists.
    """
    shipped = {path.parent.name: path.parent for path in SHIPPED.glob("*/model.json")}
    folder = shipped.get(name_or_folder, Path(name_or_folder))
    if (folder / "model.json").is_file():
        return folder
    names = ", ".join(shipped) or "none"
    if (folder.parent / "model.json").is_file() and folder.name in FILES:
        raise ModelRefused(f"{folder}: is a file of a model; name its folder, --model {folder.parent}")
    if folder.is_file():
        raise ModelRefused(
            f"{folder}: is a file, and --model takes the folder of a model, or one at hand: {names}"
        )
    if (folder / "model" / "model.json").is_file():
        raise ModelRefused(f"{folder}: is a training run; its model is --model {folder / 'model'}")
    raise ModelRefused(f"{name_or_folder}: no model of this name and no model folder; at hand: {names}")


def describe(folder: Path) -> Description:
    """What model.json says.

    Raises:
        ModelRefused: it is no description that this version knows.
    """
    try:
        values = json.loads(_read_text(folder / "model.json"))
        if values.get("schema") != SCHEMA:
            raise ModelRefused(
                f"{folder / 'model.json'}: schema is {values.get('schema')!r}, this version reads {SCHEMA!r}:"
                " a model of another version; update medtranslate, or get the model for this version"
            )
        return TypeAdapter(Description).validate_python(values)
    except ValidationError as error:
        reason = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}" for item in error.errors()
        )
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = str(error)
    raise ModelRefused(f"{folder / 'model.json'}: not a model of this version ({reason}); get the model anew")


def list_models() -> list[Description]:
    """Descriptions of the models that ship, by name."""
    return [describe(path.parent) for path in sorted(SHIPPED.glob("*/model.json"))]


def card(name_or_folder: str) -> str:
    """The model's card, Markdown.

    Raises:
        ModelRefused: there is no such model, or it has no card.
    """
    path = find_model(name_or_folder) / "card.md"
    try:
        return _read_text(path)
    except (OSError, ValueError) as error:
        raise ModelRefused(f"{path}: the model's card cannot be read ({error}); get the model anew") from None


def facts(name_or_folder: str) -> dict[str, Any]:
    """What a model declares of itself, checked against its weights, as JSON-like values.

    Raises:
        ModelRefused: as `load_model`, or it has no card.
    """
    folder = find_model(name_or_folder)
    model, text = load_model(str(folder)), card(str(folder))
    description, scale = model.description, model.description.scale
    parameters = {
        f"to_{to}": sum(value.numel() for value in model.translator(to).parameters()) for to in _MODALITIES
    }
    return {
        "name": description.name,
        "summary": description.summary,
        "input": {
            "ct": {"range": scale.ct_window, "unit": "HU"},
            "mr": {"lowest": 0, "highest": f"percentile {scale.mr_percentile:g} of the foreground"},
        },
        "output": {
            to: {"range": model.info(to).output_range, "unit": model.info(to).unit} for to in _MODALITIES
        },
        "network": plain(description.network),
        "parameters": parameters,
        "digests": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in FILES
            if name != "log.csv" and (folder / name).is_file()
        },
        "gate": description.gate is not None,
        "calibrated": {to: known.on for to, known in description.calibration.items()},
        "training": description.training,
        "foreign": sorted(path.name for path in folder.iterdir() if path.name not in FILES),
        "card": text,
    }


def _read_text(path: Path) -> str:
    """A text file of `MAX_TEXT` bytes at most.

    Raises:
        OSError, ValueError: it cannot be read, is longer, or is no UTF-8.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_TEXT + 1)
    if len(raw) > MAX_TEXT:
        raise ValueError(f"more than {MAX_TEXT} bytes")
    return raw.decode("utf-8")


def _read_tensors(path: Path, declared: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What a file of tensors holds, and what its header says, if it is the file that model.json declares."""
    try:
        size = path.stat().st_size
        if size > MAX_WEIGHTS:
            raise ModelRefused(f"{path}: {size} bytes of weights, at most {MAX_WEIGHTS} are read")
        raw = path.read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        if digest != declared:
            raise ModelRefused(
                f"{path}: altered weights: SHA-256 {digest[:12]}..., model.json declares"
                f" {declared[:12]}...; get the model anew"
            )
        tensors: dict[str, Tensor] = safetensors.torch.load(raw)
    except (OSError, SafetensorError) as error:
        raise ModelRefused(f"{path}: weights cannot be read ({error}); get the model anew") from None
    header: dict[str, dict[str, str]] = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return tensors, header.get("__metadata__", {})


def _check_meaning(header: Mapping[str, str], description: Description, path: Path) -> None:
    """Network and scale in model.json are those that the weights were written with, where they say so."""
    kinds = {"network": NetworkSettings, "scale": ScaleSettings}
    try:
        said = json.loads(header.get("meaning", "{}"))
        altered = [
            name
            for name, kind in kinds.items()
            if name in said and build(kind, said[name]) != getattr(description, name)
        ]
    except (ValueError, AttributeError, SettingsError) as error:
        raise ModelRefused(f"{path}: damaged header ({error}); get the model anew") from None
    if altered:
        raise ModelRefused(
            f"{path.parent / 'model.json'}: altered {' and '.join(altered)}: the weights were made with"
            " another; get the model anew"
        )


def _draft_card(description: Description) -> str:
    facts = "\n".join(f"- {key}: {value}" for key, value in description.training.items())
    lower, upper = description.scale.ct_window
    low, high = description.scale.mr_range
    return (
        f"# {description.name}\n\n{description.summary}\n\n"
        "Research use only; not for diagnosis, dose or treatment.\n\n"
        f"## Output\n\n- CT: {lower:g} to {upper:g} HU; nothing outside can come out.\n"
        f"- MR: {low:g} to {high:g} arbitrary units.\n"
        f"- Slices of {description.network.size} x {description.network.size} pixels, framed to the head.\n\n"
        f"## Training\n\n{facts}\n- weights: SHA-256 {description.sha256}\n"
    )
