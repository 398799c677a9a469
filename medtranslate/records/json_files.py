"""Records as JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from medtranslate.errors import Unreadable
from medtranslate.records.batch import Batch, Outcome
from medtranslate.records.calibration import CalibrationReport
from medtranslate.records.cohort import Cohort, Cycle
from medtranslate.records.evaluation import Evaluation
from medtranslate.records.translation import Conversion, Translation

Record = Translation | Conversion | Evaluation | Cohort | Cycle | Batch | Outcome | CalibrationReport

R = TypeVar("R")


def to_json(result: Record) -> dict[str, Any]:
    """JSON-like values with the `None`s left out and infinity as the string "Infinity"."""
    plain: dict[str, Any] = json.loads(TypeAdapter(type(result)).dump_json(result, exclude_none=True))
    return plain


def write_result(result: Record, path: Path) -> None:
    """Write as JSON (UTF-8, two-space indent)."""
    path.write_text(json.dumps(to_json(result), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_result(kind: type[R], path: Path) -> R:
    """Read what `write_result` wrote.

    Raises:
        Unreadable: not JSON, or not of the schema of `kind`.
    """
    try:
        values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _foreign(kind, str(path), error) from None
    return from_json(kind, values, str(path))


def from_json(kind: type[R], values: Mapping[str, Any], where: str) -> R:
    """Rebuild the record that `to_json` made `values` of; `where` is for messages.

    Raises:
        Unreadable: they are not of the schema of `kind`.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise _foreign(kind, where, error) from None


def _foreign(kind: type, where: str, error: Exception) -> Unreadable:
    first = str(error).splitlines()[0]
    if isinstance(error, ValidationError):
        flaw = error.errors(include_url=False, include_context=False, include_input=False)[0]
        first = f"{'.'.join(map(str, flaw['loc']))}: {flaw['msg'].lower()}"
    return Unreadable(
        f"{where}: is no {kind.__name__.lower()} of this version ({first}); give it as it was written"
    )
