"""Translates series by a process that holds the models: read, translate, write the files to send.

The folder of a result is put in place whole, with `delivery.json`. What is wrong with a series is in its
outcome, and a refused series gets a report that says why in place of a result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from medtranslate.config import NodeSettings, Rule, TranslateSettings
from medtranslate.errors import InputRefused, MedtranslateError, RunFailed
from medtranslate.node.durable import sync_tree
from medtranslate.node.reports import write_refusal, write_reports
from medtranslate.report.doubts import say_doubts
from medtranslate.runtime import is_disk_full, staged, whole_output
from medtranslate.translation import (
    RECORD,
    Job,
    Outputs,
    Translated,
    Translator,
    open_translator,
    write_translation,
)
from medtranslate.translation.framed import Framed

DELIVERY = "delivery.json"
"""File in the folder of a result: whose it is, and where it goes."""
MAP = "uncertainty.dcm"


@dataclass(frozen=True)
class Task:
    """Series to translate.

    Attributes:
        name: of the series in the inbox.
        source: folder of its images.
        out: folder for the files to send.
        rule: None for a series that no rule fits.
        to: titles of the destinations that get the result.
        refused: reason to refuse it unread; empty if there is none.
    """

    name: str
    source: Path
    out: Path
    rule: Rule | None
    to: tuple[str, ...]
    refused: str = ""


@dataclass(frozen=True)
class Made:
    """Outcome of a task.

    Attributes:
        state: `failed` if the machine was at fault (a full disk, for example); then it is tried again.
        reason: of a refusal or a failure; doubts of a translation.
        files: number of files to send.
    """

    state: Literal["done", "refused", "failed"]
    reason: str = ""
    files: int = 0


Serve = Callable[[Iterable[Task]], Iterator[Made]]
"""Translates series, and gives the outcome of each, in order."""


def open_worker(settings: NodeSettings, rules: tuple[Rule, ...], number: int) -> Serve:
    """Load the models of all rules, and return the function that translates series with them.

    Raises:
        ModelRefused, RunFailed: a model or the device is not there.
    """
    torch.set_num_threads(1)
    translators = {
        rule: open_translator(settings_of(rule, settings, Path(), Path())) for rule in rules if rule.to
    }

    def read(task: Task) -> _Step:
        if task.out.exists():  # made by a worker that was killed before it could say so
            return _Step(task, _made_before(task))

        def act(_: object) -> tuple[Job, Framed]:
            if task.refused or task.rule is None:
                raise InputRefused(task.refused or "no rule of this node is for such a series")
            job = job_of(task, task.rule, settings)
            return job, translators[task.rule].read(job)

        return _Step(task, None).then(act)

    def work(step: _Step) -> _Step:
        def act(given: tuple[Job, Framed]) -> tuple[Job, Translated]:
            translator: Translator = translators[step.task.rule]  # type: ignore[index]  # read has refused None
            return given[0], translator.run([given[1]])[0]

        return step.then(act)

    def write(step: _Step) -> Made:
        found = step.then(lambda given: _write(step.task, *given)).found
        assert isinstance(found, Made)
        if found.state == "refused" and not step.task.out.exists():
            found = _Step(step.task, None).then(lambda _: _refuse(step.task, found.reason)).found
            assert isinstance(found, Made)
        return found

    return lambda tasks: staged(tasks, read, work, write)


@dataclass(frozen=True)
class _Step:
    """Series on its way: an intermediate result, or its outcome."""

    task: Task
    found: Any

    def then(self, act: Callable[[Any], Any]) -> _Step:
        """Take the next step; an exception is the outcome."""
        if isinstance(self.found, Made):
            return self
        try:
            return _Step(self.task, act(self.found))
        except Exception as error:
            return _Step(self.task, _failure(error, self.task))


def _made_before(task: Task) -> Made:
    told = json.loads((task.out / DELIVERY).read_text(encoding="utf-8"))
    return Made(told["state"], told["reason"], len(list(task.out.glob("*.dcm"))))


def _failure(error: Exception, task: Task) -> Made:
    """Say why a series has no translation, without the place of its files.

    The text of an error that is none of ours may quote a header, so its kind alone is given.
    """
    if is_disk_full(error):
        return Made("failed", "the disk of this node is full")
    if isinstance(error, OSError | MemoryError | RunFailed):
        return Made("failed", f"this node has a problem of its own ({type(error).__name__})")
    if not isinstance(error, MedtranslateError):
        return Made("refused", f"it could not be translated ({type(error).__name__}); please report this")
    reason = str(error)
    for place in (task.source, task.out):
        reason = reason.replace(f"{place}/", "").replace(str(place), "the series")
    return Made("refused", reason)


def settings_of(rule: Rule, settings: NodeSettings, source: Path, out: Path) -> TranslateSettings:
    """Give the settings of the equivalent `translate`."""
    assert rule.to is not None
    return TranslateSettings(
        input=source,
        output=out,
        to=rule.to,
        model=rule.model,
        format="dicom",
        samples=rule.samples,
        uncertainty=out / MAP if rule.mapped else None,
        device=settings.device,
        precision=settings.precision,
        compress=rule.compress,
        burn_in=rule.burn_in,
        force=rule.force,
    )


def job_of(task: Task, rule: Rule, settings: NodeSettings) -> Job:
    """Plan the files of a translation, all in one folder."""
    spread = (task.out, MAP) if rule.mapped else None
    chosen = settings_of(rule, settings, task.source, task.out)
    return Job(chosen, task.source, (task.out, ""), (task.out, RECORD), spread, "dicom")


def _write(task: Task, job: Job, made: Translated) -> Made:
    assert task.rule is not None
    with whole_output(task.out, overwrite=False, folder=True) as folder:
        written = write_translation(job, made, Outputs({task.out: folder}))
        if task.rule.report:
            write_reports(written.record, made, folder)
        doubts = " ".join(say_doubts(written.record))
        return seal(folder, task, Made("done", doubts))


def _refuse(task: Task, reason: str) -> Made:
    """Write a report that says why a series has no translation; none if its study can't be found out."""
    with whole_output(task.out, overwrite=False, folder=True) as folder:
        write_refusal(reason, task.source, folder)
        return seal(folder, task, Made("refused", reason))


def seal(folder: Path, task: Task, made: Made) -> Made:
    """Write down whose a result is and where it goes, and wait until all of it is on the disk."""
    made = replace(made, files=len(list(folder.glob("*.dcm"))))
    images = sorted(path.stem for path in task.source.glob("*.dcm"))
    told = {"series": task.name, "to": task.to, "state": made.state, "reason": made.reason, "images": images}
    (folder / DELIVERY).write_text(json.dumps(told), encoding="utf-8")
    sync_tree(folder)
    return made
