"""Runs a node: arrival, translation and delivery, with a journal of what is settled.

The folder holds `incoming/` (series), `outgoing/` (results that are not delivered), and `node.jsonl`, which
has a line for each settled key. A key is a digest of a series' images, its sender, its rule and the model. So
each step can be found out again from the disk: an image is stored before its sender gets an answer, a result
is put in place whole, and a settled key is written down before its result is removed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt

from medtranslate.checkpoint import describe, find_model
from medtranslate.config import NodeRules, NodeSettings, Rule, plain
from medtranslate.device import choose_device
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.commitment import TRANSLATED, Commitments, committing
from medtranslate.node.delivery import Delivery, Parcel, delivering, open_parcel
from medtranslate.node.durable import append
from medtranslate.node.inbox import Inbox, Series
from medtranslate.node.plan import choose_rule, read_rules
from medtranslate.node.receiver import receiving
from medtranslate.node.server import Refusals
from medtranslate.node.status import Report, status_page
from medtranslate.node.worker import Made, Serve, Task, open_worker
from medtranslate.runtime import Journal, crew, end_if_imported, journal, stop_requests
from medtranslate.runtime.locks import locked

JOURNAL, LOCK = "node.jsonl", ".node.lock"
SHOWN = 100
"""Series that the status page lists."""
_LOST = (
    "the process that worked on it was ended from outside, several times; it takes too much memory perhaps"
)
_TEMPORARY = ".medtranslate-*"
_RULED_BY = ["Modality", "SeriesDescription", "BodyPartExamined", "SyntheticData", "ImageType"]

Crew = Callable[
    [Callable[[int], Serve], Iterator[Task | None], int], Generator[tuple[Task, Made | None], None, None]
]
"""Distributes tasks to workers, and yields their outcomes, as `runtime.crew` does."""


def run_node(
    settings: NodeSettings,
    *,
    say: Callable[[str], None] = lambda line: None,
    stopped: Callable[[], bool] | None = None,
    work: Crew = crew,
    open_worker: Callable[..., Serve] = open_worker,
) -> dict[str, int]:
    """Run a node until Ctrl-C or SIGTERM, and count its series.

    Args:
        say: prints a line about what happens, without a patient's identity.
        stopped: ends the node when it returns True (default: after a signal).
        work: distributes the series.
        open_worker: makes the function that translates.

    Raises:
        SettingsError: the YAML file is wrong.
        UsageError: a port is taken; another node works on the folder; pynetdicom is missing.
        ModelRefused, RunFailed: a model or the device is not there.
    """
    end_if_imported()
    rules = read_rules(settings.rules)
    models = {rule.model: describe(find_model(rule.model)).sha256 for rule in rules.rules if rule.to}
    choose_device(settings.device)
    settings.folder.mkdir(parents=True, exist_ok=True)
    with locked(settings.folder / LOCK), journal(settings.folder / JOURNAL, durable=True) as kept:
        node = Node(settings, rules, models, kept, say)
        with (
            stop_requests() as signalled,
            delivering(node.delivery),
            committing(node.commitments),
            status_page(rules.status_port, node.report),
            receiving(rules, node.inbox, node.refusals, node.handlers()) as port,
        ):
            say(f"{rules.title} listens on {rules.host}:{port}")
            begin = partial(open_worker, settings, rules.rules)
            for task, made in work(begin, node.tasks(stopped or signalled), settings.workers):
                node.settle(task, made)
        return dict(node.counts())


class Node:
    """State of a running node.

    Attributes:
        settled: state by key, of this run and those before.
        refusal: reasons to refuse series unread, by their names.
    """

    def __init__(
        self,
        settings: NodeSettings,
        rules: NodeRules,
        models: dict[str, str],
        kept: Journal,
        say: Callable[[str], None],
    ) -> None:
        self.rules, self.models, self.kept, self.say = rules, models, kept, say
        self.outgoing = settings.folder.absolute() / "outgoing"
        self.outgoing.mkdir(exist_ok=True)
        self.inbox = Inbox(
            settings.folder.absolute() / "incoming",
            quiet=rules.quiet,
            patience=rules.patience,
            free=rules.free_gb * 1e9,
        )
        self.refusals, self.lock = Refusals(say), threading.Lock()
        states = {key: str(value.get("state")) for key, value in kept.done.items()}
        self.settled = {key: state for key, state in states.items() if state != "held"}
        self.refusal: dict[str, str] = {}
        self.commitments = Commitments(rules, settings.folder.absolute(), say)
        self.delivery = Delivery(rules, self._delivered, self._undelivered)
        for folder in sorted(self.outgoing.iterdir()):
            if folder.name.startswith("."):  # half written by a worker that was killed
                shutil.rmtree(folder)
            else:
                self.delivery.add(open_parcel(folder))

    def handlers(self) -> list[Any]:
        """Bind the answers about storage commitment to pynetdicom's events."""
        return [
            (evt.EVT_N_ACTION, self.commitments.asked),
            (evt.EVT_N_EVENT_REPORT, self.delivery.confirmations.reported),
        ]

    def tasks(self, stopped: Callable[[], bool]) -> Iterator[Task | None]:
        """Yield series that are complete; None if there is none at the moment."""
        while not stopped():
            self.inbox.forget(self.rules.keep)
            series = self.inbox.take()
            yield self._task(series) if series else None

    def _task(self, series: Series) -> Task | None:
        """Plan a series; None if it is settled, on its way, or of a rule that ignores it."""
        files = sorted(series.folder.glob("*.dcm"))
        header = _header(files[0])
        if header.get("SyntheticData") == "YES" and "DERIVED" in (header.get("ImageType") or ()):
            # An archive may send back to the node what the node has sent, again and again.
            self._set(series, "ignored", "it is synthetic")
            return None
        rule = choose_rule(self.rules, series.caller, header)
        refused = self.refusal.get(series.name, "")
        if series.cut and not refused:
            refused = (
                f"the association that sent it was cut after {len(files)} images, or one was refused; the"
                f" rest did not come within {self.rules.patience:g} seconds; send the series again"
            )
        if rule and not (rule.to or refused):
            self._set(series, "ignored", "a rule says so")
            return None
        series.key = self._key(series, rule, refused, files)
        out = self.outgoing / series.key
        with self.lock:
            if series.key in self.settled:
                self._set(series, self.settled[series.key], "settled before, with the same images")
                return None
            if out.exists():
                self._set(series, "sending")
                return None
        to = (rule.send_to if rule else ()) or self._home(series.caller)
        return Task(series.name, series.folder, out, rule, to, refused)

    def _home(self, caller: str) -> tuple[str, ...]:
        """Give the title of the sender, if something can be sent to it."""
        return tuple(peer.title for peer in self.rules.peers if peer.title == caller and peer.port)

    def _key(self, series: Series, rule: Rule | None, refused: str, files: list[Path]) -> str:
        images = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                images.update(hashlib.file_digest(file, "sha256").digest())
        told = {
            "images": images.hexdigest(),
            "caller": series.caller,
            "rule": plain(rule) if rule else None,
            "model": self.models.get(rule.model) if rule else None,
            "refused": refused,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def settle(self, task: Task, made: Made | None) -> None:
        """Take the outcome of a task: send it, or try again later.

        A result is dropped if its series has changed meanwhile.
        """
        series = self.inbox.series[task.name]
        with self.inbox.lock:
            if series.state != "queued":
                shutil.rmtree(task.out, ignore_errors=True)
                return
            if made is None:
                self.refusal[task.name] = _LOST
                series.state = "receiving"
                return
            if made.state == "failed":
                series.failures += 1
                pause = self.rules.retry_first * 2.0 ** min(series.failures - 1, 30)
                series.due = time.monotonic() + min(self.rules.retry_most, pause)
                series.state, series.reason = "receiving", made.reason
                self.say(f"{series.name[:8]}: {made.reason}; tried again later")
                return
            series.failures = 0
            self._set(series, "sending", made.reason)
        self.delivery.add(open_parcel(task.out))

    def _delivered(self, parcel: Parcel) -> None:
        """Write down that a result has arrived, and remove it."""
        key = parcel.folder.name
        with self.lock:
            if self.commitments.peers and parcel.state == "done":
                append(self.outgoing.parent / TRANSLATED, " ".join(parcel.images))
            self.kept.keep(key, {"state": parcel.state, "reason": parcel.reason, "at": time.time()})
            self.settled[key] = parcel.state
            shutil.rmtree(parcel.folder)
        with self.inbox.lock:
            series = self.inbox.series.get(parcel.series)
            if series and series.state == "sending" and series.key in ("", key):
                series.failures = 0
                self._set(series, parcel.state, parcel.reason)

    def _undelivered(self, parcel: Parcel, why: str, held: bool) -> None:
        self.say(f"{parcel.series[:8]}: {why}")
        if held:
            with self.lock, suppress(OSError):  # a line for people: no step reads it
                self.kept.keep(parcel.folder.name, {"state": "held", "reason": why, "at": time.time()})
        with self.inbox.lock:
            if series := self.inbox.series.get(parcel.series):
                series.failures += 1
                series.reason = why

    def _set(self, series: Series, state: Any, reason: str = "") -> None:
        series.state, series.reason = state, reason
        self.say(f"{series.name[:8]}: {state}{f' ({reason})' if reason else ''}")

    def counts(self) -> Counter[str]:
        """Count the series by state: `received` in all, those queued or held, and those settled."""
        reasons = self.delivery.reasons()
        with self.inbox.lock:
            states = Counter(_shown(series, reasons)[0] for series in self.inbox.series.values())
        with self.lock:
            settled = Counter(self.settled.values())
        waiting, held = states["receiving"] + states["queued"] + states["sending"], states["held"]
        return Counter(
            received=waiting + held + settled.total(),
            queued=waiting,
            held=held,
            done=settled["done"],
            refused=settled["refused"],
        )

    def report(self) -> Report:
        """Report on the node for its status page."""
        held = self.delivery.reasons()
        with self.inbox.lock:
            latest = sorted(self.inbox.series.values(), key=lambda series: -series.received)[:SHOWN]
            listed = [
                {
                    "series": series.name[:8],
                    "received": series.received,
                    "from": series.caller,
                    "images": series.images,
                    "state": _shown(series, held)[0],
                    "failures": series.failures,
                    "reason": _shown(series, held)[1],
                }
                for series in latest
            ]
        with self.refusals.lock:
            refused = dict(self.refusals.counts)
        return {"title": self.rules.title, "counts": self.counts(), "series": listed, "refused": refused}


def _shown(series: Series, held: Mapping[str, str]) -> tuple[str, str]:
    """Give state and reason of a series; `held` if a destination has rejected its result for good."""
    why = held.get(series.key) if series.state == "sending" else None
    return ("held", why) if why else (series.state, series.reason)


def _header(path: Path) -> Dataset:
    with without_comment():
        return dcmread(path, stop_before_pixels=True, specific_tags=_RULED_BY)
