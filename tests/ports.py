"""Ports that no other test has.

The kernel may give a port again, also to another process: a test that counts calls would then count those
of a peer elsewhere that still tries to reach the port's former owner.
"""

from __future__ import annotations

import os
import socket
from itertools import cycle

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FIRST = 10_000 + 1_000 * (_WORKER % 22)
_PORTS = cycle(range(_FIRST, _FIRST + 1_000))
"""Of this pytest worker alone, and below those that Linux gives by itself (32,768 and above)."""


def free_port() -> int:
    """Give the next port of this worker that nothing is bound to."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("the ports have no end")
