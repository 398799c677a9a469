"""Results that go to a DICOMweb server by STOW-RS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from medtranslate.config import NodeRules, Peer, Rule, WebServer
from medtranslate.errors import SettingsError, Undelivered
from medtranslate.node import stow
from medtranslate.node.plan import read_rules
from medtranslate.node.stow import store

from .conftest import LOST_SOCKETS, Archive, Running, copying_worker, send, until
from .web_server import Reply, WebArchive, bare, report, stored

pytestmark = LOST_SOCKETS

RULES = NodeRules(peers=(Peer(title="A", address="h", port=1),), rules=(Rule(to="ct"),))

Begin = Callable[..., Running]
Series = Callable[..., list[Path]]


@pytest.fixture
def web() -> Iterator[WebArchive]:
    archive = WebArchive()
    yield archive
    archive.end()


@pytest.fixture
def begin_web(begin: Begin, web: WebArchive, small_model: Path) -> Begin:
    """Begin a node that sends its results to the server alone; `authorization` names its credentials."""
    rule = {"to": "ct", "model": str(small_model), "report": False, "send_to": ["WEB"]}

    def go(url: str = "", **server: str) -> Running:
        return begin(dicomweb=[{"title": "WEB", "url": url or web.url} | server], rules=[rule])

    return go


def server_of(web: WebArchive) -> WebServer:
    return WebServer(title="WEB", url=web.url)  # type: ignore[arg-type]


TAKEN: dict[str, Reply] = {
    "stored": stored,
    "stored, with a warning": lambda instance: report(200, instance, warned=0xB000),
    "stored, another one not": lambda instance: report(202, instance, also="1.2.3"),
    "there already": lambda instance: report(409, instance, failed=0x0111),
    "there already, for Azure": lambda instance: report(409, instance, failed=45070),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_what_a_server_has_is_not_sent_again(web: WebArchive, series: Series, kind: str) -> None:
    web.reply, files = TAKEN[kind], series("one", 3)
    assert list(store(files, server_of(web), RULES)) == files
    assert web.paths == ["/dicom-web/studies"] * 3
    if web.received:
        assert [content for _, content in web.received] == [path.read_bytes() for path in files]


REFUSED: dict[str, tuple[Reply, str]] = {
    "no room": (lambda instance: report(202, instance, failed=0xA700), r"202 \(reason 0xA700\)"),
    "not this class": (lambda instance: report(409, instance, failed=0xA900), r"409 \(reason 0xA900\)"),
    "success and failure": (
        lambda instance: report(200, instance, also=instance),
        r"200 \(reason 0xA700\) to file 1 of 3$",
    ),
    "another instance": (lambda instance: report(200, "1.2.3"), r"200 \(OK\) .*does not name it as stored"),
    "an empty answer": (bare(200), "200 .*does not name it as stored"),
    "a page to log in": (bare(200, b"<html>"), "200 .*does not name it as stored"),
    "no data set": (bare(200, b'{"00081199": {"Value": [1]}}'), "200 .*does not name it as stored"),
    "a deep answer": (bare(200, b"[" * 100_000), "200 .*does not name it as stored"),
    "elsewhere": (bare(302, Location="http://127.0.0.1:1/"), "302"),
    "bad request": (bare(400), r"400 \(Bad Request\) to file 1 of 3"),
    "no credentials": (bare(401), "401"),
    "forbidden": (bare(403), r"403 \(Forbidden\)"),
    "too large": (bare(413), "413"),
    "no reason": (bare(409), "409"),
    "fault of the server": (bare(500, b"Traceback: CANARY"), "500"),
    "busy": (bare(503), "503"),
    "no status of HTTP": (bare(799), "799"),
    "an endless answer": (bare(200, b" " * 3_000_000), "over 1048576 bytes"),
    "no answer": (lambda instance: None, "hung up at file 1 of 3"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_answer_that_names_no_stored_instance_is_a_failure(
    web: WebArchive, series: Series, kind: str
) -> None:
    web.reply, words = REFUSED[kind]
    with pytest.raises(Undelivered, match=words) as refused:
        list(store(series("one"), server_of(web), RULES))
    assert len(web.paths) == 1
    assert "CANARY" not in str(refused.value)
    assert "1.2." not in str(refused.value)


def test_a_silent_server_is_left(web: WebArchive, series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stow, "TIMEOUT", 0.1)
    on = threading.Event()

    def wait(instance: str) -> None:
        on.wait(600)

    web.reply = wait
    with pytest.raises(Undelivered, match="WEB does not answer"):
        list(store(series("one"), server_of(web), RULES))
    on.set()


def test_a_connection_that_ends_after_each_answer_is_made_again(web: WebArchive, series: Series) -> None:
    def reply(instance: str) -> Any:
        status, headers, body = stored(instance)
        return status, headers | {"Connection": "close"}, body

    web.reply = reply
    assert len(list(store(series("one", 4), server_of(web), RULES))) == 4
    assert set(web.counts().values()) == {1}


def test_a_result_arrives_once_and_no_patient_is_named(
    begin_web: Begin, web: WebArchive, archive: Archive, series: Series
) -> None:
    node, files = begin_web(), series("one", 4)
    for _ in range(2):
        send(node.port, files)
        node.settled()
    (result, _), *others = web.received
    assert not others
    assert (result.Modality, result.SeriesDescription) == ("CT", "SYNTHETIC of 4")
    assert (result.StudyInstanceUID, result.PatientID) == ("1.2.1", "CANARY")
    node.stop()
    assert not list((node.folder / "outgoing").iterdir())
    assert not archive.received
    for words in (*node.lines, (node.folder / "node.jsonl").read_text()):
        assert "CANARY" not in words


def test_a_server_that_refuses_is_tried_again(begin_web: Begin, web: WebArchive, series: Series) -> None:
    web.reply = bare(503)
    node = begin_web()
    send(node.port, series("one"))
    until(lambda: len(web.paths) >= 3)
    assert node.said("WEB answered 503 (Service Unavailable) to file 1 of 1; tried again later")
    web.reply = stored
    node.settled()
    assert web.counts().total() == 1


def test_a_node_that_ends_sends_the_rest_alone(
    begin: Begin, web: WebArchive, archive: Archive, series: Series, small_model: Path
) -> None:
    """The server has taken one file of three; a peer has all."""

    def three(*given: Any) -> Any:
        serve = copying_worker(*given)

        def work(tasks: Any) -> Any:
            for task in tasks:
                (made,) = serve(iter([task]))
                image = dcmread(task.out / "IM0001.dcm")
                for number in (2, 3):
                    image.SOPInstanceUID = generate_uid(entropy_srcs=[image.SOPInstanceUID, str(number)])
                    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
                    image.save_as(task.out / f"IM000{number}.dcm")
                yield made

        return work

    web.reply = lambda instance: (
        stored(instance) if not web.received else report(409, instance, failed=0xA700)
    )
    rule = {"to": "ct", "model": str(small_model), "report": False, "send_to": ["ARCHIVE", "WEB"]}
    changes = {"dicomweb": [{"title": "WEB", "url": web.url}], "rules": [rule]}
    node = begin({"open_worker": three}, **changes)
    send(node.port, series("one"))
    until(lambda: node.said("(reason 0xA700) to file 2 of 3") and len(archive.received) == 3)
    node.stop()
    web.reply = stored
    node = begin({"open_worker": three}, **changes)
    until(lambda: len(web.received) == 3)
    until(lambda: not list((node.folder / "outgoing").iterdir()))
    node.stop()
    assert set(web.counts().values()) == set(archive.counts().values()) == {1}
    assert node.counts["done"] == 1


def test_credentials_are_read_anew_and_never_shown(
    begin_web: Begin, web: WebArchive, series: Series, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("Bearer SECRET-1\n")
    web.reply = bare(401)
    node = begin_web(authorization="token")
    send(node.port, series("one"))
    until(lambda: node.said("WEB answered 401"))
    (tmp_path / "token").unlink()
    until(lambda: node.said("token: no authorization can be read"))
    (tmp_path / "token").write_text("Bearer SECRET-2\n")
    until(lambda: web.asked[-1]["Authorization"] == "Bearer SECRET-2")
    web.reply = stored
    node.settled()
    assert web.asked[0]["Authorization"] == "Bearer SECRET-1"
    assert not any("SECRET" in words for words in (*node.lines, (node.folder / "node.jsonl").read_text()))


@pytest.mark.parametrize("value", ["", "TOKEN", "Bearer a\nX-Other: b", "Bearer ü", None])
def test_a_file_without_credentials_is_refused(
    rules: Callable[..., Path], tmp_path: Path, value: str | None
) -> None:
    if value is not None:
        (tmp_path / "token").write_text(value, encoding="utf-8")
    server = {"title": "WEB", "url": "https://h/", "authorization": "token"}
    with pytest.raises(SettingsError, match="token: no authorization can be read") as refused:
        read_rules(rules(dicomweb=[server]))
    assert "\n" not in str(refused.value)
    assert "TOKEN`" in str(refused.value)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"url": "ftp://h/"}, "dicomweb.0.url: "),
        ({"url": "https://user:SECRET@h/"}, "a url has no @"),
        ({"url": "https://h/studies?key=SECRET"}, "a url has no @"),
        ({"url": "https://user:SECRET@h:99999/"}, "a url has no @"),
        ({"url": "https://h:99999/"}, "dicomweb.0.url: "),
        ({"url": "h/dicom-web"}, "dicomweb.0.url: "),
        ({"url": "https://h", "title": "ARCHIVE"}, "ARCHIVE is there twice"),
        ({"url": "http://192.0.2.1", "authorization": "x"}, "WEB: its authorization would go unencrypted"),
    ],
)
def test_a_wrong_server_is_refused_in_a_line(
    rules: Callable[..., Path], server: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        read_rules(rules(dicomweb=[{"title": "WEB"} | server]))
    assert "\n" not in str(refused.value)
    assert "SECRET" not in str(refused.value)


def test_a_server_cannot_call(rules: Callable[..., Path]) -> None:
    changes: dict[str, Any] = {"dicomweb": [{"title": "WEB", "url": "https://h"}]}
    with pytest.raises(SettingsError, match="rule 1: WEB is no peer"):
        read_rules(rules(**changes, rules=[{"to": "ct", "calling": "WEB"}]))
    assert read_rules(rules(**changes, rules=[{"to": "ct", "send_to": ["WEB"]}])).dicomweb[0].title == "WEB"
