"""Server of known addresses alone, with bounds on what a peer may send, by pynetdicom."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

PDU_BYTES = 2**17
"""Largest unit of data that a peer is asked to send."""
SILENCE = 60.0
"""Seconds after which a silent association is cut."""
_LINES = 200
"""Most lines about refusals that a run prints."""


class Refusals:
    """Counts what was refused before it was an image, by reason, for the status page.

    Args:
        say: prints a line, once for each reason and caller, so that a caller cannot fill the terminal.
    """

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.lock, self.counts, self.say = threading.Lock(), Counter[str](), say
        self.said: set[str] = set()

    def add(self, reason: str, caller: Association | str) -> None:
        """Count a reason; the caller is an association, or an address that has none."""
        who = caller if isinstance(caller, str) else _name(caller)
        line = f"refused from {who}: {reason}"
        with self.lock:
            self.counts[reason] += 1
            if line in self.said or len(self.said) >= _LINES:
                return
            self.said.add(line)
        self.say(line)


class PeerSocket(AssociationSocket):
    """Socket that loses no time, and closes when a peer sends units or objects far beyond the bounds.

    pynetdicom and dcmtk write a message in pieces. By default a piece waits until the one before is
    acknowledged (RFC 896), and Linux acknowledges after 40 ms. So this socket sends each piece at once, and
    acknowledges each at once, for which Linux has to be told again and again (tcp(7)).
    """

    most = 2**62
    held = 0

    def recv(self, nr_bytes: int) -> bytearray:
        self.held += nr_bytes
        if nr_bytes > 4 * PDU_BYTES or self.held > self.most:
            raise OSError("larger than the bounds of this node")
        if self.socket and sys.platform == "linux":
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return super().recv(nr_bytes)


def bind_socket(event: evt.Event, most: int = PeerSocket.most) -> None:
    """Give an association that opens a `PeerSocket` (handler of EVT_CONN_OPEN).

    Args:
        most: bytes of an object.
    """
    # A second socket would open the association twice (its constructor reports a connection).
    line: Any = event.assoc.dul.socket
    line.__class__ = PeerSocket
    line.most = most
    line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Server(ThreadedAssociationServer):
    """Server that speaks with known addresses alone, and makes the TLS handshake in a thread of its own.

    pynetdicom makes it where it accepts connections, so that one silent caller would hold up all others.
    """

    daemon_threads = True

    def __init__(
        self,
        *args: Any,
        tls: ssl.SSLContext | None,
        known: set[str],
        refusals: Refusals,
        **named: Any,
    ) -> None:
        self.tls, self.known, self.refusals = tls, known, refusals
        super().__init__(*args, **named)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        if plain(client_address[0]) in self.known:
            return True
        self.refusals.add("connection from an unknown address", plain(client_address[0]))
        return False

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(SILENCE)
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        reason = "connection without a valid TLS certificate" if self.tls else "broken connection"
        self.refusals.add(reason, plain(client_address[0]))


def end_associations(entity: AE) -> None:
    """Abort the associations of an entity, and hang up on callers that have not asked for one yet.

    pynetdicom's `AE.shutdown` aborts these, too, and that raises in their threads.
    """
    for association in entity.active_associations:
        if ("Evt15", association.dul.state_machine.current_state) in TRANSITION_TABLE:
            association.abort()
        elif line := association.dul.socket:
            line.close()


def caller_of(association: Association) -> str:
    """Give the AE title of the entity that made an association."""
    primitive = association.requestor.primitive
    return (primitive.calling_ae_title or "").strip() if primitive else ""


def called_by(association: Association) -> str:
    """Give the AE title that the entity which made an association called."""
    primitive = association.requestor.primitive
    return (primitive.called_ae_title or "").strip() if primitive else ""


def _name(association: Association) -> str:
    """Name the caller of an association for a person, in printable signs."""
    title = "".join(sign for sign in caller_of(association) if sign.isprintable())
    return f"{title} at {plain(association.requestor.address or '')}"


def plain(address: str) -> str:
    """Give an IPv4 address that is mapped into IPv6 its usual form."""
    return address.removeprefix("::ffff:")
