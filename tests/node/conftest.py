"""A node on loopback, with pynetdicom as its peer."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

pytest.importorskip("pynetdicom")

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.transport import ThreadedAssociationServer

from medtranslate.config import NodeSettings
from medtranslate.node.calls import CALLING
from medtranslate.node.reports import write_refusal
from medtranslate.node.run import run_node
from medtranslate.node.worker import Made, Task, seal

from ..ports import free_port

TITLE, ARCHIVE = "NODE", "ARCHIVE"


def until(true: Callable[[], object], seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


class Archive:
    """Peer that takes everything, or answers with `status`, or rejects associations with `rejection`.

    Attributes:
        rejection: result, source and reason (PS3.8 table 9-21).
        calls: number of associations that it was asked for.
    """

    def __init__(self, port: int = 0, context: Any = None) -> None:
        self.port, self.status, self.tries = port or free_port(), 0x0000, 0
        self.received: list[Dataset] = []
        self.rejection, self.calls = (), 0
        self.context, self.server = context, None
        self.begin()

    def begin(self) -> None:
        entity = AE(ae_title=ARCHIVE)
        entity.supported_contexts = AllStoragePresentationContexts
        self.server = entity.make_server(
            ("127.0.0.1", self.port),
            evt_handlers=[(evt.EVT_REQUESTED, self.called), (evt.EVT_C_STORE, self.take)],
            ssl_context=self.context,
            server_class=ThreadedAssociationServer,
        )
        entity._servers.append(self.server)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def called(self, event: Any) -> None:
        self.calls += 1
        if self.rejection:
            event.assoc.acse.send_reject(*self.rejection)
            event.assoc.kill()

    def take(self, event: Any) -> int:
        self.tries += 1
        if self.status == 0:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.received.append(dataset)
        return self.status

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def counts(self) -> Counter[str]:
        """How often each object was taken."""
        return Counter(str(each.SOPInstanceUID) for each in self.received)

    def of(self, modality: str) -> list[Dataset]:
        return [each for each in self.received if each.Modality == modality]


LOST_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <(socket|ssl):ResourceWarning")
"""pynetdicom 3.0.4 leaves the sockets of lost connections to the garbage collector."""


@pytest.fixture(autouse=True)
def _lost_sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "begin" not in request.fixturenames:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def archive() -> Iterator[Archive]:
    archive = Archive()
    yield archive
    archive.end()


def inline(
    begin: Callable[[int], Any], tasks: Iterable[Task | None], workers: int
) -> Iterator[tuple[Task, Made]]:
    """Work in this thread, one task at a time."""
    serve = begin(0)
    for task in tasks:
        if task is None:
            time.sleep(0.01)
            continue
        for made in serve(iter([task])):
            yield task, made


def copying_worker(settings: NodeSettings, rules: object, number: int) -> Any:
    """Stand for a model: a "translation" is one object of the source's study, by the source's names."""

    def work(task: Task) -> Made:
        task.out.mkdir()
        if task.refused or task.rule is None:
            write_refusal(task.refused or "no rule", task.source, task.out)
            return seal(task.out, task, Made("refused", task.refused or "no rule"))
        files = sorted(task.source.glob("*.dcm"))
        header = dcmread(files[0])
        names = sorted(str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files)
        header.Modality, header.SeriesDescription = task.rule.to.upper(), f"SYNTHETIC of {len(files)}"
        header.SeriesInstanceUID = generate_uid(entropy_srcs=["series", *names])
        header.SOPInstanceUID = generate_uid(entropy_srcs=["image", *names])
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(task.out / "IM0001.dcm")
        return seal(task.out, task, Made("done"))

    return lambda tasks: map(work, tasks)


class Running:
    """Node that runs in a thread.

    Attributes:
        lines: what it said.
        error: what ended it.
    """

    def __init__(self, file: Path, folder: Path, port: int, **parts: Any) -> None:
        self.folder, self.port, self.lines = folder, port, list[str]()
        self.over, self.counts, self.error = threading.Event(), dict[str, int](), list[BaseException]()
        settings = NodeSettings(rules=file, folder=folder, device="cpu")
        known = {"work": inline, "open_worker": copying_worker} | parts

        def run() -> None:
            try:
                self.counts = run_node(settings, say=self.lines.append, stopped=self.over.is_set, **known)
            except BaseException as error:
                self.error.append(error)

        self.thread = threading.Thread(target=run)
        self.thread.start()
        until(lambda: self.error or any("listens" in line for line in self.lines))
        if self.error:
            raise self.error[0]

    def stop(self) -> None:
        self.over.set()
        self.thread.join(600)
        assert not self.thread.is_alive()

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    def settled(self, count: int = 1) -> None:
        """Wait until so many series were settled in this run."""
        until(lambda: sum(": done" in line or ": refused" in line for line in self.lines) >= count)


@pytest.fixture
def rules(tmp_path: Path, small_model: Path, archive: Archive) -> Callable[..., Path]:
    """Write the YAML file of a node whose peer is the archive; values that are given replace others."""

    def write(**changes: Any) -> Path:
        known = {
            "title": TITLE,
            "port": free_port(),
            "peers": [{"title": ARCHIVE, "address": "127.0.0.1", "port": archive.port}],
            "rules": [{"to": "ct", "model": str(small_model), "report": False}],
            "quiet": 0.1,
            "patience": 0.5,
            "retry_first": 0.1,
            "retry_most": 0.2,
            "free_gb": 0,
        }
        path = tmp_path / "node.yaml"
        path.write_text(yaml.safe_dump(known | changes))
        return path

    return write


@pytest.fixture
def begin(tmp_path: Path, rules: Callable[..., Path]) -> Iterator[Callable[..., Running]]:
    """Begin a node: begin(parts, quiet=1) with changed rules; it ends with the test."""
    begun: list[Running] = []

    def go(parts: dict[str, Any] | None = None, **changes: Any) -> Running:
        file = rules(**changes)
        port = yaml.safe_load(file.read_text())["port"]
        begun.append(Running(file, tmp_path / "node", port, **(parts or {})))
        return begun[-1]

    yield go
    for running in begun:
        running.stop()


@contextmanager
def called(
    port: int, files: Sequence[Path] = (), title: str = TITLE, caller: str = ARCHIVE, **tls: Any
) -> Iterator[Any]:
    """Call a node, and offer what the files need."""
    entity = AE(ae_title=caller)
    entity.add_requested_context("1.2.840.10008.1.1")
    for path in files:
        meta = dcmread(path, stop_before_pixels=True).file_meta
        entity.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title=title, evt_handlers=[CALLING], **tls)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port: int, files: Sequence[Path], **named: Any) -> list[int]:
    """Send files in one association, and give the statuses of the answers."""
    with called(port, files[:1], **named) as association:
        assert association.is_established
        return [int(association.send_c_store(dcmread(path)).Status) for path in files]


@pytest.fixture
def series(tmp_path: Path, put_slices: Callable[..., object]) -> Callable[..., list[Path]]:
    """Write an MR series: series("one", 5, PatientName="...") gives its files."""

    def make(name: str, slices: int = 3, modality: str = "mr", **values: object) -> list[Path]:
        folder = tmp_path / "source" / name
        uids = {"SeriesInstanceUID": generate_uid(entropy_srcs=[name])}
        put_slices(folder, [3.0 * index for index in range(slices)], modality, **(uids | values))
        for path in folder.iterdir():
            header = dcmread(path)
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
            header.save_as(path)
        return sorted(folder.iterdir())

    return make
