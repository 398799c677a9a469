"""Translates items by a process that holds the model: read, translate, write, or skip if finished.

Nothing here knows who gives the items: a process of this machine (`runtime.crew`) or an actor elsewhere that
sees the same files. Items go in and outcomes come out, both without arrays; the outputs are written here.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

import torch

from medtranslate.batch import bids
from medtranslate.batch.digests import digest_of_output, is_whole, key_of, recorded
from medtranslate.batch.folder import worker_lock
from medtranslate.batch.items import Item, printable
from medtranslate.batch.preview import thumbnail_of, write_thumbnail
from medtranslate.config import BatchSettings, TranslateSettings
from medtranslate.device import choose_device
from medtranslate.errors import InputRefused, OutputExists
from medtranslate.records import Finished, Outcome, Translation, write_result
from medtranslate.report.doubts import say_doubts
from medtranslate.report.item_measures import measures_of
from medtranslate.runtime import reason, staged, whole_outputs
from medtranslate.runtime.locks import locked
from medtranslate.translation import (
    PREVIEW,
    RECORD,
    Job,
    Outputs,
    Place,
    Translated,
    Translator,
    preview_of,
    sheet_of,
    write_translation,
)
from medtranslate.translation.contrast import open_model
from medtranslate.translation.framed import Framed

WORKER_BYTES = 2**31
"""Memory that a worker is reckoned with: programs, model, and the volumes that are under way."""
WORKERS_OF_A_DEVICE = 4
"""Workers that share a CUDA device: reading and writing a volume take longer than its network there."""

Given = TypeVar("Given")
Made = TypeVar("Made")

WorkOnItems = Callable[[Iterable[Item]], Iterator[Outcome]]
"""Translates items, and gives the outcome of each."""


def open_worker(settings: BatchSettings, number: int) -> WorkOnItems:
    """Load the model, and return the function that translates items with it.

    Args:
        number: of this worker among those of a machine, by which `--device auto` shares devices out.

    Raises:
        MedtranslateError: as of `open_model`.
    """
    # One, whatever the number of workers: a sum's last bits depend on how many threads made it.
    torch.set_num_threads(1)
    device = choose_device(settings.device)
    if settings.device == "auto" and device.type == "cuda":
        device = torch.device("cuda", number % torch.cuda.device_count())
    translator = Translator(open_model(settings, device), settings.to, force=settings.force)

    def serve(items: Iterable[Item]) -> Iterator[Outcome]:
        with locked(worker_lock(settings, f"{socket.gethostname()}-{os.getpid()}"), wait=1.0):
            yield from translate_items(settings, translator, items)

    return serve


def translate_items(
    settings: BatchSettings, translator: Translator, items: Iterable[Item]
) -> Iterator[Outcome]:
    """Yield the outcome of each item, in order; read the next and write the last meanwhile.

    What is wrong with an item is in its outcome; nothing is raised.
    """

    def read(item: Item) -> _Step[_Read]:
        return _Step(item, item).then(lambda item: _read(settings, translator, item))

    def work(step: _Step[_Read]) -> _Step[_Made]:
        return step.then(lambda given: _Made(given, translator.run([given.framed])[0]))

    def write(step: _Step[_Made]) -> Outcome:
        return step.then(lambda made: _write(settings, made)).outcome()

    return staged(items, read, work, write)


@dataclass(frozen=True)
class _Step(Generic[Given]):
    """Item on its way: an intermediate result, or its outcome."""

    item: Item
    found: Given | Outcome
    seconds: float = 0.0

    def then(self, act: Callable[[Given], Made | Outcome]) -> _Step[Made]:
        """Take the next step; an exception is the item's failure."""
        if isinstance(self.found, Outcome):
            return _Step(self.item, self.found, self.seconds)
        started = time.monotonic()
        found: Made | Outcome
        try:
            found = act(self.found)
        except Exception as error:
            found = failed(self.item, reason(error))
        return _Step(self.item, found, self.seconds + time.monotonic() - started)

    def outcome(self) -> Outcome:
        assert isinstance(self.found, Outcome)
        return replace(self.found, seconds=round(self.seconds, 3))


@dataclass(frozen=True)
class _Read:
    item: Item
    job: Job
    key: str
    framed: Framed


@dataclass(frozen=True)
class _Made:
    given: _Read
    translated: Translated


def failed(item: Item, why: str) -> Outcome:
    """Make the outcome of a failed item, with its reason in printable characters."""
    output = printable(item.target.as_posix())
    return Outcome(name=item.name, state="failed", output=output, reason=printable(why))


def _finished(item: Item, record: Translation, state: Literal["done", "skipped"]) -> Outcome:
    """Make the outcome of a translated item; doubtful if its record is."""
    doubts = say_doubts(record)
    return Outcome(
        name=item.name,
        state="doubtful" if doubts else state,
        output=item.target.as_posix(),
        slices=record.source.shape[2],
        reason=" ".join(doubts) or None,
        warnings=record.warnings,
        measures=measures_of(record),
    )


def _read(settings: BatchSettings, translator: Translator, item: Item) -> _Read | Outcome:
    """Read and frame the volume of an item; give the outcome if it is finished."""
    if item.refused:
        raise InputRefused(item.refused)
    out, key = settings.out, key_of(settings, item, translator.model.description)
    record = recorded(item, out)
    if not settings.overwrite:
        if record and is_whole(record, key, item, out):
            return _finished(item, record, "skipped")
        if record is None and os.path.lexists(out / item.target):
            raise OutputExists(f"{out / item.target}: is there, and no batch wrote it; give --overwrite")
    job = _job(settings, item)
    return _Read(item, job, key, translator.read(job))


def _job(settings: BatchSettings, item: Item) -> Job:
    """Plan the files of an item, with the settings of the equivalent `translate`."""
    out = settings.out
    chosen = TranslateSettings(
        input=item.source,
        output=out / item.target,
        to=settings.to,
        model=settings.model,
        series=item.series,
        select=settings.select if item.series else None,
        nan_to=settings.nan_to,
        picture_hu=settings.picture_hu,
        window=settings.window if item.format == "png" else None,
        planes=settings.planes,
        format=settings.format,
        regrid=settings.regrid and item.format != "dicom",
        device=settings.device,
        precision=settings.precision,
        compress=settings.compress,
        burn_in=settings.burn_in,
        force=settings.force,
        overwrite=True,
    )
    target, record = out / item.target, (out / item.record, "")
    sheet: Place = (preview_of(out / item.record), "")
    if item.format == "dicom":
        record, sheet = (target, RECORD), (target, PREVIEW)
    drawn = settings.preview and item.format != "png"
    return Job(chosen, item.source, (target, ""), record, None, item.format, sheet if drawn else None)


def _write(settings: BatchSettings, made: _Made) -> Outcome:
    """Write record and output, the output last: what is in place has a record after any interruption."""
    given, out = made.given, settings.out
    item, job = given.item, given.job
    small, target = out / thumbnail_of(item.target), out / item.target
    sidecar = {target.with_name(f"{target.name.partition('.')[0]}.json"): False} if item.origin else {}
    folder = item.format == "dicom"
    drawn = {job.preview[0]: False} if job.preview and not folder else {}
    places = {small: False, **drawn, **sidecar, job.record[0]: False, target: folder}
    with whole_outputs(places, overwrite=True) as fresh:
        outputs, sheet = Outputs(fresh), sheet_of(made.translated)
        written = write_translation(job, made.translated, outputs, sheet)
        finished = Finished(key=given.key, sha256=digest_of_output(item, fresh[target]))
        write_result(replace(written.record, finished=finished), outputs.path(job.record))
        write_thumbnail(sheet, fresh[small])
        for path in sidecar:
            told = bids.sidecar(settings.source, item.origin or "", settings.to)
            fresh[path].write_text(told, encoding="utf-8")
    return _finished(item, written.record, "done")
