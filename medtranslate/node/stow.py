"""Sends files to a DICOMweb server by STOW-RS (PS3.18 10.5), one file in each request.

So each answer is about one file, and a server's limit of a request applies to a file. `http.client` follows
no redirection and uses no proxy: images go to the named server alone.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection, responses
from itertools import chain
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info

from medtranslate.config import NodeRules, WebServer
from medtranslate.errors import Undelivered
from medtranslate.io.dicom_files import without_comment
from medtranslate.node.calls import DUPLICATE, TIMEOUT
from medtranslate.node.commitment import references
from medtranslate.node.plan import read_authorization
from medtranslate.node.tls import client_context

JSON = "application/dicom+json"
MOST_BYTES = 2**20
"""Longest answer that is read; it is about one file."""
_BLOCK = 2**16
_TAKEN = (200, 202)
_HAD = (DUPLICATE, 0xB00E)
"""Reasons of failure that mean that the server has the file; the second one is of Azure's DICOM service."""


def store(files: Sequence[Path], server: WebServer, rules: NodeRules) -> Generator[Path, None, None]:
    """Send files over one connection, and yield each one when the server has it.

    Raises:
        Undelivered: the server does not answer, or does not take a file.
        SettingsError: the file of the credentials, or of a certificate, cannot be read.
    """
    headers = {"Accept": JSON}
    if server.authorization:
        headers["Authorization"] = read_authorization(server.authorization)
    with closing(_connection(server, rules)) as connection:
        for number, path in enumerate(files, start=1):
            place = f"file {number} of {len(files)}"
            try:
                status, content = _post(connection, (server.url.path or "").rstrip("/"), path, headers)
            except ssl.SSLError as error:
                why = ": ".join(filter(None, (error.reason, getattr(error, "verify_message", ""))))
                raise Undelivered(f"{server.title} and this node agree on no TLS ({why})") from error
            except (OSError, HTTPException) as error:
                raise Undelivered(f"{server.title} does not answer, or hung up at {place}") from error
            if len(content) > MOST_BYTES:
                raise Undelivered(f"{server.title} gave an answer of over {MOST_BYTES} bytes to {place}")
            stored, reason = _outcome(content, str(read_file_meta_info(path).MediaStorageSOPInstanceUID))
            if not (stored and status in _TAKEN) and reason not in _HAD:
                why = f"reason 0x{reason:04X}" if reason else responses.get(status, "no status of HTTP")
                unnamed = ", but does not name it as stored" if status in _TAKEN and not reason else ""
                raise Undelivered(f"{server.title} answered {status} ({why}) to {place}{unnamed}")
            yield path


def _connection(server: WebServer, rules: NodeRules) -> HTTPConnection:
    """Make a connection that begins with its first request; without `tls` the system's authorities count."""
    host, port = server.url.host, server.url.port
    assert host is not None
    if server.url.scheme == "http":
        return HTTPConnection(host, port, timeout=TIMEOUT)
    context = client_context(rules) if rules.tls else ssl.create_default_context()
    return HTTPSConnection(host, port, timeout=TIMEOUT, context=context)


def _post(connection: HTTPConnection, root: str, path: Path, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send one file as a message of one part, and return the status and the content of the answer."""
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    own = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
    }
    with path.open("rb") as file:
        body = chain([head], iter(partial(file.read, _BLOCK), b""), [tail])
        connection.request("POST", f"{root}/studies", body, headers | own)
        answer = connection.getresponse()
    return answer.status, answer.read(MOST_BYTES + 1)


def _outcome(content: bytes, instance: str) -> tuple[bool, int]:
    """Read from an answer if it names an instance as stored, and the reason of its failure, 0 if none.

    Its data set lists the instances that are stored, also with warnings, and those that are not (PS3.18
    annex I).
    """
    try:
        with without_comment():
            report = Dataset.from_json(content.decode())
            failed = {
                str(each.ReferencedSOPInstanceUID): int(each.get("FailureReason", 0))
                for each in report.get("FailedSOPSequence") or ()
            }
            stored = instance in {each.instance for each in references(report)}
    except Exception:  # nearly any, of an answer that is no data set
        return False, 0
    return stored and instance not in failed, failed.get(instance, 0)
