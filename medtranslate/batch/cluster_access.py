"""Finds a Ray cluster, takes the account's token for it, and says why it was not joined."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

_ASKING = 60.0
_ANSWERS = 5.0
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client of HTTP/2 begins, with a frame of no settings (RFC 9113, 3.4)."""
_SETTINGS = b"\4"
"""Type of the frame that a server begins with; it is its fourth byte."""


def resolved(address: str) -> str:
    """Return HOST:PORT of an address; of `auto` that of RAY_ADDRESS or of Ray's record of a cluster.

    Empty if it is not known: a version of Ray that keeps it elsewhere, or an address of another kind.

    Raises:
        ConnectionError: there is no record.
    """
    found = (os.environ.get("RAY_ADDRESS") or address) if address == "auto" else address
    if found == "auto":
        with suppress(ImportError):
            from ray._private.services import canonicalize_bootstrap_address

            found = canonicalize_bootstrap_address("auto") or ""
    return found if re.fullmatch(r"[^/]+:\d+", found) else ""


def look_for_head(place: str) -> None:
    """Check that a server of HTTP/2, as Ray's head is one, answers; Ray itself would try for many minutes.

    Args:
        place: HOST:PORT of the cluster.

    Raises:
        OSError: nothing answers there, or something else.
    """
    host, _, port = place.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), _ANSWERS) as line:
        if os.environ.get("RAY_USE_TLS", "0") == "1":
            return  # it answers to what is encrypted alone
        try:
            line.sendall(_HELLO)
            answer = line.recv(4)
        except OSError:
            answer = b""
    if answer[3:4] != _SETTINGS:
        raise ConnectionError(f"what listens at {place} is no Ray cluster, or hangs")


def take_token(place: str) -> None:
    """Turn Ray's authentication on or off, as the cluster has it, if this account has a token.

    Ray 2.60 takes the token by itself for `auto` alone, also where the cluster has no authentication; there
    actors cannot answer a driver that expects tokens. A mode that the user set (RAY_AUTH_MODE) stays.

    Args:
        place: HOST:PORT of the cluster.
    """
    if "RAY_AUTH_MODE" in os.environ or not has_token():
        return
    os.environ["RAY_AUTH_MODE"] = "token" if _wants_token(place) else "disabled"
    with suppress(ImportError, AttributeError):
        raylet: Any = import_module("ray._raylet")
        raylet.Config.initialize("")  # Ray keeps what it read when it was imported


def has_token() -> bool:
    """Check if this account has a token of Ray, in one of the places that Ray documents for it."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return (Path(named) if named else Path.home() / ".ray" / "auth_token").is_file()


def _wants_token(place: str) -> bool:
    """Ask a cluster for its status without a token; True if it refuses that."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", place]
    mode = {"RAY_AUTH_MODE": "disabled"}
    try:
        asked = subprocess.run(
            command, env={**os.environ, **mode}, capture_output=True, text=True, timeout=_ASKING, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    return asked.returncode != 0 and "AuthenticationError" in asked.stdout + asked.stderr


def why_not(error: BaseException) -> str:
    """Say why no cluster was joined, and what to do.

    Ray names authentication in a cause of its error alone.
    """
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if any("AuthenticationError" in f"{type(cause).__name__} {cause}" for cause in causes):
        return (
            "the Ray cluster wants an authentication token, and this account has none or another one; put the"
            " cluster's token into ~/.ray/auth_token or RAY_AUTH_TOKEN here and on every node"
        )
    return (
        f"no Ray cluster was joined ({str(error).strip().partition(chr(10))[0]}); begin one with"
        " `ray start --head`, and the batch on one of its machines"
    )
