"""Sends results, one thread for each destination, until it has taken them, and confirmed if asked.

A result that a destination rejects for good is held until that destination takes another one.

A destination is a peer (C-STORE) or a DICOMweb server (STOW-RS). A result is a folder of DICOM files. Its
`sent-NAME.txt` lists the files that a destination has taken, NAME being a digest of its title, so that a node
that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import _config

from medtranslate.config import NodeRules, Peer, WebServer
from medtranslate.errors import Rejected, SettingsError, Undelivered
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.calls import DUPLICATE, PLAIN, TIMEOUT, association, not_accepted
from medtranslate.node.commitment import Reference
from medtranslate.node.confirmation import Confirmations
from medtranslate.node.durable import append, put
from medtranslate.node.stow import store
from medtranslate.node.worker import DELIVERY

_config.STORE_SEND_CHUNKED_DATASET = True  # a path is sent without being decoded
Destination = Peer | WebServer
_CONFIRMED = "confirmed"
"""Line about a peer that has committed itself to all files."""


@dataclass(frozen=True)
class Parcel:
    """Result on its way.

    Attributes:
        folder: its files.
        series: name of its source in the inbox.
        to: titles of the destinations that get it.
        state: of its source: done or refused.
        reason: of a refusal; doubts of a translation.
        images: digests of the source's SOPInstanceUIDs.
    """

    folder: Path
    series: str
    to: tuple[str, ...]
    state: str
    reason: str
    images: tuple[str, ...]

    def left(self, title: str) -> list[Path]:
        """List the files that a destination has not taken."""
        names = self._noted(title)
        return [path for path in self._files() if path.name not in names]

    def note(self, title: str, path: Path) -> None:
        """Write down that a destination has taken a file."""
        append(self._notes(title), path.name)

    def objects(self) -> list[Reference]:
        """List the objects in its files."""
        return [_reference(path) for path in self._files()]

    def settle(self, title: str, committed: set[str]) -> None:
        """Write down that a peer has committed itself to objects; others are to be sent again."""
        if not self.folder.exists():
            return
        kept = [path.name for path in self._files() if _reference(path).instance in committed]
        if len(kept) == len(self._files()):
            kept.append(_CONFIRMED)
        put(self._notes(title), "".join(f"{name}\n" for name in kept).encode())

    def confirmed(self, title: str) -> bool:
        """Check if a peer has committed itself to all files; it has if there are none."""
        return _CONFIRMED in self._noted(title) or not self._files()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.dcm"))

    def _notes(self, title: str) -> Path:
        return self.folder / f"sent-{hashlib.sha256(title.encode()).hexdigest()[:16]}.txt"

    def _noted(self, title: str) -> set[str]:
        notes = self._notes(title)
        return set(notes.read_text(encoding="utf-8").split()) if notes.exists() else set()


def open_parcel(folder: Path) -> Parcel:
    """Read what a worker wrote into the folder of a result."""
    told = json.loads((folder / DELIVERY).read_text(encoding="utf-8"))
    return Parcel(
        folder, told["series"], tuple(told["to"]), told["state"], told["reason"], tuple(told["images"])
    )


def _kind(path: Path) -> tuple[UID, UID]:
    """Read SOP class and transfer syntax of a file."""
    meta = read_file_meta_info(path)
    return meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID


def _reference(path: Path) -> Reference:
    meta = read_file_meta_info(path)
    return Reference(str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID))


class Delivery:
    """Threads that send; a parcel that every destination has taken is `delivered`, once.

    Args:
        delivered: called with a parcel when all destinations have it.
        failed: called after a failed try with a parcel, reason and next try in words, and if it is held.

    Attributes:
        held: parcels that a destination has rejected for good, with these words, by its title.
    """

    def __init__(
        self,
        rules: NodeRules,
        delivered: Callable[[Parcel], None],
        failed: Callable[[Parcel, str, bool], None],
    ) -> None:
        self.rules, self.delivered, self.failed = rules, delivered, failed
        known: list[Destination] = [*(peer for peer in rules.peers if peer.port), *rules.dicomweb]
        self.known = {each.title: each for each in known}
        self.confirmations = Confirmations(rules)
        self.waiting: dict[str, list[Parcel]] = {title: [] for title in self.known}
        self.held: dict[str, list[tuple[Parcel, str]]] = defaultdict(list)
        self.changed = threading.Condition()
        self.ending = threading.Event()

    def add(self, parcel: Parcel) -> None:
        """Send a parcel when its destinations' turns come; hold it, and say so, if one of them is unknown."""
        if gone := [title for title in parcel.to if title not in self.known]:
            why = f"{gone[0]} is no peer with a port, nor a DICOMweb server; add it to `peers` or `dicomweb`,"
            why += " and start this node again"
            self._hold(parcel, gone[0], why)
            return
        waits = [title for title in parcel.to if self._waits(parcel, self.known[title])]
        if not waits:
            self.delivered(parcel)
            return
        with self.changed:
            for title in waits:
                self.waiting[title].append(parcel)
            self.changed.notify_all()

    @staticmethod
    def _waits(parcel: Parcel, to: Destination) -> bool:
        """Check if a destination has still to take a file, or to commit itself."""
        return bool(parcel.left(to.title)) or (_confirms(to) and not parcel.confirmed(to.title))

    def serve(self, to: Destination) -> None:
        """Send the parcels of one destination in order; after a failure wait, twice as long each time."""
        tries, waiting = 0, self.waiting[to.title]
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.ending.is_set() or waiting)
                if self.ending.is_set():
                    return
                parcel = waiting[0]
            try:
                self._send(parcel, to)
            except Rejected as error:
                until = f"held until {to.title} takes another result, or this node starts again"
                self._hold(parcel, to.title, f"{error}; {until}")
                continue
            except Exception as error:
                ours = isinstance(error, Undelivered | SettingsError)
                self.failed(parcel, f"{error if ours else type(error).__name__}; tried again later", False)
                pause = min(self.rules.retry_most, self.rules.retry_first * 2.0 ** min(tries, 30))
                tries += 1
                with self.changed:
                    # A result that this destination refuses must not hold up the others for ever.
                    waiting.append(waiting.pop(0))
                    self.changed.wait_for(self.ending.is_set, pause)
                continue
            tries = 0
            with self.changed:
                if self.ending.is_set() and self._waits(parcel, to):
                    return
                waiting.remove(parcel)
                if self.held[to.title]:  # one alone, for it may be rejected again
                    waiting.append(self.held[to.title].pop(0)[0])
                whole = not any(self._has(title, parcel) for title in parcel.to)
            if whole:
                self._deliver(parcel, to.title)

    def _deliver(self, parcel: Parcel, title: str) -> None:
        try:
            self.delivered(parcel)
        except OSError:  # a full disk has no room for the journal's line
            with self.changed:
                self.waiting[title].append(parcel)
                self.changed.wait_for(self.ending.is_set, self.rules.retry_first)

    def _hold(self, parcel: Parcel, title: str, why: str) -> None:
        with self.changed:
            self.held[title].append((parcel, why))
            if parcel in (waiting := self.waiting.get(title, [])):
                waiting.remove(parcel)
        self.failed(parcel, why, True)

    def _has(self, title: str, parcel: Parcel) -> bool:
        return parcel in self.waiting[title] or any(parcel == held for held, _ in self.held[title])

    def reasons(self) -> dict[str, str]:
        """Give the reasons of the parcels that are held, by the names of their folders."""
        with self.changed:
            return {parcel.folder.name: why for held in self.held.values() for parcel, why in held}

    def _send(self, parcel: Parcel, to: Destination) -> None:
        """Send what a destination has not taken, and ask for storage commitment where wanted.

        Raises:
            Undelivered, SettingsError: as `send`, `store` and `Confirmations.ask`.
        """
        if left := parcel.left(to.title):
            sent = send(left, to, self.rules) if isinstance(to, Peer) else store(left, to, self.rules)
            with closing(sent):
                for path in sent:
                    parcel.note(to.title, path)
                    if self.ending.is_set():
                        return
        if isinstance(to, Peer) and to.confirm:
            self.confirmations.ask(parcel, to, self.ending.is_set)


@contextmanager
def delivering(delivery: Delivery) -> Iterator[None]:
    """Send for the block; at its end each thread finishes the file that it is sending."""
    threads = [
        threading.Thread(target=delivery.serve, args=(to,), daemon=True) for to in delivery.known.values()
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
            thread.join(TIMEOUT)


def _confirms(to: Destination) -> bool:
    return isinstance(to, Peer) and to.confirm


def send(files: Sequence[Path], peer: Peer, rules: NodeRules) -> Generator[Path, None, None]:
    """Send files in one association, and yield each one when the peer has it.

    Raises:
        Undelivered: the peer does not answer, or does not take a file.
        Rejected: as `association`; or the peer does not accept some files, and has all others.
    """
    kinds = {path: _kind(path) for path in files}
    syntaxes = {kind: PLAIN if kind[1] == PLAIN[0] else [kind[1]] for kind in kinds.values()}
    with association(peer, rules, [(kind, offered) for (kind, _), offered in syntaxes.items()]) as made:
        taken = {(each.abstract_syntax, each.transfer_syntax[0]) for each in made.accepted_contexts}
        fitting = {
            path: kind
            for path, kind in kinds.items()
            if any((kind[0], syntax) in taken for syntax in syntaxes[kind])
        }
        for number, (path, kind) in enumerate(fitting.items(), start=1):
            with without_comment():
                try:
                    # Bytes go as they are on the disk, unless the peer takes another syntax.
                    image = path if kind in taken else dcmread(path)
                    answer = made.send_c_store(image, msg_id=number % 2**16)
                except (ValueError, RuntimeError) as error:
                    # The association has ended, or the file is damaged.
                    where = f"file {number} of {len(files)}"
                    raise Undelivered(f"{peer.title} does not take {where}, or hung up") from error
            status = answer.get("Status")
            if status is None:
                raise Undelivered(f"{peer.title} hung up at file {number} of {len(files)}")
            # 0xB000 to 0xBFFF: stored, with a warning (PS3.7 C.3).
            if status not in (0, DUPLICATE) and status >> 12 != 0xB:
                raise Undelivered(f"{peer.title} answered 0x{status:04X} to file {number} of {len(files)}")
            yield path
        if len(fitting) < len(files):
            raise not_accepted(made, peer)
