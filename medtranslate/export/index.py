"""The index of an export, `export.json`: what it holds, with the digest of each file."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from medtranslate.checkpoint import MAX_WEIGHTS
from medtranslate.checkpoint.description import Digest, read_text
from medtranslate.config import ModelName
from medtranslate.errors import ModelRefused

INDEX = "export.json"

RelativeName = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]*/)?[A-Za-z][A-Za-z0-9_.]*$", max_length=100)]
"""Path of a file inside an export, at most one folder deep."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Index:
    """export.json.

    Attributes:
        kind: of the export.
        model: its name.
        sha256: of the model's weights.
        medtranslate: version that wrote the export.
        files: SHA-256 of every other file, by its path.
        settings: of the command.
    """

    schema: Literal["medtranslate/export/1"] = "medtranslate/export/1"
    kind: Literal["bundle", "onnx"]
    model: ModelName
    sha256: Digest
    medtranslate: str
    files: Annotated[dict[RelativeName, Digest], Field(max_length=100)]
    settings: dict[str, Any]


def write_index(folder: Path, values: dict[str, Any]) -> Index:
    """Write the index of a folder whose other files are complete."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    index = Index(
        **values, files={path.relative_to(folder).as_posix(): _digest(path.read_bytes()) for path in files}
    )
    (folder / INDEX).write_text(json.dumps(as_json(index), indent=2) + "\n", encoding="utf-8")
    return index


def as_json(index: Index) -> dict[str, Any]:
    """Return an index as JSON-like values."""
    plain: dict[str, Any] = TypeAdapter(Index).dump_python(index, mode="json")
    return plain


def read_index(folder: Path) -> Index:
    """Read the index of an export, and compare every file with its digest.

    Raises:
        ModelRefused: the folder is no export of this version, or a file is missing, altered or too large.
    """
    path = folder / INDEX
    try:
        index = TypeAdapter(Index).validate_python(json.loads(read_text(path)))
    except FileNotFoundError:
        raise ModelRefused(
            f"{folder}: holds no {INDEX}, so it is no export of medtranslate; name the folder that"
            " `medtranslate export` wrote"
        ) from None
    except ValidationError as error:
        flaw = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, flaw["loc"]))
        raise ModelRefused(
            f"{path}: is no export of this version ({place}: {flaw['msg'].lower()}); export the model again"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{path}: cannot be read ({error}); export the model again") from None
    for name, declared in index.files.items():
        found = _digest(read_bounded(folder / name))
        if found != declared:
            raise ModelRefused(
                f"{folder / name}: altered: SHA-256 {found[:12]}..., {INDEX} declares {declared[:12]}...;"
                " export the model again"
            )
    return index


def read_bounded(path: Path) -> bytes:
    """Read a file of at most twice `MAX_WEIGHTS`, the size of such weights in float32.

    Raises:
        ModelRefused: it is missing or larger.
    """
    try:
        size = path.stat().st_size
        if size > 2 * MAX_WEIGHTS:
            raise ModelRefused(f"{path}: {size} bytes, at most {2 * MAX_WEIGHTS} are read")
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise ModelRefused(f"{path}: cannot be read ({reason}); export the model again") from None


def copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy those of the named files that a folder has."""
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
