"""Answers of a peer reach the sender that waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("pynetdicom")

from pynetdicom import AE
from pynetdicom.association import Association

from medtranslate.node.calls import KEEP_ANSWERS

from .conftest import LOST_SOCKETS, until

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
    association = entity.associate("127.0.0.1", peer, evt_handlers=[KEEP_ANSWERS])
    assert echo_twice(association) == [0, 0]
    association.release()
