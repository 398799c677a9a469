"""Which record is that of which output."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

RECORD = "translation.json"
"""What the one volume of a folder is recorded in."""
PREVIEW = "preview.png"
"""What is drawn of it."""


def stem_of(path: Path) -> str:
    """The name of a file without its suffixes; of a folder, its name."""
    return path.name if path.is_dir() else _stem(path)


def _stem(file: Path) -> str:
    return Path(file.stem if file.suffix.lower() == ".gz" else file.name).stem


def record_beside(output: Path, kind: str = "translation", *, whole: bool = False) -> Path:
    """`x.translation.json` for a file x.nii.gz, or by its `whole` name `x.nii.gz.translation.json`."""
    return output.with_name(f"{output.name if whole else _stem(output)}.{kind}.json")


def record_of(output: Path, kind: str = "translation") -> Path:
    """Where an output is, or is to be, recorded: in the folder that it is, or beside the file.

    Args:
        output: file or folder.
        kind: `translation`, or `result` for the scores.
    """
    if output.is_dir():
        return output / f"{kind}.json"
    return record_beside(output, kind, whole=has_whole_name(output))


def preview_of(record: Path) -> Path:
    """`x.preview.png` beside a record `x.translation.json`; `preview.png` beside that of a folder."""
    return record.with_name(f"{record.name.removesuffix(RECORD)}{PREVIEW}")


def has_whole_name(output: Path) -> bool:
    """Whether a file's record bears the file's whole name.

    It does where the record of its stem is that of another file which is there: x.nrrd is recorded in
    x.nrrd.translation.json if x.translation.json is that of x.mha.
    """
    owner = output.with_name(_recorded_in(record_beside(output)) or output.name)
    return record_beside(output, whole=True).exists() or (owner != output and owner.exists())


def _recorded_in(record: Path) -> str:
    """Name of the file that a record is about; empty where there is no record."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        return Path(str(json.loads(record.read_text(encoding="utf-8"))["output"])).name
    return ""
