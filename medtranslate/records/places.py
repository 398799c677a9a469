"""Names of the records and previews of outputs."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

RECORD = "translation.json"
"""Name of the record of the one volume in a folder."""
PREVIEW = "preview.png"
"""Name of its preview."""


def stem_of(path: Path) -> str:
    """Return the name of a file without its suffixes, or the name of a folder."""
    return path.name if path.is_dir() else _stem(path)


def _stem(file: Path) -> str:
    return Path(file.stem if file.suffix.lower() == ".gz" else file.name).stem


def record_beside(output: Path, kind: str = "translation", *, whole: bool = False) -> Path:
    """Name the record of a file x.nii.gz: x.translation.json, or x.nii.gz.translation.json if `whole`."""
    return output.with_name(f"{output.name if whole else _stem(output)}.{kind}.json")


def record_of(output: Path, kind: str = "translation") -> Path:
    """Name the record of an output: inside a folder, or beside a file.

    Args:
        output: file or folder.
        kind: `translation`, or `result` for the scores.
    """
    if output.is_dir():
        return output / f"{kind}.json"
    return record_beside(output, kind, whole=has_whole_name(output))


def preview_of(record: Path) -> Path:
    """Name the preview of a record: x.preview.png for x.translation.json, preview.png in a folder."""
    return record.with_name(f"{record.name.removesuffix(RECORD)}{PREVIEW}")


def has_whole_name(output: Path) -> bool:
    """Return True if a file's record has the file's whole name.

    It has if another existing file has the record of its stem: x.nrrd is recorded in
    x.nrrd.translation.json if x.translation.json belongs to x.mha.
    """
    owner = output.with_name(_recorded_in(record_beside(output)) or output.name)
    return record_beside(output, whole=True).exists() or (owner != output and owner.exists())


def _recorded_in(record: Path) -> str:
    """Read the name of a record's output; empty without a record."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        return Path(str(json.loads(record.read_text(encoding="utf-8"))["output"])).name
    return ""
