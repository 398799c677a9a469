"""A DICOMweb server on loopback that answers to STOW-RS as PS3.18 10.5 says, or as a test wants."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread

Answer = tuple[int, dict[str, str], bytes]
Reply = Callable[[str], Answer | None]
"""Makes the answer about an instance; None hangs up without one."""


def report(status: int, named: str, *, failed: int = 0, warned: int = 0, also: str = "") -> Answer:
    """Answer with the data set of annex I: `named` is stored, or has failed; `also` has failed, too."""

    def item(instance: str, **values: int) -> Dataset:
        made = Dataset()
        made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", instance
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    told = Dataset()
    if failed:
        told.FailedSOPSequence = [item(named, FailureReason=failed)]
    else:
        told.ReferencedSOPSequence = [item(named, **({"WarningReason": warned} if warned else {}))]
    if also:
        told.FailedSOPSequence = [*told.get("FailedSOPSequence", []), item(also, FailureReason=0xA700)]
    return status, {"Content-Type": "application/dicom+json"}, told.to_json().encode()


def bare(status: int, content: bytes = b"", **headers: str) -> Reply:
    return lambda instance: (status, headers, content)


def stored(instance: str) -> Answer:
    return report(200, instance)


class WebArchive:
    """Server that stores what it gets if its `reply` has status 200 or 202.

    Attributes:
        received: the data sets that it stored, and their files.
        asked: headers of each request.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.reply: Reply = stored
        self.received: list[tuple[Dataset, bytes]] = []
        self.asked: list[Any] = []
        self.paths: list[str] = []
        archive = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                if context:  # here, in a thread of its own
                    self.request.settimeout(60)
                    self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()

            def do_POST(self) -> None:
                archive.paths.append(self.path)
                archive.asked.append(self.headers)
                content = only_part(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                dataset = dcmread(BytesIO(content))
                answer = archive.reply(str(dataset.SOPInstanceUID))
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                if status in (200, 202) and "00081199" in (json.loads(body) if body[:1] == b"{" else {}):
                    archive.received.append((dataset, content))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Print nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *given: Any) -> None:
                """Print nothing about callers that hang up."""

        self.server = Server(("127.0.0.1", 0), Handler)
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/dicom-web"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def counts(self) -> Counter[str]:
        """How often each object was stored."""
        return Counter(str(dataset.SOPInstanceUID) for dataset, _ in self.received)

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def only_part(headers: Any, body: bytes) -> bytes:
    """Take a message of one part apart, by Python's parser of mail."""
    kind = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    whole = message_from_bytes(kind + body, policy=policy.HTTP)
    assert (whole.get_content_type(), whole.get_param("type")) == ("multipart/related", "application/dicom")
    assert not whole.defects
    (part,) = whole.iter_parts()
    assert part.get_content_type() == "application/dicom"
    # The parser changes line ends in binary content; so the bytes are cut out between the boundaries.
    boundary = b"--" + str(whole.get_param("boundary")).encode()
    start = body.index(b"\r\n\r\n") + 4
    assert body.startswith(boundary)
    assert body.endswith(b"\r\n" + boundary + b"--\r\n")
    return body[start : -len(boundary) - 6]
