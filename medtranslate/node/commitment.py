"""Storage commitment of the node to its peers (PS3.4 annex J): reports on images that they have sent.

The node commits itself to an image that is on its disk, and to one that was translated and whose result has
arrived. `translated.txt` has the digests of the latter, a line for each result.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pynetdicom import build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when the module is imported
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from medtranslate.config import NodeRules, Peer
from medtranslate.errors import Rejected, Undelivered
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.calls import PLAIN, association
from medtranslate.node.inbox import digest_of
from medtranslate.node.server import caller_of

MODEL, INSTANCE = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
REQUEST = 1
"""Action type of a request."""
ALL, FAILURES = 1, 2
"""Event types of a report: all objects are committed, or some are not."""
MOST_BYTES = 4_000_000
"""Largest request or report that is read; it names about 30 000 objects."""
SUCCESS, ARGUMENT, ACTION, NOT_AUTHORISED, NO_ROOM = 0x0000, 0x0115, 0x0123, 0x0124, 0x0213
"""Answers to N-ACTION and N-EVENT-REPORT (PS3.7 annex C)."""
NO_OBJECT, OTHER_CLASS = 0x0112, 0x0119
"""Reasons of a failure (PS3.3 C.14.1.1)."""
TRANSLATED = "translated.txt"
_WAITING = 64
_TRIES = 5


class Reference(NamedTuple):
    """SOP class and instance of an object."""

    kind: str
    instance: str


@dataclass(frozen=True)
class Request:
    """Request of a peer."""

    transaction: str
    objects: tuple[Reference, ...]


class Commitments:
    """Answers requests, and sends the reports in one thread for each peer with `commit`.

    Args:
        folder: of the node.
        say: prints a line.
    """

    def __init__(self, rules: NodeRules, folder: Path, say: Callable[[str], None]) -> None:
        self.rules, self.folder, self.say = rules, folder, say
        self.peers = [peer for peer in rules.peers if peer.commit]
        self.waiting = {peer.title: queue.Queue[Request](_WAITING) for peer in self.peers}
        self.ending = threading.Event()

    def asked(self, event: evt.Event) -> tuple[int, None]:
        """Take a request (N-ACTION), and give the status of the answer."""
        waiting = self.waiting.get(caller_of(event.assoc))
        if waiting is None:
            return NOT_AUTHORISED, None
        if event.action_type != REQUEST:
            return ACTION, None
        request: Any = event.request
        if size_of(request.ActionInformation) > MOST_BYTES:
            return NO_ROOM, None
        try:
            with without_comment():
                data = event.action_information
                waiting.put_nowait(Request(str(data.TransactionUID), tuple(references(data))))
        except queue.Full:
            return NO_ROOM, None
        except Exception:  # nearly any, of a damaged data set
            return ARGUMENT, None
        return SUCCESS, None

    def serve(self, peer: Peer) -> None:
        """Report to one peer; after a failure wait, twice as long each time. A peer may ask again."""
        while not self.ending.is_set():
            try:
                request = self.waiting[peer.title].get(timeout=0.5)
            except queue.Empty:
                continue
            for tries in range(_TRIES):
                try:
                    self._report(request, peer)
                    break
                except Exception as error:
                    why = str(error) if isinstance(error, Undelivered) else type(error).__name__
                    self.say(f"report on storage commitment: {why}")
                    if isinstance(error, Rejected):
                        break
                    self.ending.wait(min(self.rules.retry_most, self.rules.retry_first * 2.0**tries))
                if self.ending.is_set():
                    return

    def _report(self, request: Request, peer: Peer) -> None:
        """Send a report, as an entity in the role of the provider (PS3.4 J.3.3).

        Raises:
            Undelivered: the peer does not take it.
        """
        kind, report = draw_report(request, reasons(request.objects, self.folder))
        role = build_role(MODEL, scp_role=True)
        with association(peer, self.rules, [(MODEL, PLAIN)], roles=[role]) as made:
            try:
                answer, _ = made.send_n_event_report(report, kind, MODEL, INSTANCE)
            except (
                ValueError,
                RuntimeError,
            ) as error:  # no context, or no association
                raise Undelivered(f"{peer.title} takes no report, or hung up") from error
            if (status := answer.get("Status")) != SUCCESS:
                raise Undelivered(f"{peer.title} {f'answered 0x{status:04X}' if status else 'hung up'}")


@contextmanager
def committing(commitments: Commitments) -> Iterator[None]:
    """Send reports for the block."""
    threads = [
        threading.Thread(target=commitments.serve, args=(peer,), daemon=True) for peer in commitments.peers
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        commitments.ending.set()
        for thread in threads:
            thread.join()


def reasons(objects: Sequence[Reference], folder: Path) -> list[int]:
    """Give 0 for each object that the node commits itself to, and the reason of the failure for others."""
    held = {path.stem: path for path in (folder / "incoming").glob("*/*.dcm")}
    names = [digest_of(each.instance) for each in objects]
    # Read after the images: they are removed only after the line was written.
    translated, wanted = set[str](), set(names)
    if (journal := folder / TRANSLATED).exists():
        with journal.open(encoding="utf-8") as lines:
            for line in lines:
                translated |= wanted & set(line.split())
    found = []
    for each, name in zip(objects, names, strict=True):
        try:
            kind = read_file_meta_info(held[name]).MediaStorageSOPClassUID
            found.append(SUCCESS if kind == each.kind else OTHER_CLASS)
        except (KeyError, FileNotFoundError):
            found.append(SUCCESS if name in translated else NO_OBJECT)
    return found


def draw_report(request: Request, found: Sequence[int]) -> tuple[int, Dataset]:
    """Make the event type and the data set of a report (PS3.4 table J.3-2).

    Args:
        found: reason of the failure of each object; 0 if there is none.
    """
    report, failed = Dataset(), []
    report.TransactionUID = request.transaction
    pairs = list(zip(request.objects, found, strict=True))
    if committed := [item(each) for each, reason in pairs if not reason]:
        report.ReferencedSOPSequence = committed
    for each, reason in pairs:
        if reason:
            failed.append(item(each))
            failed[-1].FailureReason = reason
    if failed:
        report.FailedSOPSequence = failed
    return FAILURES if failed else ALL, report


def item(reference: Reference) -> Dataset:
    """Make an item of a sequence of references."""
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = reference
    return made


def references(data: Dataset) -> list[Reference]:
    """List the objects of a request, or the committed ones of a report."""
    found = data.get("ReferencedSOPSequence") or ()
    return [Reference(str(each.ReferencedSOPClassUID), str(each.ReferencedSOPInstanceUID)) for each in found]


def size_of(encoded: BytesIO | None) -> int:
    """Give the number of bytes of an encoded data set."""
    return len(encoded.getvalue()) if encoded else 0
