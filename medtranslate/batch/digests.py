"""Identifies finished outputs by digests of what they were made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from medtranslate.batch.items import Item
from medtranslate.checkpoint import Description
from medtranslate.config import UNTOLD, BatchSettings, plain
from medtranslate.errors import Unreadable
from medtranslate.io.dicom_files import visible_files
from medtranslate.records import Translation, read_result
from medtranslate.translation import PREVIEW


def key_of(settings: BatchSettings, item: Item, model: Description) -> str:
    """Digest (SHA-256) all that an output depends on: the input's bytes, the model, the settings.

    Settings that are None count as not given, so that a later version may have more of them.

    Raises:
        OSError: a file can't be read.
    """
    told = {
        "input": digest(item.paths),
        "series": item.series,
        "model": [model.name, model.sha256],
        "settings": {
            name: value for name, value in plain(settings).items() if name not in UNTOLD and value is not None
        },
        **({"like": digest(visible_files(settings.like))} if settings.like else {}),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def digest_of_output(item: Item, output: Path) -> str:
    """Digest (SHA-256) a translation's files, without its record and its preview.

    Raises:
        OSError: a file can't be read.
    """
    beside = (item.record.name, PREVIEW)
    return digest(path for path in visible_files(output) if path.name not in beside)


def digest(files: Iterable[Path]) -> str:
    """Digest (SHA-256) the digests of files, in their order."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def recorded(item: Item, out: Path) -> Translation | None:
    """Read the record of an item's output, if a batch wrote it."""
    with suppress(Unreadable):
        record = read_result(Translation, out / item.record)
        return record if record.finished else None
    return None


def is_whole(record: Translation | None, key: str, item: Item, out: Path) -> bool:
    """Check if an output is the recorded one, made of the input that is there now."""
    if record is None or record.finished is None or record.finished.key != key:
        return False
    with suppress(OSError):
        return digest_of_output(item, out / item.target) == record.finished.sha256
    return False
