"""Storage commitment, with pynetdicom at the other end: of the node to a peer, and of a peer to the node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.transport import ThreadedAssociationServer

from medtranslate.node.calls import CALLING
from medtranslate.node.commitment import INSTANCE, MODEL

from ..ports import free_port
from .conftest import ARCHIVE, LOST_SOCKETS, TITLE, Archive, Running, send, until

pytestmark = LOST_SOCKETS

Begin = Callable[..., Running]
Series = Callable[..., list[Path]]


def items(*pairs: tuple[str, str]) -> list[Dataset]:
    made = []
    for kind, instance in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, instance
        made.append(item)
    return made


def pairs(sequence: Any) -> list[tuple[str, str]]:
    return [(str(each.ReferencedSOPClassUID), str(each.ReferencedSOPInstanceUID)) for each in sequence or ()]


class Committing(Archive):
    """Archive that speaks of storage commitment.

    Attributes:
        answers: what it does about requests of the node, one after the other; the last one stays.
        reports: what the node has reported, with the event type.
    """

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked, self.reports = [*answers], list[Dataset](), list[tuple[int, Dataset]]()
        self.node, self.refuse = 0, 0
        super().__init__()

    def begin(self) -> None:
        entity = AE(ae_title=ARCHIVE)
        entity.supported_contexts = AllStoragePresentationContexts
        entity.add_supported_context(MODEL, scu_role=True, scp_role=True)
        handlers = [
            CALLING,
            (evt.EVT_C_STORE, self.take),
            (evt.EVT_N_ACTION, self.request),
            (evt.EVT_N_EVENT_REPORT, self.report),
        ]
        address = ("127.0.0.1", self.port)
        self.server = entity.make_server(
            address, evt_handlers=handlers, server_class=ThreadedAssociationServer
        )
        entity._servers.append(self.server)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def report(self, event: Any) -> tuple[int, None]:
        if self.refuse:
            self.refuse -= 1
            return 0x0110, None
        self.reports.append((event.event_type, event.event_information))
        return 0, None

    def request(self, event: Any) -> tuple[int, None]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.asked.append(event.action_information)
        if answer == "refuse":
            return 0x0110, None
        if answer != "silence":
            threading.Thread(target=self.tell, args=(answer, event.assoc, self.asked[-1])).start()
        return 0, None

    def tell(self, answer: str, here: Any, request: Dataset) -> None:
        """Report in the association of the request (`here`), or in one of its own."""
        report, wanted = Dataset(), pairs(request.ReferencedSOPSequence)
        report.TransactionUID = "1.2.3" if answer == "stranger" else request.TransactionUID
        kept = wanted[1:] if answer in ("failure", "omission") else wanted
        if kept:
            report.ReferencedSOPSequence = items(*kept)
        if answer == "failure":
            report.FailedSOPSequence = items(wanted[0])
            report.FailedSOPSequence[0].FailureReason = 0x0110
        kind = 2 if answer == "failure" else 1
        if answer == "here":
            until(lambda: not here._is_paused)  # it has sent the answer to the request
            here.send_n_event_report(report, kind, MODEL, INSTANCE)
            return
        entity = AE(ae_title=ARCHIVE)
        entity.add_requested_context(MODEL)
        association = entity.associate(
            "127.0.0.1",
            self.node,
            ae_title=TITLE,
            ext_neg=[build_role(MODEL, scp_role=True)],
            evt_handlers=[CALLING],
        )
        if association.is_established:
            with suppress(RuntimeError):  # the node has ended
                association.send_n_event_report(report, kind, MODEL, INSTANCE)
            association.release()


@pytest.fixture
def committing() -> Iterator[Callable[..., Committing]]:
    made: list[Committing] = []

    def make(*answers: str) -> Committing:
        made.append(Committing(*answers))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def begin_with(begin: Begin) -> Callable[..., Running]:
    def go(archive: Committing, **changes: Any) -> Running:
        peer = {"title": ARCHIVE, "address": "127.0.0.1", "port": archive.port}
        asks = {"confirm": True} if archive.answers else {"commit": True}
        archive.node = free_port()
        return begin(**({"peers": [peer | asks], "port": archive.node} | changes))

    return go


def ask(
    node: Running, *wanted: tuple[str, str], action: int = 1, change: Any = None
) -> tuple[int | None, str]:
    """Ask the node, and give the status of its answer and the transaction."""
    entity = AE(ae_title=ARCHIVE)
    entity.add_requested_context(MODEL)
    association = entity.associate("127.0.0.1", node.port, ae_title=TITLE, evt_handlers=[CALLING])
    request = Dataset()
    request.TransactionUID = transaction = generate_uid()
    request.ReferencedSOPSequence = items(*wanted)
    if change:
        change(request)
    answer, _ = association.send_n_action(request, action, MODEL, INSTANCE)
    association.release()
    return answer.get("Status"), transaction


def names(files: list[Path]) -> list[tuple[str, str]]:
    return [(str(each.SOPClassUID), str(each.SOPInstanceUID)) for each in map(dcmread, files)]


def test_the_node_commits_itself_to_what_it_holds(begin_with: Any, committing: Any, series: Series) -> None:
    archive = committing()
    node, files = begin_with(archive, quiet=60), series("one")
    send(node.port, files)
    status, transaction = ask(node, *names(files))
    assert status == 0
    until(lambda: archive.reports)
    ((kind, report),) = archive.reports
    assert (kind, report.TransactionUID) == (1, transaction)
    assert pairs(report.ReferencedSOPSequence) == names(files)
    assert "FailedSOPSequence" not in report


def test_what_it_does_not_hold_is_reported_as_failed(
    begin_with: Any, committing: Any, series: Series
) -> None:
    """One that never came, and one of another class than was stored."""
    archive = committing()
    node, files = begin_with(archive, quiet=60), series("one")
    send(node.port, files[:2])
    first, second, third = names(files)
    other = (EnhancedMRImageStorage, second[1])
    ask(node, first, other, third)
    until(lambda: archive.reports)
    ((kind, report),) = archive.reports
    assert kind == 2
    assert pairs(report.ReferencedSOPSequence) == [first]
    failed = {each.ReferencedSOPInstanceUID: each.FailureReason for each in report.FailedSOPSequence}
    assert failed == {second[1]: 0x0119, third[1]: 0x0112}


def test_an_image_that_was_translated_and_removed_is_committed(
    begin_with: Any, committing: Any, series: Series
) -> None:
    """Also after a restart; an image of a refused series is not, once it was removed."""
    archive = committing()
    node, files, refused = begin_with(archive, keep=0.1), series("one"), series("ct", modality="ct")
    send(node.port, files)
    send(node.port, refused)
    node.settled(2)
    until(lambda: not list((node.folder / "incoming").iterdir()))
    node.stop()
    node = begin_with(archive)
    ask(node, *names(files), *names(refused[:1]))
    until(lambda: archive.reports)
    ((kind, report),) = archive.reports
    assert (kind, pairs(report.ReferencedSOPSequence)) == (2, names(files))
    assert pairs(report.FailedSOPSequence) == names(refused[:1])
    assert names(files)[0][1] not in (node.folder / "translated.txt").read_text()


def test_a_report_that_is_not_taken_is_sent_again(begin_with: Any, committing: Any, series: Series) -> None:
    archive = committing()
    node, files = begin_with(archive, quiet=60), series("one", 1)
    send(node.port, files)
    archive.refuse = 2
    ask(node, *names(files))
    until(lambda: archive.reports)
    assert sum("answered 0x0110" in line for line in node.lines) == 2


def drop_transaction(request: Dataset) -> None:
    del request.TransactionUID


def drop_instance(request: Dataset) -> None:
    del request.ReferencedSOPSequence[0].ReferencedSOPInstanceUID


@pytest.mark.parametrize(
    ("action", "change", "status"),
    [(2, None, 0x0123), (1, drop_transaction, 0x0115), (1, drop_instance, 0x0115)],
)
def test_a_wrong_request_is_refused(
    begin_with: Any, committing: Any, action: int, change: Any, status: int
) -> None:
    node = begin_with(committing())
    assert ask(node, (MRImageStorage, "1.2.3"), action=action, change=change)[0] == status


def test_a_peer_without_commit_gets_none(begin_with: Any, committing: Any) -> None:
    """The setting of another peer does not count."""
    archive = committing()
    peer = {"title": ARCHIVE, "address": "127.0.0.1", "port": archive.port}
    other = {"title": "OTHER", "address": "127.0.0.1", "port": free_port(), "commit": True}
    node = begin_with(archive, peers=[peer, other])
    assert ask(node, (MRImageStorage, "1.2.3"))[0] == 0x0124


@pytest.mark.parametrize("answer", ["here", "there"])
def test_a_result_is_delivered_when_its_peer_has_reported(
    begin_with: Any, committing: Any, series: Series, answer: str
) -> None:
    """In the association of the request, or in one of its own."""
    archive = committing(answer)
    node = begin_with(archive)
    send(node.port, series("one"))
    node.settled()
    (result,), (request,) = archive.received, archive.asked
    assert pairs(request.ReferencedSOPSequence)[0][1] == result.SOPInstanceUID
    assert not list((node.folder / "outgoing").iterdir())


@pytest.mark.parametrize("answer", ["failure", "omission"])
def test_what_a_peer_did_not_keep_is_sent_again(
    begin_with: Any, committing: Any, series: Series, answer: str
) -> None:
    archive = committing(answer, "there")
    node = begin_with(archive)
    send(node.port, series("one"))
    node.settled()
    assert node.said("ARCHIVE does not commit itself to all 1 files; tried again later")
    assert list(archive.counts().values()) == [2]


@pytest.mark.parametrize("answer", ["silence", "stranger", "refuse"])
def test_a_peer_that_does_not_report_is_asked_again(
    begin_with: Any, committing: Any, series: Series, answer: str
) -> None:
    """The files are not sent again; the result stays until the peer has reported, also after a restart."""
    archive = committing(answer)
    node = begin_with(archive, confirm_within=0.2)
    send(node.port, series("one"))
    until(lambda: len(archive.asked) >= 2)
    assert not node.said(": done")
    node.stop()
    assert len(list((node.folder / "outgoing").iterdir())) == 1
    archive.answers = ["there"]
    node = begin_with(archive)
    node.settled()
    assert list(archive.counts().values()) == [1]


def test_a_late_report_counts(begin_with: Any, committing: Any, series: Series) -> None:
    archive = committing("silence")
    node = begin_with(archive, confirm_within=0.1, retry_first=0.3, retry_most=0.3)
    send(node.port, series("one"))
    until(lambda: node.said("did not report within 0.1 seconds"))
    archive.tell("there", None, archive.asked[0])
    node.settled()
    assert list(archive.counts().values()) == [1]


def test_a_peer_that_knows_no_commitment_is_named(begin: Begin, archive: Archive, series: Series) -> None:
    peer = {"title": ARCHIVE, "address": "127.0.0.1", "port": archive.port, "confirm": True}
    node = begin(peers=[peer])
    send(node.port, series("one"))
    words = "does not accept Storage Commitment Push Model SOP Class (SOP class not supported); held until"
    until(lambda: node.said(words))
    assert archive.counts().total() == 1
