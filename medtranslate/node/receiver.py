"""The application entity that takes C-STORE, C-ECHO and requests for storage commitment, by pynetdicom."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, cast

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian, EnhancedMRImageStorage
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import create_file_meta
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when the module is imported
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    StorageCommitmentPushModel,
    Verification,
)

from medtranslate.config import NodeRules
from medtranslate.errors import UsageError
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.inbox import Inbox
from medtranslate.node.server import (
    PDU_BYTES,
    SILENCE,
    PeerSocket,
    Refusals,
    Server,
    bind_socket,
    called_by,
    caller_of,
    end_associations,
    plain,
)
from medtranslate.node.tls import server_context

IMAGES = (
    *(CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage),
    *(MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage),
)
"""Objects that are taken; others, such as secondary captures, are refused when an association is made."""
SYNTAXES = [
    syntax
    for syntax in AllTransferSyntaxes
    if syntax != DeflatedExplicitVRLittleEndian and not syntax.startswith("1.2.840.10008.1.2.4.1")
]
"""Transfer syntaxes that are taken: no video, and no data set that may inflate to any size."""

SUCCESS, NO_ROOM, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
"""Answers to C-STORE (PS3.4 B.2.3)."""
_NO_CALLER = (0x01, 0x01, 0x03)
"""Answer to an unknown caller: rejected for good, by the service user, calling AE title not recognised."""


@contextmanager
def receiving(
    rules: NodeRules, inbox: Inbox, refusals: Refusals, handlers: Sequence[Any] = ()
) -> Iterator[int]:
    """Take images for the block, in threads of their own; give the port.

    Args:
        handlers: of messages about storage commitment.

    Raises:
        UsageError: the port is taken, the host is none of this machine, or a peer's name has no address.
    """
    entity = AE(ae_title=rules.title)
    entity.require_called_aet = True
    entity.maximum_associations = rules.associations
    entity.maximum_pdu_size = PDU_BYTES
    entity.acse_timeout = entity.network_timeout = entity.dimse_timeout = SILENCE
    entity.add_supported_context(Verification)
    for kind in IMAGES:
        entity.add_supported_context(kind, SYNTAXES)
    if any(peer.commit or peer.confirm for peer in rules.peers):
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    addresses = {peer.title: _resolve(peer.address) for peer in rules.peers}
    try:
        server = entity.make_server(
            (rules.host, rules.port),
            evt_handlers=[*_Door(rules, addresses, inbox, refusals).handlers(), *handlers],
            server_class=Server,
            tls=server_context(rules.tls) if rules.tls else None,
            known=set().union(*addresses.values()),
            refusals=refusals,
        )
    except OSError as error:
        raise UsageError(
            f"{rules.host}:{rules.port}: cannot listen there ({(error.strerror or 'failed').lower()});"
            " choose another host or port"
        ) from error
    entity._servers.append(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        end_associations(entity)


def _resolve(name: str) -> set[str]:
    """Give the IP addresses of a peer.

    Raises:
        UsageError: the name has none.
    """
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    except OSError as error:
        raise UsageError(f"peer {name}: has no address ({error.strerror}); check the name") from error


class _Door:
    """Answers to what happens in associations."""

    def __init__(
        self, rules: NodeRules, addresses: Mapping[str, set[str]], inbox: Inbox, refusals: Refusals
    ) -> None:
        self.rules, self.addresses, self.inbox, self.refusals = rules, addresses, inbox, refusals
        self.numbers: dict[Association, int] = {}
        self.count = itertools.count(1)

    def handlers(self) -> list[Any]:
        """Bind the answers to pynetdicom's events."""
        return [
            (evt.EVT_CONN_OPEN, bind_socket, [2 * self.rules.object_mb * 10**6]),
            (evt.EVT_REQUESTED, self.requested),
            (evt.EVT_REJECTED, self.rejected),
            (evt.EVT_ESTABLISHED, self.established),
            (evt.EVT_C_STORE, self.stored),
            (evt.EVT_RELEASED, self.ended, [True]),
            (evt.EVT_ABORTED, self.ended, [False]),
            (evt.EVT_CONN_CLOSE, self.ended, [False]),
        ]

    def requested(self, event: evt.Event) -> None:
        """Reject a caller whose title is not known, or known from another address."""
        address = plain(event.assoc.requestor.address or "")
        if address in self.addresses.get(caller_of(event.assoc), ()):
            self.numbers[event.assoc] = next(self.count)
            return
        self.refusals.add("association of an unknown caller", event.assoc)
        event.assoc.acse.send_reject(*_NO_CALLER)
        event.assoc.kill()

    def rejected(self, event: evt.Event) -> None:
        self.numbers.pop(event.assoc, None)
        wrong = called_by(event.assoc) != self.rules.title
        what = f"for another title than {self.rules.title}" if wrong else "beyond those at a time"
        self.refusals.add(f"association {what}", event.assoc)

    def established(self, event: evt.Event) -> None:
        if event.assoc.rejected_contexts:
            self.refusals.add("offer of other objects beside CT and MR images", event.assoc)

    def stored(self, event: evt.Event) -> int:
        """Put an image into the inbox, and give the status of the answer."""
        request, bounded = cast(C_STORE, event.request), event.assoc.dul.socket
        assert isinstance(bounded, PeerSocket)
        bounded.held = 0
        data = request.DataSet.getvalue() if request.DataSet else b""
        caller, number = caller_of(event.assoc), self.numbers[event.assoc]
        large = len(data) > self.rules.object_mb * 10**6
        syntax = UID(event.context.transfer_syntax)
        file = _file(request, syntax, caller, data[:_HEADER_BYTES] if large else data)
        instance, series = _names(file)
        if large:
            status = NO_ROOM
        elif not (instance and series):
            status = NOT_UNDERSTOOD
        elif instance != request.AffectedSOPInstanceUID:
            status = MISMATCH
        else:
            status = self._store(caller, number, series, instance, file)
        if status != SUCCESS:
            self.inbox.lack(caller, number, series)
            self.refusals.add(_REASONS[status], event.assoc)
        return status

    def _store(self, *image: Any) -> int:
        try:
            self.inbox.store(*image)
        except OSError:
            return NO_ROOM
        return SUCCESS

    def ended(self, event: evt.Event, released: bool) -> None:
        # The thread of a caller that has asked for nothing waits for a request.
        if event.assoc.requestor.primitive is None:
            waiting: Any = event.assoc.dul.to_user_queue
            waiting.put(None)
        if (number := self.numbers.pop(event.assoc, None)) is not None:
            self.inbox.end(number, released=released)


_HEADER_BYTES = 2**20
"""Of an object that is too large, the part in which its names are looked for."""
_REASONS = {
    NO_ROOM: "image without room: too large, or the disk is full",
    MISMATCH: "image whose data set is of another object than was announced",
    NOT_UNDERSTOOD: "image whose header is damaged or names no series",
}


def _names(file: bytes) -> tuple[str, str]:
    """Read SOPInstanceUID and SeriesInstanceUID; empty where the header is damaged or has none."""
    names = ("SOPInstanceUID", "SeriesInstanceUID")
    try:
        with without_comment():
            header = dcmread(BytesIO(file), stop_before_pixels=True, specific_tags=[*names])
            instance, series = (str(header[name].value or "") for name in names)
    except Exception:  # nearly any, of a damaged header
        return "", ""
    return instance, series


def _file(request: C_STORE, syntax: UID, caller: str, data: bytes) -> bytes:
    """Make the DICOM file of a request.

    It names the entity that it came from (PS3.10 7.1), which a node that begins again reads there.
    """
    assert request.AffectedSOPClassUID
    assert request.AffectedSOPInstanceUID
    meta = create_file_meta(
        sop_class_uid=request.AffectedSOPClassUID,
        sop_instance_uid=request.AffectedSOPInstanceUID,
        transfer_syntax=syntax,
    )
    meta.SourceApplicationEntityTitle = caller
    head = DicomBytesIO()
    write_file_meta_info(head, meta)
    return bytes(128) + b"DICM" + head.getvalue() + data
