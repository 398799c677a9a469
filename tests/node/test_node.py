"""What a node takes, refuses, translates and sends back, with pynetdicom at the other end."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import urllib.request
from collections import namedtuple
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SecondaryCaptureImageStorage
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from medtranslate.runtime import Journal

from ..ports import free_port
from .conftest import ARCHIVE, LOST_SOCKETS, Archive, Running, called, copying_worker, send, until

pytestmark = LOST_SOCKETS

Begin = Callable[..., Running]
Series = Callable[..., list[Path]]


def leftovers(node: Running) -> list[str]:
    return [path.name for path in (node.folder / "outgoing").iterdir()]


def test_a_series_comes_back_into_its_study(begin: Begin, archive: Archive, series: Series) -> None:
    node = begin()
    with called(node.port) as association:
        assert association.send_c_echo().Status == 0x0000
    assert send(node.port, series("one", 4)) == [0x0000] * 4
    node.settled()
    (result,) = archive.received
    assert (result.Modality, result.SeriesDescription) == ("CT", "SYNTHETIC of 4")
    assert (result.StudyInstanceUID, result.PatientID) == ("1.2.1", "CANARY")
    assert leftovers(node) == []
    node.stop()
    assert node.counts == {"received": 1, "queued": 0, "held": 0, "done": 1, "refused": 0}


@LOST_SOCKETS
def test_a_caller_that_has_said_nothing_yet_does_not_disturb_the_end(begin: Begin) -> None:
    """An exception in the thread of its association would fail this test."""
    node = begin()
    with socket.create_connection(("127.0.0.1", node.port)) as caller:
        until(lambda: any(isinstance(one, Association) for one in threading.enumerate()))
        node.stop()
        caller.settimeout(60)
        assert caller.recv(1) == b""


def test_each_image_is_on_the_disk_before_it_is_answered(
    begin: Begin, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, files, synced = begin(quiet=60), series("one", 3), list[str]()
    sync = os.fsync
    monkeypatch.setattr(
        "os.fsync",
        lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink())) or sync(number),
    )
    with called(node.port, files) as association:
        for count, path in enumerate(files, start=1):
            assert association.send_c_store(dcmread(path)).Status == 0
            stored = list((node.folder / "incoming").glob("*/*.dcm"))
            assert len(stored) == count
            assert sum(name.endswith(".part") for name in synced) == count
            assert synced[-1] == str(stored[0].parent)
    for path in stored:
        assert dcmread(path).file_meta.SourceApplicationEntityTitle == ARCHIVE


def test_an_unknown_caller_and_a_wrong_title_are_rejected(begin: Begin, series: Series) -> None:
    node, files = begin(), series("one")
    for named in ({"caller": "STRANGER"}, {"title": "OTHER"}):
        with called(node.port, files, **named) as association:
            assert association.is_rejected
    assert not list((node.folder / "incoming").iterdir())
    until(lambda: node.said("refused from ARCHIVE at 127.0.0.1: association for another title than NODE"))
    assert node.said("refused from STRANGER at 127.0.0.1: association of an unknown caller")


def test_a_refusal_is_said_once_for_each_caller(begin: Begin) -> None:
    node = begin()
    for caller in ("ONE", "TWO", "ONE"):
        with called(node.port, caller=caller) as association:
            assert association.is_rejected
    assert sum(line.startswith("refused from") for line in node.lines) == 2


def test_a_known_title_from_another_address_is_rejected(begin: Begin, archive: Archive) -> None:
    known = {"title": ARCHIVE, "address": "127.0.0.2", "port": archive.port}
    here = {"title": "HERE", "address": "127.0.0.1", "port": archive.port}
    with called(begin(peers=[known, here]).port) as association:
        assert association.is_rejected


def test_an_unknown_address_is_not_listened_to(begin: Begin, archive: Archive) -> None:
    node = begin(peers=[{"title": ARCHIVE, "address": "127.0.0.2", "port": archive.port}])
    with called(node.port) as association:
        assert not association.is_established
        assert not association.is_rejected


def test_a_secondary_capture_is_refused_beside_the_images(
    begin: Begin, archive: Archive, series: Series
) -> None:
    node, files = begin(), series("one", 2)
    capture = dcmread(files[0])
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    with called(node.port, files) as association:
        with pytest.raises(ValueError, match="No presentation context"):
            association.send_c_store(capture)
        for path in files:
            assert association.send_c_store(dcmread(path)).Status == 0
    node.settled()
    assert archive.received[0].SeriesDescription == "SYNTHETIC of 2"


def test_two_series_in_one_association_do_not_mix(begin: Begin, archive: Archive, series: Series) -> None:
    node, one, two = begin(), series("one", 3), series("two", 4)
    both = [path for pair in zip(one, two, strict=False) for path in pair] + two[3:]
    assert send(node.port, both) == [0] * 7
    node.settled(2)
    assert sorted(each.SeriesDescription for each in archive.received) == [
        "SYNTHETIC of 3",
        "SYNTHETIC of 4",
    ]


@pytest.mark.parametrize("kept", [60.0, 0.1])
def test_the_same_series_twice_is_sent_once(
    begin: Begin, archive: Archive, series: Series, kept: float
) -> None:
    """Whether its images are still kept or not."""
    node, files = begin(keep=kept), series("one")
    for _ in range(2):
        send(node.port, files)
        node.settled()
        if kept < 1:
            until(lambda: not list((node.folder / "incoming").iterdir()))
    if kept < 1:
        assert node.said("settled before")
    node.stop()
    assert archive.counts().total() == 1


def test_late_images_join_their_series(begin: Begin, archive: Archive, series: Series) -> None:
    node, files = begin(), series("one", 4)
    send(node.port, files[:3])
    node.settled()
    send(node.port, files[3:])
    node.settled(2)
    assert [each.SeriesDescription for each in archive.received] == ["SYNTHETIC of 3", "SYNTHETIC of 4"]


def test_the_rest_after_a_cut_completes_a_series(begin: Begin, archive: Archive, series: Series) -> None:
    node, files = begin(patience=60), series("one", 4)
    with called(node.port, files) as association:
        for path in files[:2]:
            association.send_c_store(dcmread(path))
        association.abort()
    assert not archive.received
    send(node.port, files)
    node.settled()
    assert [each.SeriesDescription for each in archive.received] == ["SYNTHETIC of 4"]


def cut(node: Running, files: list[Path], how: str) -> None:
    with called(node.port, files) as association:
        association.send_c_store(dcmread(files[0]))
        if how == "aborted":
            association.abort()
        else:
            association.dul.socket.socket.shutdown(2)


@pytest.mark.parametrize("how", ["aborted", "line lost"])
def test_half_a_series_is_answered_by_a_report(
    begin: Begin, archive: Archive, series: Series, how: str
) -> None:
    node, files = begin(), series("one", 3)
    cut(node, files, how)
    node.settled()
    (report,) = archive.received
    assert report.Modality == "DOC"
    assert (report.StudyInstanceUID, report.PatientID) == ("1.2.1", "CANARY")
    assert node.said("cut after 1 images")


def test_a_series_that_was_refused_as_cut_is_translated_when_it_comes_again(
    begin: Begin, archive: Archive, series: Series
) -> None:
    """All images had come, but not the end of the association."""
    node, files = begin(), series("one", 3)
    with called(node.port, files) as association:
        for path in files:
            association.send_c_store(dcmread(path))
        association.abort()
    node.settled()
    send(node.port, files)
    node.settled(2)
    assert [each.Modality for each in archive.received] == ["DOC", "CT"]


def test_a_series_that_no_rule_fits_is_answered_by_a_report(
    begin: Begin, archive: Archive, series: Series, small_model: Path
) -> None:
    rules = [
        {"description": "*scout*"},
        {"to": "ct", "model": str(small_model), "report": False, "description": "*T1*", "body_part": "head"},
    ]
    node = begin(rules=rules)
    send(node.port, series("scout", SeriesDescription="3-plane SCOUT"))
    until(lambda: node.said("ignored"))
    send(node.port, series("t2", SeriesDescription="t2", BodyPartExamined="HEAD"))
    send(node.port, series("foot", SeriesDescription="t1 mprage", BodyPartExamined="FOOT"))
    send(node.port, series("ct", modality="ct", SeriesDescription="t1", BodyPartExamined="HEAD"))
    send(node.port, series("t1", SeriesDescription="t1 mprage", BodyPartExamined="HEAD"))
    node.settled(4)
    assert sorted(each.Modality for each in archive.received) == ["CT", "DOC", "DOC", "DOC"]


def test_a_result_that_the_archive_forwards_is_not_translated_again(
    begin: Begin, archive: Archive, series: Series
) -> None:
    """With rules for both directions each would be translated into the other for ever."""
    node = begin()
    send(node.port, series("one", SyntheticData="YES", ImageType=["DERIVED", "SECONDARY", "OTHER"]))
    until(lambda: node.said(": ignored (it is synthetic)"))
    send(node.port, series("phantom", SyntheticData="YES", ImageType=["ORIGINAL", "PRIMARY", "OTHER"]))
    node.settled()
    assert archive.counts().total() == 1


def test_twenty_associations_at_once(begin: Begin, archive: Archive, series: Series) -> None:
    node = begin()
    all_files = [series(str(number), 2) for number in range(20)]
    statuses: list[int] = []
    senders = [
        threading.Thread(target=lambda files=files: statuses.extend(send(node.port, files)))
        for files in all_files
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert statuses == [0] * 40
    node.settled(20)
    assert archive.counts().total() == len(archive.counts()) == 20


def test_more_associations_than_allowed_are_rejected_for_the_moment(begin: Begin) -> None:
    node = begin(associations=1)
    with called(node.port) as first:
        assert first.is_established
        with called(node.port) as second:
            assert second.is_rejected
            assert second.acceptor.primitive.result == 0x02  # transient
    until(lambda: node.said(f"refused from {ARCHIVE} at 127.0.0.1: association beyond those at a time"))
    until(lambda: not first.is_alive())

    def free() -> bool:
        with called(node.port) as third:
            return third.is_established

    until(free)


def test_a_full_disk_is_an_answer(begin: Begin, archive: Archive, series: Series, monkeypatch: Any) -> None:
    node, files = begin(free_gb=1), series("one", 2)
    disk = namedtuple("Disk", "total used free")
    room = [1e9]
    monkeypatch.setattr("shutil.disk_usage", lambda path: disk(2e9, 1e9, room[0]))
    assert send(node.port, files) == [0xA700] * 2
    assert not list((node.folder / "incoming").rglob("*.dcm"))
    assert node.said(f"refused from {ARCHIVE} at 127.0.0.1: image without room")
    room[0] = 2e9
    assert send(node.port, files) == [0] * 2
    node.settled()
    assert archive.counts().total() == 1


LACKS: dict[str, Callable[[list[Dataset]], None]] = {
    "too large": lambda images: setattr(images[1], "PixelData", bytes(1_200_000)),
    "the first one too large": lambda images: setattr(images[0], "PixelData", bytes(1_200_000)),
    "no series": lambda images: setattr(images[1], "SeriesInstanceUID", ""),
}


@pytest.mark.parametrize("lack", LACKS)
def test_a_series_that_lacks_a_refused_image_is_not_complete(
    begin: Begin, archive: Archive, series: Series, lack: str
) -> None:
    """The sender ends the association as agreed; sent again, the series is translated whole."""
    node, files = begin(object_mb=1, patience=0.5), series("one", 3)
    images = [dcmread(path) for path in files]
    LACKS[lack](images)
    with called(node.port, files) as association:
        assert sorted(association.send_c_store(image).Status for image in images)[:2] == [0, 0]
    node.settled()
    assert node.said("cut after 2 images, or one was refused")
    send(node.port, files)
    until(lambda: archive.of("CT"))
    (result,) = archive.of("CT")
    assert result.SeriesDescription == "SYNTHETIC of 3"


def test_the_other_series_of_its_association_is_translated(
    begin: Begin, archive: Archive, series: Series
) -> None:
    node, one, two = begin(object_mb=1, patience=60), series("one", 3), series("two", 2)
    large = dcmread(one[0])
    large.PixelData = bytes(1_200_000)
    with called(node.port, one) as association:
        assert association.send_c_store(large).Status == 0xA700
        for path in (*one[1:], *two):
            assert association.send_c_store(dcmread(path)).Status == 0
    node.settled()
    assert [each.SeriesDescription for each in archive.of("CT")] == ["SYNTHETIC of 2"]


def test_a_series_of_which_nothing_was_taken_is_none(begin: Begin, series: Series) -> None:
    port = free_port()
    node = begin(free_gb=10**6, status_port=port)
    assert send(node.port, series("one", 2)) == [0xA700] * 2
    told = json.loads(urllib.request.urlopen(f"http://localhost:{port}/status.json", timeout=10).read())
    assert told["counts"]["received"] == 0
    assert told["series"] == []


@pytest.mark.parametrize("small_disk", ["32k"], indirect=True)
def test_a_disk_that_is_full_in_truth(
    small_disk: Path, begin: Begin, archive: Archive, series: Series, tmp_path: Path
) -> None:
    (tmp_path / "node").symlink_to(small_disk)
    node, files = begin(patience=60), series("one", 40)
    statuses = send(node.port, files)
    assert set(statuses) == {0, 0xA700}
    assert len(list(node.folder.glob("incoming/*/*.dcm"))) == statuses.count(0)
    assert not list(node.folder.rglob("*.part"))


def test_too_large_an_object_is_refused_and_the_next_one_taken(
    begin: Begin, archive: Archive, series: Series
) -> None:
    node, files = begin(object_mb=1), series("one", 3)
    large = dcmread(files[0])
    large.PixelData = bytes(1_200_000)
    with called(node.port, files) as association:
        assert association.send_c_store(large).Status == 0xA700
        assert association.send_c_store(dcmread(files[1])).Status == 0
    large.PixelData = bytes(9_000_000)
    with called(node.port, files) as association:
        assert "Status" not in association.send_c_store(large)  # it does not listen to the end
    assert len(list(node.folder.glob("incoming/*/*.dcm"))) == 1


@pytest.mark.parametrize(
    ("fault", "status"), [("another name", 0xA900), ("no series", 0xC000), ("no DICOM", 0xC000)]
)
def test_a_damaged_object_is_refused(begin: Begin, series: Series, fault: str, status: int) -> None:
    """Bytes as a faulty sender might send them, which pynetdicom's own sender would not."""
    node, files = begin(), series("one", 1)
    header = dcmread(files[0])
    if fault == "no series":
        del header.SeriesInstanceUID
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = header.SOPClassUID
    request.AffectedSOPInstanceUID = "1.2.3.4" if fault == "another name" else header.SOPInstanceUID
    encoded = bytes(range(256)) if fault == "no DICOM" else encode(header, False, True)
    request.DataSet = BytesIO(encoded or b"")
    with called(node.port, files) as association:
        (context,) = (each for each in association.accepted_contexts if each.abstract_syntax[-1] == "4")
        association.dimse.send_msg(request, context.context_id)
        assert association.dimse.get_msg(block=True)[1].Status == status
    assert not list((node.folder / "incoming").rglob("*.dcm"))


def test_a_destination_that_refuses_is_tried_again(begin: Begin, archive: Archive, series: Series) -> None:
    archive.status = 0xA700
    node = begin()
    send(node.port, series("one"))
    until(lambda: archive.tries >= 3)
    assert node.said("ARCHIVE answered 0xA700 to file 1 of 1; tried again later")
    archive.status = 0
    node.settled()
    assert archive.counts().total() == 1


@pytest.mark.parametrize("status", [0x0111, 0xB000])
def test_a_destination_that_has_a_result_already_is_not_asked_again(
    begin: Begin, archive: Archive, series: Series, status: int
) -> None:
    """A duplicate, as some archives call it after a kill of the node; and a warning."""
    archive.status = status
    node = begin()
    send(node.port, series("one"))
    node.settled()
    assert archive.tries == 1
    assert leftovers(node) == []


def test_a_destination_that_is_away_is_tried_again(begin: Begin, archive: Archive, series: Series) -> None:
    archive.end()
    node = begin()
    send(node.port, series("one"))
    until(lambda: node.said("does not answer"))
    archive.begin()
    node.settled()
    assert archive.counts().total() == 1
    assert leftovers(node) == []


def test_a_disk_without_room_for_the_journal_ends_no_delivery(
    begin: Begin, archive: Archive, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, full = Journal.keep, [True, True]

    def keep_or_fail(journal: Journal, key: str, value: Any) -> None:
        if full:
            full.pop()
            raise OSError(errno.ENOSPC, "full")
        keep(journal, key, value)

    monkeypatch.setattr(Journal, "keep", keep_or_fail)
    node = begin()
    send(node.port, series("one"))
    node.settled()
    send(node.port, series("two"))
    node.settled(2)
    assert list(archive.counts().values()) == [1, 1]


def test_a_node_that_ends_goes_on_where_it_was(begin: Begin, archive: Archive, series: Series) -> None:
    """With an unsent result, a series that waits, and one that was cut."""
    archive.end()
    node = begin()
    send(node.port, series("one"))
    until(lambda: node.said("does not answer"))
    node.stop()
    node = begin(quiet=60, patience=60)
    send(node.port, series("two", 4))
    cut(node, series("three", 5), "aborted")
    node.stop()
    archive.begin()
    node = begin(patience=1)
    node.settled(3)
    assert sorted(each.Modality for each in archive.received) == ["CT", "CT", "DOC"]
    assert sorted(each.SeriesDescription for each in archive.of("CT")) == [
        "SYNTHETIC of 3",
        "SYNTHETIC of 4",
    ]
    node.stop()
    assert node.counts == {"received": 3, "queued": 0, "held": 0, "done": 2, "refused": 1}


def test_another_destination(begin: Begin, archive: Archive, series: Series, small_model: Path) -> None:
    scanner = {"title": "SCANNER", "address": "127.0.0.1"}
    known = {"title": ARCHIVE, "address": "127.0.0.1", "port": archive.port}
    rule = {"to": "ct", "model": str(small_model), "report": False, "send_to": [ARCHIVE]}
    node = begin(peers=[scanner, known], rules=[rule])
    send(node.port, series("one"), caller="SCANNER")
    node.settled()
    assert [each.Modality for each in archive.received] == ["CT"]


def test_a_result_of_a_changed_series_is_dropped(begin: Begin, archive: Archive, series: Series) -> None:
    """Images that arrive during the translation: the result is of all, and the only one."""
    files, working, on = series("one", 4), threading.Event(), threading.Event()

    def slow(*given: Any) -> Any:
        serve = copying_worker(*given)

        def work(tasks: Any) -> Any:
            for made in serve(tasks):
                working.set()
                assert on.wait(600)
                yield made

        return work

    node = begin({"open_worker": slow})
    send(node.port, files[:3])
    assert working.wait(600)
    send(node.port, files[3:])
    on.set()
    node.settled()
    assert [each.SeriesDescription for each in archive.received] == ["SYNTHETIC of 4"]


def test_the_status_page_names_no_patient(begin: Begin, archive: Archive, series: Series) -> None:
    port = free_port()
    node = begin(status_port=port)
    send(node.port, series("one", SeriesDescription="CANARY T1"))
    cut(node, series("two"), "aborted")
    with called(node.port, caller="STRANGER"):
        pass
    node.settled(2)
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read().decode()
    told = json.loads(urllib.request.urlopen(f"http://localhost:{port}/status.json", timeout=10).read())
    assert told["counts"] == {"received": 2, "queued": 0, "held": 0, "done": 1, "refused": 1}
    assert told["refused"] == {"association of an unknown caller": 1}
    assert {each["state"] for each in told["series"]} == {"done", "refused"}
    journal = (node.folder / "node.jsonl").read_text()
    for words in (page, json.dumps(told), journal, *node.lines):
        assert "CANARY" not in words
        assert "1.2.1" not in words.replace("127.0.0.1", "")
    assert "cut after 1 images" in page
    strange = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "evil.example:80"})
    for request in (strange, f"http://127.0.0.1:{port}/node.jsonl"):
        with pytest.raises(HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        caught.value.close()


def test_two_nodes_do_not_share_a_folder(begin: Begin) -> None:
    begin()
    with pytest.raises(Exception, match="works on it"):
        begin()


def test_a_port_that_is_taken_is_named(begin: Begin, archive: Archive) -> None:
    with pytest.raises(Exception, match=f"127.0.0.1:{archive.port}: cannot listen there"):
        begin(port=archive.port)
