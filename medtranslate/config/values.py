"""Settings from plain values and YAML, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from medtranslate.errors import SettingsError

Settings = TypeVar("Settings")


def build(kind: type[Settings], values: Mapping[str, object], origin: str = "settings") -> Settings:
    """Make settings of `kind` from plain values.

    Raises:
        SettingsError: a key is unknown, a value is missing or out of range; names each of them.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        problems = "; ".join(_problem(item) for item in error.errors())
        raise SettingsError(f"{origin}: {problems}") from None


def _problem(item: ErrorDetails) -> str:
    name = ".".join(map(str, item["loc"])) or "value"
    if item["type"] == "unexpected_keyword_argument":
        return f"{name}: no setting of this name"
    if item["type"] == "missing":
        return f"{name}: missing"
    reason = item["msg"].removeprefix("Value error, ")
    return f"{name}: {reason[:1].lower()}{reason[1:]} (got {item['input']!r})"


def plain(settings: object) -> dict[str, Any]:
    """Return settings as JSON-like values, in the order of the fields.

    Of a de-identified output the paths of inputs are left out: file names may name a patient.
    """
    values: dict[str, Any] = TypeAdapter(type(settings)).dump_python(settings, mode="json", by_alias=True)
    hidden = _SOURCES if values.get("deidentify") else ()
    return {name: value for name, value in values.items() if name not in hidden}


_SOURCES = ("input", "series", "reference", "result", "prediction", "source", "mask", "uncertainty")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file, by `safe_load`.

    Raises:
        SettingsError: the file is missing, is no YAML, or holds no mapping or several.
    """
    documents = read_documents(path)
    if len(documents) > 1:
        raise SettingsError(f"{path}: holds {len(documents)} YAML documents; write one")
    return documents[0]


def read_documents(path: Path) -> list[dict[str, Any]]:
    """Read the mappings in a YAML file, one of each document, by `safe_load`; at least one.

    Raises:
        SettingsError: the file is missing, is no YAML, or a document holds no mapping.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) or [None]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); name an existing YAML file") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path}: not plain YAML ({reason})") from None
    for values in documents:
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            raise SettingsError(f"{path}: holds no settings; write `key: value` lines")
    return documents


def write_yaml(settings: object, path: Path) -> None:
    """Write the effective settings."""
    path.write_text(yaml.safe_dump(plain(settings), sort_keys=False), encoding="utf-8")
