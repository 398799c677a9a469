"""How the node speaks with its peers: each answer reaches its request, and no image waits for the line."""

from __future__ import annotations

import socket
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("pynetdicom")

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO

from medtranslate.config import NodeRules, Peer, Rule
from medtranslate.node.calls import CALLING, Messages
from medtranslate.node.delivery import send as deliver
from medtranslate.node.server import PeerSocket

from .conftest import LOST_SOCKETS, Running, called, until

pytestmark = LOST_SOCKETS
ECHO = "1.2.840.10008.1.1"


class Checkpoint(threading.Event):
    """Where pynetdicom's reactor waits while a request is open; once woken it stays until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.rounds = threading.Event(), 0

    def wait(self, timeout: float | None = None) -> bool:
        self.rounds += 1
        super().wait(timeout)
        return self.go.wait(60)


def echo_twice(association: Association) -> list[int | None]:
    """Send two requests; the reactor, woken after the first, runs when the answer to the second is there."""
    association._reactor_checkpoint = checkpoint = Checkpoint()
    until(lambda: checkpoint.rounds)
    provider, arrived = association.dimse, threading.Event()
    send, receive = provider.send_msg, provider.receive_primitive

    def note(primitive: Any) -> None:
        receive(primitive)
        arrived.set()

    def send_slowly(*request: Any) -> None:
        send(*request)
        assert arrived.wait(60)

    def send_and_let_the_reactor_go(*request: Any) -> None:
        send_slowly(*request)
        checkpoint.go.set()
        until(lambda: checkpoint.rounds > 1)

    provider.receive_primitive, provider.send_msg = note, send_slowly
    first = association.send_c_echo()
    arrived.clear()
    provider.send_msg = send_and_let_the_reactor_go
    return [first.get("Status"), association.send_c_echo().get("Status")]


@pytest.fixture
def peer() -> Iterator[int]:
    """Give the port of an entity that answers C-ECHO."""
    entity = AE()
    entity.add_supported_context(ECHO)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    yield server.server_address[1]
    server.shutdown()


def test_the_reactor_does_not_take_an_answer(peer: int) -> None:
    """Without the handler the second answer is lost, and the sender waits for it in vain."""
    entity = AE()
    entity.dimse_timeout = 5
    entity.add_requested_context(ECHO)
    association = entity.associate("127.0.0.1", peer, evt_handlers=[CALLING])
    assert echo_twice(association) == [0, 0]
    association.release()


def test_a_second_answer_to_one_request_answers_no_other() -> None:
    messages, sent = Messages(), namedtuple("Event", "message")
    for number in (1, 2):
        command, answer = Dataset(), C_ECHO()
        command.MessageID = answer.MessageIDBeingRespondedTo = number
        messages.sent(sent(namedtuple("Message", "command_set")(command)))
        for _ in range(2):
            messages.put((1, answer))
        assert messages.get() == (1, answer)
        assert messages.answers.empty()
        assert messages.get(block=False) == (1, answer)


@pytest.fixture
def archive_of() -> Iterator[Any]:
    """Begin an archive of one transfer syntax: archive_of(syntax) gives the peer, and what it takes."""
    begun, taken = [], list[tuple[bytes, Dataset]]()

    def take(event: Any) -> int:
        taken.append((event.encoded_dataset(include_meta=False), event.dataset))
        return 0

    def begin(syntax: str) -> tuple[Peer, list[tuple[bytes, Dataset]]]:
        entity = AE()
        entity.add_supported_context(MRImageStorage, syntax)
        begun.append(
            entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
        )
        return Peer(title="ARCHIVE", address="127.0.0.1", port=begun[-1].server_address[1]), taken

    yield begin
    for server in begun:
        server.shutdown()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_is_sent_as_it_is_or_in_the_syntax_of_the_peer(
    archive_of: Any, series: Any, syntax: str
) -> None:
    files = series("one")
    peer, taken = archive_of(syntax)
    assert list(deliver(files, peer, NodeRules(peers=(peer,), rules=(Rule(),)))) == files
    for path, (encoded, data) in zip(files, taken, strict=True):
        header = dcmread(path)
        assert data == Dataset(header)
        assert path.read_bytes().endswith(encoded) == (syntax == ExplicitVRLittleEndian)


def test_callers_that_hang_up_before_they_ask_take_no_place(begin: Any) -> None:
    """Such as the checks of a load balancer."""
    node: Running = begin(associations=1)
    for _ in range(3):
        socket.create_connection(("127.0.0.1", node.port)).close()

    def free() -> bool:
        with called(node.port) as association:
            return bool(association.is_established)

    until(free, 30)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux")
def test_a_piece_is_acknowledged_at_once() -> None:
    """A sender without TCP_NODELAY holds the second piece back until the first one is acknowledged."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sender,
        server.accept()[0] as line,
    ):
        bounded = PeerSocket.__new__(PeerSocket)
        bounded.socket = line

        def exchange() -> float:
            began = time.monotonic()
            for _ in range(2):
                sender.sendall(bytes(6))
            for _ in range(2):
                bounded.recv(6)
            line.sendall(bytes(6))
            sender.recv(6)
            return time.monotonic() - began

        for _ in range(40):  # the first ones are acknowledged at once anyway
            exchange()
        until(lambda: exchange() < 0.03, 10)
