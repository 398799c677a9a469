"""TLS of a node: certificates of one authority, of another, and none."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medtranslate.config import NodeRules, Peer, Rule, WebServer
from medtranslate.config.node import Certificates
from medtranslate.errors import Undelivered
from medtranslate.node.stow import store

from .conftest import ARCHIVE, LOST_SOCKETS, Archive, Running, called, send, until
from .web_server import WebArchive

if not shutil.which("openssl"):
    pytest.skip("needs openssl", allow_module_level=True)


pytestmark = LOST_SOCKETS


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    """Make an authority, and a certificate of it for 127.0.0.1."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(
        folder,
        "req",
        "-x509",
        *key,
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),  # Python 3.13 wants it
        "-subj",
        f"/CN={name}",
        "-keyout",
        f"{name}.ca.key",
        "-out",
        f"{name}.ca",
    )
    openssl(
        folder,
        *("req", "-x509", *key, "-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-CA", f"{name}.ca", "-CAkey", f"{name}.ca.key", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
        *("-addext", "basicConstraints=CA:FALSE"),
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        authority(folder, name)
    return folder


def context(folder: Path, name: str, trusts: str, side: int) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    made.load_verify_locations(folder / f"{trusts}.ca")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.fixture
def begin_tls(begin: Callable[..., Running], certificates: Path) -> Callable[..., Running]:
    files = {
        key: str(certificates / f"ours.{end}") for key, end in [("cert", "crt"), ("key", "key"), ("ca", "ca")]
    }

    def go(archive: Archive) -> Running:
        peer = {"title": ARCHIVE, "address": "127.0.0.1", "port": archive.port, "tls": True}
        return begin(peers=[peer], tls=files)

    return go


def test_a_series_goes_both_ways_by_tls(
    begin_tls: Callable[..., Running], certificates: Path, series: Callable[..., list[Path]]
) -> None:
    archive = Archive(context=context(certificates, "ours", "ours", ssl.PROTOCOL_TLS_SERVER))
    node = begin_tls(archive)
    client = context(certificates, "ours", "ours", ssl.PROTOCOL_TLS_CLIENT)
    assert send(node.port, series("one"), tls_args=(client, "127.0.0.1")) == [0] * 3
    node.settled()
    archive.end()
    assert archive.counts().total() == 1


@pytest.mark.parametrize("shows", ["theirs", None])
def test_a_caller_of_another_authority_is_not_heard(
    begin_tls: Callable[..., Running], archive: Archive, certificates: Path, shows: str | None
) -> None:
    node = begin_tls(archive)
    if shows:
        client = context(certificates, shows, "ours", ssl.PROTOCOL_TLS_CLIENT)
        with called(node.port, tls_args=(client, "127.0.0.1")) as association:
            assert not association.is_established
    else:
        with called(node.port) as association:
            assert not association.is_established
    assert not list((node.folder / "incoming").iterdir())


def test_an_archive_of_another_authority_gets_nothing(
    begin_tls: Callable[..., Running], certificates: Path, series: Callable[..., list[Path]]
) -> None:
    archive = Archive(context=context(certificates, "theirs", "ours", ssl.PROTOCOL_TLS_SERVER))
    node = begin_tls(archive)
    client = context(certificates, "ours", "ours", ssl.PROTOCOL_TLS_CLIENT)
    send(node.port, series("one"), tls_args=(client, "127.0.0.1"))
    until(lambda: node.said("does not answer, or agrees on no TLS; tried again later"))
    archive.end()
    assert archive.received == []
    assert len(list((node.folder / "outgoing").iterdir())) == 1


@pytest.mark.parametrize(
    ("authority", "host"), [("ours", "127.0.0.1"), ("theirs", "127.0.0.1"), ("ours", "localhost")]
)
def test_a_dicomweb_server_needs_a_certificate_of_its_address(
    certificates: Path, series: Callable[..., list[Path]], authority: str, host: str
) -> None:
    """The server asks the node for one, too; without `tls` the authorities of the system count."""
    web = WebArchive(context(certificates, authority, "ours", ssl.PROTOCOL_TLS_SERVER))
    files, server = series("one"), WebServer(title="WEB", url=web.url.replace("127.0.0.1", host))
    plain = NodeRules(peers=(Peer(title="A", address="h"),), rules=(Rule(to="ct"),))
    own = {key: certificates / f"ours.{end}" for key, end in [("cert", "crt"), ("key", "key"), ("ca", "ca")]}
    known = replace(plain, tls=Certificates(**own))
    if (authority, host) == ("ours", "127.0.0.1"):
        assert list(store(files, server, known)) == files
    else:
        with pytest.raises(Undelivered, match=r"agree on no TLS \(CERTIFICATE_VERIFY_FAILED: .+\)"):
            list(store(files, server, known))
    with pytest.raises(Undelivered, match="agree on no TLS"):
        list(store(files, server, plain))
    web.end()
    assert web.counts().total() == (len(files) if (authority, host) == ("ours", "127.0.0.1") else 0)


def test_without_tls_the_authorities_of_the_system_count(
    certificates: Path, series: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = context(certificates, "ours", "ours", ssl.PROTOCOL_TLS_SERVER)
    ours.verify_mode = ssl.CERT_NONE
    web, files = WebArchive(ours), series("one")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ours.ca"))
    plain = NodeRules(peers=(Peer(title="A", address="h"),), rules=(Rule(to="ct"),))
    assert list(store(files, WebServer(title="WEB", url=web.url), plain)) == files
    web.end()


def test_a_silent_caller_holds_nobody_up(
    begin_tls: Callable[..., Running], archive: Archive, certificates: Path
) -> None:
    """It has connected, and makes no handshake."""
    node = begin_tls(archive)
    client = context(certificates, "ours", "ours", ssl.PROTOCOL_TLS_CLIENT)
    silent = socket.create_connection(("127.0.0.1", node.port))
    with silent, called(node.port, tls_args=(client, "127.0.0.1")) as association:
        assert association.is_established


def test_files_that_are_no_certificates_are_named(begin: Any, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(Exception, match=r"x\.pem.*cannot be loaded"):
        begin(tls={"cert": "x.pem", "key": "x.pem", "ca": "x.pem"})
