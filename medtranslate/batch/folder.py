"""Holds the folder of a batch: names of its own files, its lock, and what a killed batch left.

A batch of one participant of a BIDS dataset has own files and an own lock, so that batches of several
participants can work on one folder at the same time, as jobs of a BIDS App do.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from medtranslate.batch import bids
from medtranslate.batch.preview import FOLDER
from medtranslate.batch.tree import LOCK
from medtranslate.config import BatchSettings
from medtranslate.errors import UsageError
from medtranslate.runtime import is_disk_full
from medtranslate.runtime.locks import locked

SETTINGS = "settings.yaml"
_WORKER_LOCK = ".batch.worker-{name}.lock"
"""Held by each worker on a folder, so that a batch begins when those of a killed one have ended."""
_LAST_WORKERS = 60.0
_PASSING = 10.0
_TEMPORARY = ".medtranslate-*"


def part_of(settings: BatchSettings) -> str:
    """Name the participant whose batch this is, such as sub-01; empty for a batch of all or of several."""
    labels = settings.participant_label
    if len(labels) != 1 or not bids.is_dataset(settings.source):
        return ""
    return f"sub-{labels[0].strip().removeprefix('sub-')}"


def own(name: str, part: str) -> str:
    """Name a file of a batch: `batch.jsonl`, or `batch_sub-01.jsonl` for one participant."""
    path = Path(name)
    return f"{path.stem}_{part}{path.suffix}" if part else name


def settings_of(settings: BatchSettings) -> Path:
    """Path of the settings that a batch writes."""
    return settings.out / own(SETTINGS, part_of(settings))


def journals(out: Path) -> list[Path]:
    """List the journals in a folder, the oldest first."""
    return sorted(out.glob("batch*.jsonl"), key=lambda path: path.stat().st_mtime)


@contextmanager
def held(settings: BatchSettings) -> Iterator[None]:
    """Lock the output's folder, or a participant's part of it, and remove what a killed batch left.

    A batch of the whole folder and batches of participants exclude each other.

    Raises:
        UsageError: another batch works on it, or it can't be made or written to.
    """
    out, part = settings.out, part_of(settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / own(LOCK, part)).touch()
    except OSError as error:
        if is_disk_full(error):
            raise
        why = (error.strerror or "failed").lower()
        raise UsageError(f"{out}: cannot be written ({why}); check the path and your rights to it") from error
    with locked(out / own(LOCK, part)):
        # Each takes its own lock first and looks at the others' then, so no two of them pass.
        for other in [out / LOCK] if part else out.glob(own(LOCK, "sub-*")):
            with locked(other, wait=_PASSING if part else 0.0):
                pass
        wait_for_workers(out, _LAST_WORKERS, part)
        clear(out, part)
        yield


def worker_lock(settings: BatchSettings, worker: str) -> Path:
    """Path of a worker's lock; `worker` is its machine and process."""
    part = part_of(settings)
    return settings.out / _WORKER_LOCK.format(name=f"{part}@{worker}" if part else worker)


def wait_for_workers(out: Path, seconds: float, part: str = "") -> None:
    """Wait until no worker of an earlier batch writes into a folder, and remove their lock files.

    Args:
        part: wait for the workers of one participant's batches alone.

    Raises:
        UsageError: one still works after that time.
    """
    end = monotonic() + seconds
    for path in sorted(out.glob(_WORKER_LOCK.format(name=f"{part}@*" if part else "*"))):
        with locked(path, wait=max(0.0, end - monotonic())):
            pass
        with suppress(OSError):  # Windows removes no file that another process looks at
            path.unlink()


def clear(out: Path, part: str = "") -> None:
    """Remove what killed workers left half written."""
    for place in (out / part, out / FOLDER / part) if part else (out,):
        for path in list(place.rglob(_TEMPORARY)):
            shutil.rmtree(path, ignore_errors=True)
