"""Sends results by C-STORE, one thread for each peer, until the peer has taken them.

A result is a folder of DICOM files. Its `sent-NAME.txt` lists the files that a peer has taken, NAME being a
digest of the peer's title, so that a node that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from medtranslate.config import NodeRules, Peer
from medtranslate.errors import Undelivered
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.durable import append
from medtranslate.node.tls import client_context
from medtranslate.node.worker import DELIVERY

_TIMEOUT = 60.0
_CONTEXTS = 128
"""Most presentation contexts of an association (PS3.8 9.3.2.2)."""


@dataclass(frozen=True)
class Parcel:
    """Result on its way.

    Attributes:
        folder: its files.
        series: name of its source in the inbox.
        to: titles of the peers that get it.
        state: of its source: done or refused.
        reason: of a refusal; doubts of a translation.
    """

    folder: Path
    series: str
    to: tuple[str, ...]
    state: str
    reason: str

    def left(self, title: str) -> list[Path]:
        """List the files that a peer has not taken."""
        taken = self.folder / f"sent-{hashlib.sha256(title.encode()).hexdigest()[:16]}.txt"
        names = set(taken.read_text(encoding="utf-8").split()) if taken.exists() else set()
        return [path for path in sorted(self.folder.glob("*.dcm")) if path.name not in names]

    def note(self, title: str, path: Path) -> None:
        """Write down that a peer has taken a file."""
        append(self.folder / f"sent-{hashlib.sha256(title.encode()).hexdigest()[:16]}.txt", path.name)


def open_parcel(folder: Path) -> Parcel:
    """Read what a worker wrote into the folder of a result."""
    told = json.loads((folder / DELIVERY).read_text(encoding="utf-8"))
    return Parcel(folder, told["series"], tuple(told["to"]), told["state"], told["reason"])


class Delivery:
    """Threads that send; a parcel that every peer has taken is `delivered`, once.

    Args:
        delivered: called with a parcel when all peers have it.
        failed: called with a parcel and a reason after each failed try.
    """

    def __init__(
        self, rules: NodeRules, delivered: Callable[[Parcel], None], failed: Callable[[Parcel, str], None]
    ) -> None:
        self.rules, self.delivered, self.failed = rules, delivered, failed
        self.peers = {peer.title: peer for peer in rules.peers if peer.port}
        self.waiting: dict[str, list[Parcel]] = {title: [] for title in self.peers}
        self.changed = threading.Condition()
        self.ending = threading.Event()

    def add(self, parcel: Parcel) -> None:
        """Send a parcel when its peers' turns come; one for peers that no longer exist is kept, and named."""
        if gone := [title for title in parcel.to if title not in self.peers]:
            self.failed(parcel, f"{gone[0]} is no peer of this node with a port; add it to `peers`")
            return
        if not any(parcel.left(title) for title in parcel.to):
            self.delivered(parcel)
            return
        with self.changed:
            for title in filter(parcel.left, parcel.to):
                self.waiting[title].append(parcel)
            self.changed.notify_all()

    def serve(self, peer: Peer) -> None:
        """Send the parcels of one peer in order; after a failure wait, twice as long each time."""
        tries = 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.ending.is_set() or self.waiting[peer.title])
                if self.ending.is_set():
                    return
                parcel = self.waiting[peer.title][0]
            try:
                send(parcel, peer, self.rules, self.ending.is_set)
            except Exception as error:
                self.failed(parcel, str(error) if isinstance(error, Undelivered) else type(error).__name__)
                pause = min(self.rules.retry_most, self.rules.retry_first * 2.0 ** min(tries, 30))
                tries += 1
                with self.changed:
                    # A result that this peer refuses must not hold up the others for ever.
                    self.waiting[peer.title].append(self.waiting[peer.title].pop(0))
                    self.changed.wait_for(self.ending.is_set, pause)
                continue
            tries = 0
            with self.changed:
                if self.ending.is_set() and parcel.left(peer.title):
                    return
                self.waiting[peer.title].remove(parcel)
                whole = not any(parcel in self.waiting[title] for title in parcel.to)
            if whole:
                self.delivered(parcel)


@contextmanager
def delivering(delivery: Delivery) -> Iterator[None]:
    """Send for the block; at its end each thread finishes the file that it is sending."""
    threads = [
        threading.Thread(target=delivery.serve, args=(peer,), daemon=True) for peer in delivery.peers.values()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        with delivery.changed:
            delivery.ending.set()
            delivery.changed.notify_all()
        for thread in threads:
            thread.join(_TIMEOUT)


def send(parcel: Parcel, peer: Peer, rules: NodeRules, stop: Callable[[], bool] = lambda: False) -> None:
    """Send the files of a parcel that a peer has not taken, in one association.

    Raises:
        Undelivered: the peer does not answer, or does not take a file.
    """
    files = parcel.left(peer.title)
    with _association(files, peer, rules) as association:
        for number, path in enumerate(files, start=1):
            if stop():
                return
            with without_comment():
                try:
                    answer = association.send_c_store(dcmread(path))
                except (ValueError, RuntimeError) as error:
                    # No presentation context, or the association has ended.
                    kind = read_file_meta_info(path).MediaStorageSOPClassUID.name
                    raise Undelivered(f"{peer.title} does not take {kind}, or hung up") from error
            status = answer.get("Status")
            if status is None:
                raise Undelivered(f"{peer.title} hung up at file {number} of {len(files)}")
            # 0xB000 to 0xBFFF: stored, with a warning (PS3.7 C.3).
            if status != 0 and status >> 12 != 0xB:
                raise Undelivered(f"{peer.title} answered 0x{status:04X} to file {number} of {len(files)}")
            parcel.note(peer.title, path)


@contextmanager
def _association(files: Sequence[Path], peer: Peer, rules: NodeRules) -> Iterator[Association]:
    entity = AE(ae_title=rules.title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT
    entity.connection_timeout = min(_TIMEOUT, 10.0)
    kinds: dict[tuple[Any, Any], None] = {}
    for path in files:
        meta = read_file_meta_info(path)
        kinds[meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID] = None
    for kind, syntax in list(kinds)[:_CONTEXTS]:
        plain = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        entity.add_requested_context(kind, plain if syntax == ExplicitVRLittleEndian else [syntax])
    assert peer.port is not None
    tls = (client_context(rules), peer.address) if peer.tls else None
    with without_comment():  # of pynetdicom's own socket, which it does not close after a refused connection
        association = entity.associate(peer.address, peer.port, ae_title=peer.title, tls_args=tls)
    if not association.is_established:
        why = "rejects the association" if association.is_rejected else "does not answer"
        raise Undelivered(f"{peer.title} {why}")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
