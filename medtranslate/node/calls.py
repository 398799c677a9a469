"""Associations that the node makes with its peers."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from medtranslate.config import NodeRules, Peer
from medtranslate.errors import Rejected, Undelivered
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
_TRANSIENT = 2
"""Result of a rejection that may pass (PS3.8 table 9-21)."""
_RESULTS = {1: "rejected by its user", 3: "SOP class not supported", 4: "transfer syntax not supported"}
"""Reasons not to accept a presentation context (PS3.8 table 9-18)."""


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
        Undelivered: the peer does not answer, hangs up, or rejects it for the moment.
        Rejected: the peer rejects it for good, or accepts none of the contexts.
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
        raise _failure(made, peer)
    try:
        yield made
    finally:
        if made.is_established:
            made.release()


def _failure(made: Association, peer: Peer) -> Undelivered:
    """Say why there is no association, by the answer to the request for one (PS3.8 9.3.4)."""
    if made.is_rejected:
        answer: Any = made.acceptor.primitive
        reason = f"{answer.reason_str.lower().replace(' ae ', ' AE ')} ({answer.source_str.lower()})"
        if answer.result == _TRANSIENT:
            return Undelivered(f"{peer.title} rejects the association for the moment: {reason}")
        return Rejected(f"{peer.title} rejects the association: {reason}")
    if made.rejected_contexts and not made.accepted_contexts:
        return not_accepted(made, peer)
    if isinstance(made.dimse.msg_queue, Messages):  # the connection was opened
        return Undelivered(f"{peer.title} hung up, or was silent, when it was asked for an association")
    return Undelivered(f"{peer.title} does not answer{', or agrees on no TLS' if peer.tls else ''}")


def not_accepted(made: Association, peer: Peer) -> Rejected:
    """Name the SOP classes that a peer does not accept, each with the reason (PS3.8 9.3.3.2)."""
    asked = {each.context_id: each for each in made.requestor.requested_contexts}
    named = dict.fromkeys(_reason(asked[each.context_id], each.result) for each in made.rejected_contexts)
    return Rejected(f"{peer.title} does not accept {', '.join(named)}")


def _reason(asked: PresentationContext, result: int | None) -> str:
    """Name what was asked for, and why it is not accepted."""
    why = _RESULTS.get(result or 0, "no reason given")
    if why.startswith("transfer"):
        why += f": {', '.join(UID(syntax).name for syntax in asked.transfer_syntax)}"
    kind = UID(asked.abstract_syntax or "")
    return f"{kind.name} ({why})"
