"""Storage commitment of a peer to the node (PS3.4 annex J): asks for it when a result was sent.

The report comes in the association of the request or in one that the peer makes. One that comes late counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt

from medtranslate.config import NodeRules, Peer
from medtranslate.errors import Undelivered
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.calls import PLAIN, association
from medtranslate.node.commitment import (
    ARGUMENT,
    INSTANCE,
    MODEL,
    MOST_BYTES,
    NO_ROOM,
    REQUEST,
    SUCCESS,
    Reference,
    item,
    references,
    size_of,
)
from medtranslate.node.server import caller_of

_MOST = 1000
"""Requests whose reports are waited for; then the oldest is forgotten."""


class Sent(Protocol):
    """Result whose files a peer has taken."""

    def objects(self) -> list[Reference]:
        """List its objects."""

    def settle(self, title: str, committed: set[str]) -> None:
        """Write down what a peer has committed itself to; the rest is to be sent again."""

    def confirmed(self, title: str) -> bool:
        """Check if a peer has committed itself to all of it."""


@dataclass(frozen=True)
class Asked:
    """Request of the node.

    Attributes:
        title: of the peer.
        reported: set when the report has come.
    """

    sent: Sent
    title: str
    reported: threading.Event = field(default_factory=threading.Event)


class Confirmations:
    """Requests of the node to peers with `confirm`, by transaction UID."""

    def __init__(self, rules: NodeRules) -> None:
        self.rules = rules
        self.open: dict[str, Asked] = {}
        self.lock = threading.Lock()

    def ask(self, sent: Sent, peer: Peer, stop: Callable[[], bool]) -> None:
        """Ask a peer, and wait for its report; nothing if it has confirmed before.

        Raises:
            Undelivered: the peer refuses, does not report in time, or reports failures.
        """
        if sent.confirmed(peer.title):
            return
        objects, asked = sent.objects(), Asked(sent, peer.title)
        request = Dataset()
        request.TransactionUID = transaction = generate_uid(prefix=None)
        request.ReferencedSOPSequence = [item(each) for each in objects]
        with self.lock:
            self.open[transaction] = asked
            if len(self.open) > _MOST:
                del self.open[next(iter(self.open))]
        here = [(evt.EVT_N_EVENT_REPORT, self.reported, [peer.title])]
        with association(peer, self.rules, [(MODEL, PLAIN)], handlers=here) as made:
            try:
                answer, _ = made.send_n_action(request, REQUEST, MODEL, INSTANCE)
            except (
                ValueError,
                RuntimeError,
            ) as error:  # no context, or no association
                raise Undelivered(f"{peer.title} knows no storage commitment, or hung up") from error
            if (status := answer.get("Status")) != SUCCESS:
                why = f"answered 0x{status:04X}" if status else "does not answer"
                raise Undelivered(f"{peer.title} {why} to the request for storage commitment")
            end = time.monotonic() + self.rules.confirm_within
            while not asked.reported.wait(0.05) and time.monotonic() < end and not stop():
                pass
        if not sent.confirmed(peer.title) and not stop():
            if asked.reported.is_set():
                raise Undelivered(f"{peer.title} does not commit itself to all {len(objects)} files")
            raise Undelivered(f"{peer.title} did not report within {self.rules.confirm_within:g} seconds")

    def reported(self, event: evt.Event, title: str | None = None) -> tuple[int, None]:
        """Take a report (N-EVENT-REPORT), and give the status of the answer.

        Args:
            title: of the peer, if the node made the association.
        """
        request: Any = event.request
        if size_of(request.EventInformation) > MOST_BYTES:
            return NO_ROOM, None
        try:
            with without_comment():
                report = event.event_information
                transaction = str(report.TransactionUID)
                committed = {each.instance for each in references(report)}
        except Exception:  # nearly any, of a damaged data set
            return ARGUMENT, None
        with self.lock:
            asked = self.open.get(transaction)
            if asked is None or asked.title != (title or caller_of(event.assoc)):
                return ARGUMENT, None
            del self.open[transaction]
        asked.sent.settle(asked.title, committed)
        asked.reported.set()
        return SUCCESS, None
