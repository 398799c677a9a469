"""Peers that reject: what the node says, what it holds, and what it tries again."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom")

from pydicom import dcmread
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)
from pynetdicom import AE, evt

from medtranslate.config import NodeRules, Peer, Rule
from medtranslate.errors import Rejected, Undelivered
from medtranslate.node.delivery import send as deliver
from medtranslate.node.reports import write_refusal

from ..ports import free_port
from .conftest import ARCHIVE, LOST_SOCKETS, Archive, Running, send, until

pytestmark = LOST_SOCKETS

Begin = Callable[..., Running]
Series = Callable[..., list[Path]]


def counts(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=60) as answer:
        return dict(json.loads(answer.read())["counts"])


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        ((1, 1, 1), "no reason given (service user)"),
        ((1, 1, 3), "calling AE title not recognised (service user)"),
        ((1, 1, 7), "called AE title not recognised (service user)"),
        ((1, 2, 2), "protocol version not supported (service provider (acse))"),
    ],
)
def test_a_rejection_for_good_is_named_and_its_result_held(
    begin: Begin, archive: Archive, series: Series, rejection: tuple[int, ...], reason: str
) -> None:
    """Until the peer takes another result; then all that are held follow, one by one."""
    archive.rejection, port = rejection, free_port()
    node = begin(status_port=port)
    for number, name in enumerate(("one", "two"), start=1):
        send(node.port, series(name))
        until(lambda number=number: counts(port)["held"] == number)
    words = f"ARCHIVE rejects the association: {reason}; held until ARCHIVE takes another result"
    assert node.said(words)
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read().decode()
    assert page.count(words) == 2
    assert (node.folder / "node.jsonl").read_text().count(words) == 2
    assert archive.calls == 2  # one try each, though a retry would follow after 0.1 seconds
    archive.rejection = ()
    send(node.port, series("three"))
    node.settled(3)
    assert list(archive.counts().values()) == [1, 1, 1]
    assert counts(port) == {"received": 3, "queued": 0, "held": 0, "done": 3, "refused": 0}


def test_what_is_held_is_sent_when_the_node_starts_again(
    begin: Begin, archive: Archive, series: Series
) -> None:
    archive.rejection = (1, 1, 7)
    node = begin()
    send(node.port, series("one"))
    until(lambda: node.said("held until"))
    node.stop()
    assert node.counts == {"received": 1, "queued": 0, "held": 1, "done": 0, "refused": 0}
    archive.rejection = ()
    begin().settled()
    assert list(archive.counts().values()) == [1]


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        ((2, 1, 1), "no reason given (service user)"),
        ((2, 3, 1), "temporary congestion (service provider (presentation))"),
        ((2, 3, 2), "local limit exceeded (service provider (presentation))"),
    ],
)
def test_a_rejection_for_the_moment_is_tried_again(
    begin: Begin, archive: Archive, series: Series, rejection: tuple[int, ...], reason: str
) -> None:
    archive.rejection = rejection
    node = begin()
    send(node.port, series("one"))
    until(lambda: archive.calls >= 3)
    assert node.said(f"ARCHIVE rejects the association for the moment: {reason}; tried again later")
    archive.rejection = ()
    node.settled()
    assert list(archive.counts().values()) == [1]


def test_another_destination_gets_its_result(
    begin: Begin, archive: Archive, series: Series, small_model: Path
) -> None:
    other, port = Archive(), free_port()
    archive.rejection = (1, 1, 3)
    titles = {ARCHIVE: archive.port, "OTHER": other.port}
    node = begin(
        peers=[{"title": name, "address": "127.0.0.1", "port": its} for name, its in titles.items()],
        rules=[{"to": "ct", "model": str(small_model), "report": False, "send_to": list(titles)}],
        status_port=port,
    )
    send(node.port, series("one"))
    until(lambda: other.received and counts(port)["held"])
    other.end()
    assert not node.said(": done")
    assert len(list((node.folder / "outgoing").iterdir())) == 1


def test_a_result_for_a_destination_that_was_removed_is_held(
    begin: Begin, archive: Archive, series: Series
) -> None:
    """It cannot be sent before the YAML file names the destination again."""
    archive.rejection = (1, 1, 3)
    node = begin()
    send(node.port, series("one"))
    until(lambda: node.said("held until"))
    node.stop()
    node = begin(peers=[{"title": "OTHER", "address": "127.0.0.1", "port": archive.port}])
    until(lambda: node.said("ARCHIVE is no peer with a port"))
    assert not node.said("again later")
    archive.rejection = ()


def test_a_peer_that_hangs_up_before_it_answers_is_tried_again(series: Series) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            line, _ = server.accept()
            line.recv(1)
            line.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(Undelivered, match="PEER hung up, or was silent") as caught:
            list(deliver(series("one"), *peer_at(server.getsockname()[1])))
        thread.join()
    assert not isinstance(caught.value, Rejected)


def peer_at(port: int) -> tuple[Peer, NodeRules]:
    peer = Peer(title="PEER", address="127.0.0.1", port=port)
    return peer, NodeRules(title="NODE", peers=(peer,), rules=(Rule(),))


@pytest.fixture
def taking() -> Iterator[Callable[..., tuple[Peer, NodeRules]]]:
    """Begin a peer that accepts one SOP class: taking(kind, syntax)."""
    begun = []

    def begin(kind: str, *syntaxes: str) -> tuple[Peer, NodeRules]:
        entity = AE()
        entity.add_supported_context(kind, list(syntaxes))
        store = [(evt.EVT_C_STORE, lambda event: 0)]
        begun.append(entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=store))
        return peer_at(begun[-1].server_address[1])

    yield begin
    for server in begun:
        server.shutdown()


PLAIN_NAMES = "Explicit VR Little Endian, Implicit VR Little Endian"


@pytest.mark.parametrize(
    ("kind", "syntax", "sent", "reason"),
    [
        (CTImageStorage, ExplicitVRLittleEndian, None, "SOP class not supported"),
        (MRImageStorage, JPEGLSLossless, None, f"transfer syntax not supported: {PLAIN_NAMES}"),
        (MRImageStorage, ExplicitVRLittleEndian, RLELossless, "transfer syntax not supported: RLE Lossless"),
    ],
)
def test_a_peer_that_accepts_no_context_is_no_silent_one(
    taking: Any, series: Series, kind: str, syntax: str, sent: str | None, reason: str
) -> None:
    files = series("one")
    for path in files if sent else ():
        header = dcmread(path)
        header.compress(sent, generate_instance_uid=False)
        header.save_as(path)
    with pytest.raises(Rejected) as caught:
        list(deliver(files, *taking(kind, syntax)))
    assert str(caught.value) == f"PEER does not accept MR Image Storage ({reason})"


def test_a_peer_that_accepts_the_images_alone_gets_them(taking: Any, series: Series, tmp_path: Path) -> None:
    """Also those that follow the report in the folder."""
    images = series("one")
    write_refusal("too short", images[0].parent, tmp_path)
    (report,) = tmp_path.glob("*.dcm")
    sent, taken = [images[0], report, *images[1:]], []
    words = r"PEER does not accept Encapsulated PDF Storage \(SOP class not supported\)"
    with pytest.raises(Rejected, match=words):
        for path in deliver(sent, *taking(MRImageStorage, ExplicitVRLittleEndian)):
            taken.append(path)
    assert taken == images
    assert list(deliver([report], *taking(EncapsulatedPDFStorage, ExplicitVRLittleEndian))) == [report]


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., tuple[Peer, NodeRules]]]:
    """Begin dcmtk's receiver with options: storescp("--refuse")."""
    program = shutil.which("storescp", path="/usr/bin")  # not pynetdicom's, of the same name
    if program is None:
        pytest.skip("dcmtk is not installed: make test-pacs")
    begun = []

    def begin(*options: str) -> tuple[Peer, NodeRules]:
        port = free_port()
        begun.append(subprocess.Popen([program, *options, "-od", str(tmp_path), str(port)]))
        until(lambda: listens(port), 60)
        return peer_at(port)

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Ask Linux, not the program: dcmtk's may end after refusing a connection that says nothing."""
    tables = [Path(f"/proc/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


PROFILE = """\
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[Documents]
PresentationContext1 = EncapsulatedPDFStorage\\Plain
[[Profiles]]
[Documents]
PresentationContexts = Documents
"""


@pytest.mark.pacs
def test_storescp_without_mr_and_one_that_refuses(storescp: Any, series: Series, tmp_path: Path) -> None:
    (tmp_path / "profile").write_text(PROFILE)
    peer = storescp("-xf", str(tmp_path / "profile"), "Documents")
    with pytest.raises(Rejected, match=r"PEER does not accept MR Image Storage \(SOP class not supported\)"):
        list(deliver(series("one"), *peer))
    with pytest.raises(Rejected, match=r"PEER rejects the association: no reason given \(service user\)"):
        list(deliver(series("one"), *storescp("--refuse")))
