"""The description of a model, and reading of its files before anything is made of them.

Without torch: `models list` and `models show` start in a fraction of the time that networks take to load.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from medtranslate.config import Anatomy, Modality, ModelName, NetworkSettings, ScaleSettings, build, plain
from medtranslate.errors import ModelRefused, SettingsError
from medtranslate.modality import UNITS
from medtranslate.records import Calibration, ModelInfo
from medtranslate.runtime import whole_output

SHIPPED = Path(__file__).parents[1] / "models"

SCHEMA = "medtranslate/model/1"

MAX_WEIGHTS = 2**30
"""Bytes of weights that are read at most; two orders above what ships."""

MAX_TEXT = 2**20
"""Bytes of model.json and of card.md that are read at most, each."""

FILES = ("model.json", "weights.safetensors", "gate.safetensors", "card.md", "notice.md", "log.csv")
"""The files of a model; others in its folder are never opened."""

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

Licence = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")]
"""An SPDX identifier, such as CC-BY-4.0, or LicenseRef-NAME for terms that notice.md states."""

_FROZEN = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Parent:
    """The model that a training run started from.

    Attributes:
        sha256: of its weights.
        licence: its own, None where it states none.
    """

    name: ModelName
    sha256: Digest
    licence: Licence | None = None


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Description:
    """model.json.

    Attributes:
        sha256: of weights.safetensors.
        gate: SHA-256 of gate.safetensors; None for a model without an input gate.
        calibration: by the modality that is made, errors to be expected of the spread of samples; empty
            for a model that was not measured.
        limits: the same of the error limits that the networks estimate (`network.limits`).
        summary: one line for `models list`.
        anatomy: shown by the images that it was trained on.
        training: plain facts about the run: data, images seen, device, seconds, commit.
        parent: the model that the run started from; None for one that started from noise.
        licence: of the weights; None where none is stated. notice.md holds terms in words.
    """

    schema: Literal["medtranslate/model/1"] = "medtranslate/model/1"
    name: ModelName
    summary: str
    sha256: Digest
    network: NetworkSettings
    scale: ScaleSettings
    anatomy: Anatomy = "head"
    gate: Digest | None = None
    calibration: dict[Modality, Calibration] = field(default_factory=dict)
    limits: dict[Modality, Calibration] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    parent: Parent | None = None
    licence: Licence | None = None

    def curves(self, samples: int | None) -> dict[Modality, Calibration]:
        """Give the calibration of the spread of samples, or without samples that of the networks' limits."""
        return self.calibration if samples else self.limits

    def info(self, to: Modality) -> ModelInfo:
        """Describe the model that makes a modality, as records do."""
        return ModelInfo(
            name=self.name,
            sha256=self.sha256,
            to=to,
            output_range=self.scale.ct_window if to == "ct" else self.scale.mr_range,
            unit=UNITS[to],
            mr_percentile=self.scale.mr_percentile if to == "mr" else None,
            summary=self.summary or None,
            anatomy=self.anatomy,
        )


def find_model(name_or_folder: str) -> Path:
    """Find the model that ships under this name, or take the name as the folder of a model or of a run.

    Returns:
        The model's own folder.

    Raises:
        ModelRefused: neither exists.
    """
    shipped = {path.parent.name: path.parent for path in SHIPPED.glob("*/model.json")}
    folder = shipped.get(name_or_folder, Path(name_or_folder))
    if (folder / "export.json").is_file() and (folder / "model.json").is_file():
        raise ModelRefused(
            f"{folder}: holds a model as ONNX files; make a model folder of it:"
            f" medtranslate models import {folder} OUTPUT"
        )
    if (folder / "model.json").is_file():
        return folder
    names = ", ".join(shipped) or "none"
    if (folder.parent / "model.json").is_file() and folder.name in FILES:
        raise ModelRefused(f"{folder}: is a file of a model; name its folder, --model {folder.parent}")
    if folder.is_file():
        raise ModelRefused(
            f"{folder}: is a file, and --model takes the folder of a model, or one at hand: {names}"
        )
    for below in ("model", "models"):  # of a training run, of a MONAI bundle
        if (folder / below / "model.json").is_file():
            return folder / below
    if (folder / "checkpoint.pt").is_file():
        raise ModelRefused(
            f"{folder}: is a training run that has no model yet; it keeps one at its first validation"
        )
    if inside := sorted(path.parent.name for path in folder.glob("*/model.json")):
        raise ModelRefused(
            f"{folder}: holds {len(inside)} models; name one of them, as --model {folder / inside[-1]}"
        )
    raise ModelRefused(f"{name_or_folder}: no model of this name and no model folder; at hand: {names}")


def describe(folder: Path) -> Description:
    """Read model.json.

    Raises:
        ModelRefused: it is no description that this version knows.
    """
    path = folder / "model.json"
    try:
        values = json.loads(read_text(path))
        if values.get("schema") != SCHEMA:
            raise ModelRefused(
                f"{path}: schema is {values.get('schema')!r}, this version reads {SCHEMA!r}:"
                " a model of another version; update medtranslate, or get the model for this version"
            )
        return TypeAdapter(Description).validate_python(values)
    except ValidationError as error:
        reason = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}" for item in error.errors()
        )
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = str(error)
    raise ModelRefused(f"{path}: not a model of this version ({reason}); get the model anew")


def write_description(folder: Path, description: Description) -> None:
    """Put model.json into a model folder, in place of the one that may be there."""
    with whole_output(folder / "model.json", overwrite=True, folder=False) as path:
        path.write_text(json.dumps(plain(description), indent=2) + "\n", encoding="utf-8")


def list_models() -> list[Description]:
    """Describe the models that ship, by name."""
    return [describe(path.parent) for path in sorted(SHIPPED.glob("*/model.json"))]


def list_run(run: Path) -> dict[Path, Description]:
    """Describe the models of a training run by folder: the last one, then those that it kept.

    Raises:
        ModelRefused: the folder is no run, or holds no model yet.
    """
    folders = [path.parent for path in (run / "model" / "model.json", *sorted(run.glob("kept/*/model.json")))]
    if not folders[0].joinpath("model.json").is_file():
        raise ModelRefused(
            f"{run}: holds no model/model.json, so no run with a model; name the folder of a run"
        )
    return {folder: describe(folder) for folder in folders}


def read_text(path: Path) -> str:
    """Read a text file of `MAX_TEXT` bytes at most.

    Raises:
        OSError, ValueError: it cannot be read, is longer, or is no UTF-8.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_TEXT + 1)
    if len(raw) > MAX_TEXT:
        raise ValueError(f"more than {MAX_TEXT} bytes")
    return raw.decode("utf-8")


def read_declared(path: Path, declared: str) -> bytes:
    """Read a file of tensors if its SHA-256 is the one that model.json declares.

    Raises:
        ModelRefused: it is missing, larger than `MAX_WEIGHTS`, or another file.
    """
    try:
        size = path.stat().st_size
        if size > MAX_WEIGHTS:
            raise ModelRefused(f"{path}: {size} bytes of weights, at most {MAX_WEIGHTS} are read")
        raw = path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"{path}: weights cannot be read ({error}); get the model anew") from None
    digest = hashlib.sha256(raw).hexdigest()
    if digest != declared:
        raise ModelRefused(
            f"{path}: altered weights: SHA-256 {digest[:12]}..., model.json declares {declared[:12]}...;"
            " get the model anew"
        )
    return raw


def header_of(raw: bytes, path: Path) -> dict[str, Any]:
    """Read the header of a safetensors file: shape and type of each tensor, texts under `__metadata__`.

    Raises:
        ModelRefused: there is none.
    """
    try:
        header: dict[str, Any] = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        return {"__metadata__": {}, **header}
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelRefused(f"{path}: damaged header ({error}); get the model anew") from None


def check_meaning(header: dict[str, Any], description: Description, path: Path) -> None:
    """Compare network and scale of model.json with those that the weights' own header repeats.

    Raises:
        ModelRefused: they differ.
    """
    kinds = {"network": NetworkSettings, "scale": ScaleSettings}
    try:
        meaning = json.loads(header["__metadata__"].get("meaning", "{}"))
        altered = [
            name
            for name, kind in kinds.items()
            if name in meaning and build(kind, meaning[name]) != getattr(description, name)
        ]
    except (ValueError, AttributeError, RecursionError, SettingsError) as error:
        raise ModelRefused(f"{path}: damaged header ({error}); get the model anew") from None
    if altered:
        raise ModelRefused(
            f"{path.parent / 'model.json'}: altered {' and '.join(altered)}: the weights were made with"
            " another; get the model anew"
        )
