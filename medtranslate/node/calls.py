"""Associations that the node makes with its peers."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association

from medtranslate.config import NodeRules, Peer
from medtranslate.errors import Undelivered
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.server import bind_socket
from medtranslate.node.tls import client_context

TIMEOUT = 60.0
"""Seconds to wait for an answer."""
DUPLICATE = 0x0111
"""Status of an object that the other side already has (PS3.7 C.5.9)."""
PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_CONTEXTS = 128
"""Most presentation contexts of an association (PS3.8 9.3.2.2)."""


class Messages(queue.Queue[Any]):
    """Messages of a peer: who waits for an answer gets it, and pynetdicom's reactor gets all others.

    pynetdicom 3.0.4 has one queue for both. It pauses its reactor while a request waits for an answer, but a
    reactor that was just woken still counts as paused, and may take the answer and drop it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers = queue.Queue[Any]()
        self.awaited: int | None = None

    def sent(self, event: evt.Event) -> None:
        """Expect an answer, if a request was sent (handler of EVT_DIMSE_SENT)."""
        command = event.message.command_set
        if "MessageID" in command:
            self.awaited = command.MessageID

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add a pair of a context and a message; None, for a lost connection, answers any request."""
        _, message = item
        if message is None or message.MessageIDBeingRespondedTo == self.awaited is not None:
            self.awaited = None
            self.answers.put(item)
        else:
            super().put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an answer if it may block, as senders do, and otherwise another message."""
        return self.answers.get(timeout=timeout) if block else super().get(block=False)


def _opened(event: evt.Event) -> None:
    event.assoc.dimse.msg_queue = messages = Messages()
    event.assoc.bind(evt.EVT_DIMSE_SENT, messages.sent)
    bind_socket(event)


CALLING = (evt.EVT_CONN_OPEN, _opened)
"""Handler of an association that sends requests."""


@contextmanager
def association(
    peer: Peer,
    rules: NodeRules,
    contexts: Sequence[tuple[UID, list[UID]]],
    *,
    roles: Sequence[Any] = (),
    handlers: Sequence[Any] = (),
) -> Iterator[Association]:
    """Make an association for the block.

    Args:
        contexts: SOP classes, each with its transfer syntaxes.
        roles: proposed roles, if they are not those of an ordinary caller.
        handlers: of what the peer sends.

    Raises:
        Undelivered: the peer does not answer, or rejects it.
    """
    entity = AE(ae_title=rules.title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT
    entity.connection_timeout = min(TIMEOUT, 10.0)
    for kind, syntaxes in contexts[:_CONTEXTS]:
        entity.add_requested_context(kind, syntaxes)
    assert peer.port is not None
    tls = (client_context(rules), peer.address) if peer.tls else None
    with without_comment():  # of pynetdicom's own socket, which it does not close after a refused connection
        made = entity.associate(
            peer.address,
            peer.port,
            ae_title=peer.title,
            tls_args=tls,
            ext_neg=[*roles],
            evt_handlers=[CALLING, *handlers],
        )
    if not made.is_established:
        why = "rejects the association" if made.is_rejected else "does not answer"
        raise Undelivered(f"{peer.title} {why}")
    try:
        yield made
    finally:
        if made.is_established:
            made.release()
