"""Runs a batch from its list to its overview; this process holds names alone."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from natsort import natsorted

from medtranslate.batch import bids
from medtranslate.batch.cluster import cluster_crew, joined
from medtranslate.batch.folder import clear, held, own, part_of, settings_of, wait_for_workers
from medtranslate.batch.items import Item, find_items
from medtranslate.batch.overview import write_overview
from medtranslate.batch.sources import notes_on, require_listed
from medtranslate.batch.tree import JOURNAL, is_of_a_batch
from medtranslate.batch.watch import arriving
from medtranslate.batch.worker import (
    WORKER_BYTES,
    WORKERS_OF_A_DEVICE,
    failed,
    open_worker,
)
from medtranslate.checkpoint import describe, find_model
from medtranslate.config import BatchSettings, plain, write_yaml
from medtranslate.device import choose_device, free_memory
from medtranslate.errors import DiskFull, Interrupted, OutputExists, Unreadable, UsageError
from medtranslate.io.trees import is_pattern
from medtranslate.modality import OTHER
from medtranslate.records import Batch, Outcome, to_json
from medtranslate.runtime import (
    Journal,
    cores,
    crew,
    end_if_imported,
    few,
    is_disk_full,
    journal,
    progress,
    require_input,
    warn,
)

DEVICE_BYTES = 2**32
"""Memory of a CUDA device that a worker is reckoned with."""
_LOST = (
    "the process that worked on it was ended from outside, several times; it takes too much memory perhaps:"
    " give fewer --workers"
)


def run_batch(settings: BatchSettings, *, quiet: bool = False) -> Batch:
    """Translate the items of `settings.source` that are not finished.

    Outputs are put in place one by one, each when it is whole, so a batch can be ended at any moment and gone
    on with. An item that fails is tried once more when the others are done, and then reported.

    Raises:
        InputRefused: there is nothing to translate, or the model is refused.
        UsageError: the output is the source or holds it, another batch works on it, or it is someone else's;
            or a cluster that is asked for is not to be had; or a script calls this where it is imported.
        Interrupted: Ctrl-C, unless it is what ends a watch; what is finished stays.
        RunFailed: a worker could not load the model.
    """
    end_if_imported()
    folder = find_model(settings.model)
    model = describe(folder)
    if not settings.cluster:
        choose_device(settings.device)
    _check_out(settings)
    # Workers may have another working directory.
    settings = replace(
        settings,
        source=Path(os.path.abspath(settings.source)),
        out=Path(os.path.abspath(settings.out)),
        model=os.path.abspath(folder) if Path(settings.model).is_dir() else settings.model,
    )
    require_listed(settings)
    items = find_items(settings)
    if not (items or settings.watch):
        raise Unreadable(f"{settings.source}: no image found in it{_wanted(settings)}; check the path")
    interrupted = False
    part = part_of(settings)
    with joined(settings) as ray, held(settings), journal(settings.out / own(JOURNAL, part)) as kept:
        write_yaml(settings, settings_of(settings))
        if bids.is_dataset(settings.source):
            bids.write_description(settings.source, settings.out, model.name, settings.to)
        warn(notes_on(settings))
        run = _Run(settings, kept, len(items), ray)
        try:
            run.work(arriving(settings, run.open) if settings.watch else iter(items), quiet=quiet)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            with suppress(UsageError):  # what still works removes its own
                wait_for_workers(settings.out, 0.0, part)
            clear(settings.out, part)
        batch = run.tell()
    if interrupted and not settings.watch:
        raise Interrupted(
            f"interrupted; {len(batch.items)} of {len(items)} items are settled in {settings.out}, and the"
            " same command goes on from there"
        )
    return batch


def count_workers(settings: BatchSettings, items: int) -> int:
    """Count the worker processes for a list, by cores, memory and devices, or by the settings."""
    if settings.workers:
        return settings.workers
    device = choose_device(settings.device)
    room = min(cores(), free_memory(torch.device("cpu")) // WORKER_BYTES)
    if device.type == "cuda":
        devices = torch.cuda.device_count() if settings.device == "auto" else 1
        room = min(room, devices * min(WORKERS_OF_A_DEVICE, free_memory(device) // DEVICE_BYTES))
    return max(1, min(room, items) if items else room)


class _Run:
    """Outcomes of a run so far.

    Attributes:
        open: names of items that are under way, or are to be tried once more.
    """

    def __init__(self, settings: BatchSettings, kept: Journal, known: int, ray: Any) -> None:
        self.settings, self.kept, self.known, self.ray = settings, kept, known, ray
        self.started = time.monotonic()
        self.outcomes: dict[str, Outcome] = {}
        self.open: set[str] = set()
        self.again: deque[Item] = deque()
        self.retried: set[str] = set()
        self.untold = False

    def work(self, found: Iterator[Item | None], *, quiet: bool) -> None:
        """Distribute the items that are found, and settle their outcomes, until there are no more."""
        slices = 0
        with (
            progress(self.known, "volume", f"translating to {self.settings.to}", quiet=quiet) as bar,
            closing(self._crew(found)) as results,
        ):
            for item, result in results:
                if not self._settle(item, result or failed(item, _LOST), lost=result is None):
                    continue
                slices += result.slices if result and result.state in ("done", "doubtful") else 0
                bar.total = max(self.known, len(self.outcomes))
                bar.set_postfix_str(f"{slices / (time.monotonic() - self.started):.1f} slices/s", False)
                bar.update(len(self.outcomes) - bar.n)
                if self.settings.fail_fast and self.outcomes[item.name].state == "failed":
                    return

    def _crew(self, found: Iterator[Item | None]) -> Generator[tuple[Item, Outcome | None], None, None]:
        """Start the workers, on this machine or on a cluster."""
        if self.ray:
            return cluster_crew(self.ray, self.settings, self._tasks(found), self.known)
        workers = count_workers(self.settings, self.known)
        return crew(partial(open_worker, self.settings), self._tasks(found), workers)

    def _tasks(self, found: Iterator[Item | None]) -> Iterator[Item | None]:
        """Yield items as they are found, then those for a second try."""
        for item in found:
            if item is not None:
                self.open.add(item.name)
                self.retried.discard(item.name)
                yield item
                continue
            if self.untold and not self.open:
                self.tell()
            yield self.again.popleft() if self.again else None
        while self.open:
            yield self.again.popleft() if self.again else None

    def _settle(self, item: Item, outcome: Outcome, *, lost: bool) -> bool:
        """Keep an outcome, unless the item gets a second try."""
        twice = lost or item.name in self.retried or self.settings.fail_fast
        if outcome.state == "failed" and not twice:
            self.retried.add(item.name)
            self.again.append(item)
            return False
        self.open.discard(item.name)
        self.outcomes[item.name] = outcome
        self.untold = True
        if outcome.state != "skipped":
            try:
                self.kept.keep(item.name, to_json(outcome))
            except OSError as error:  # a full disk is told by the items that it fails
                if not is_disk_full(error):
                    raise
        return True

    def tell(self) -> Batch:
        """Update summary and overview."""
        batch = Batch(
            items=[self.outcomes[name] for name in natsorted(self.outcomes)],
            seconds=round(time.monotonic() - self.started, 3),
            left=max(0, self.known - len(self.outcomes)),
            settings=plain(self.settings),
        )
        try:
            write_overview(batch, self.settings.out, part_of(self.settings))
        except DiskFull as full:
            warn([str(full)])
        self.untold = False
        return batch


def _wanted(settings: BatchSettings) -> str:
    """Say what images of a BIDS dataset are translated, for a message; empty for other sources."""
    if not bids.is_dataset(settings.source):
        return ""
    people = ", ".join(settings.participant_label)
    kinds = bids.SUFFIXES[OTHER[settings.to]].replace("|", ", ")
    return f"{f' of {people}' if people else ''} that --to {settings.to} takes ({kinds} in anat or ct)"


def _check_out(settings: BatchSettings) -> None:
    """Refuse a folder or a format that is not for a batch.

    Raises:
        OutputExists: the folder holds files that no batch wrote; `overwrite` lets a batch grow among them.
        UsageError: the source has changed places with the output, or `compress` is for another format.
    """
    source, out = settings.source, settings.out
    if not is_pattern(source):
        require_input(source, out)
    if settings.compress and settings.format not in (None, "dicom"):
        raise UsageError(f"--compress: is for DICOM, not for --format {settings.format}; leave it away")
    around = source.resolve().is_relative_to(out.resolve())  # find_items refuses that
    if settings.overwrite or around or not out.is_dir() or is_of_a_batch(out):
        return
    foreign = [path.name for path in natsorted(out.iterdir()) if path.name[0] != "."]
    if foreign:
        raise OutputExists(
            f"{out}: holds {few(foreign)}, which no batch wrote; name a new folder, such as {out / 'NAME'},"
            " or give --overwrite"
        )
