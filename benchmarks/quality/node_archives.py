"""Archives that `node_kills` kills; each notes what arrives, and tells at the end what it has.

    python -m benchmarks.quality.node_archives KIND PORT LOG

`dimse` takes objects by C-STORE, `stow` by STOW-RS; both write a line about each into LOG before they answer.
`orthanc` is Debian's Orthanc with its DICOMweb plugin. It keeps its storage beside LOG, where it notes each
object that arrives, and is asked at the end what it has.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from benchmarks.speed.node_runs import ARCHIVE, received, serve_archive
from medtranslate.errors import UsageError

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
_NOTE = """
function ReceivedInstanceFilter(tags, origin)
  local file = io.open("{log}", "a")
  file:write('{{"uid": "' .. tags["SOPInstanceUID"] .. '"}}\\n')
  file:close()
  return true
end
"""


@dataclass(frozen=True)
class Archive:
    """Kind of archive.

    Attributes:
        serve: runs one at a port, for ever, with a log.
        web: it takes results by STOW-RS.
        kept: lists what it has, at the end, from its port and its log.
    """

    serve: Callable[[int, Path], None]
    web: bool
    kept: Callable[[int, Path], list[dict[str, str]]]

    def rules(self, port: int) -> dict[str, Any]:
        """Return the part of node.yaml that sends results to it; its sender calls as ARCHIVE in any case."""
        if not self.web:
            return {}
        url = f"http://127.0.0.1:{port}/dicom-web"
        return {
            "peers": [{"title": ARCHIVE, "address": "127.0.0.1"}],
            "dicomweb": [{"title": "WEB", "url": url}],
        }


def unique(lines: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Keep one line of each object."""
    return list({line["uid"]: line for line in lines}.values())


def serve_web(port: int, log: Path) -> None:
    """Take every object by STOW-RS, one in each request, and write a line about it before it is answered."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            # The part between its header and the last boundary.
            content = body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")]
            told = described(content)
            with log.open("a", encoding="utf-8") as file:
                file.write(f"\n{json.dumps(told)}\n")
                file.flush()
                os.fsync(file.fileno())
            item, answer = Dataset(), Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = told["class"], told["uid"]
            answer.ReferencedSOPSequence = [item]
            text = answer.to_json().encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *given: Any) -> None:
            """Print nothing about a node that was killed."""

    Server(("127.0.0.1", port), Handler).serve_forever()


def described(content: bytes) -> dict[str, str]:
    """Tell of a DICOM file what its line in a log has."""
    header = dcmread(BytesIO(content))
    return {
        "uid": str(header.SOPInstanceUID),
        "class": str(header.SOPClassUID),
        "study": str(header.StudyInstanceUID),
        "modality": str(header.Modality),
        "pixels": hashlib.sha256(header.get("PixelData", b"")).hexdigest(),
        "all": hashlib.sha256(content).hexdigest(),
    }


def serve_orthanc(port: int, log: Path) -> None:
    """Become an Orthanc that is reached from this machine alone."""
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not (Path(program).exists() and Path(PLUGIN).exists()):
        raise UsageError("needs Debian's orthanc and orthanc-dicomweb (make test-pacs installs them)")
    script, settings = log.with_name("note.lua"), log.with_name("orthanc.json")
    script.write_text(_NOTE.format(log=log), encoding="utf-8")
    storage = str(log.with_name("storage"))
    known = {
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpBindAddresses": ["127.0.0.1"],
        "Plugins": [PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "LuaScripts": [str(script)],
    }
    settings.write_text(json.dumps(known), encoding="utf-8")
    with log.with_name("orthanc.log").open("ab") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    os.execv(program, [program, str(settings)])  # in this process, which is the one that is killed


def kept_by_orthanc(port: int, log: Path) -> list[dict[str, str]]:
    """Ask Orthanc for every file that it has."""

    def ask(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            content: bytes = answer.read()
        return content

    for _ in range(300):
        try:
            return [described(ask(f"/instances/{name}/file")) for name in json.loads(ask("/instances"))]
        except OSError:  # it begins
            time.sleep(0.2)
    raise TimeoutError(f"Orthanc does not answer; see {log.with_name('orthanc.log')}")


def kept_by_log(port: int, log: Path) -> list[dict[str, str]]:
    return unique(received(log))


ARCHIVES = {
    "dimse": Archive(serve_archive, False, kept_by_log),
    "stow": Archive(serve_web, True, kept_by_log),
    "orthanc": Archive(serve_orthanc, True, kept_by_orthanc),
}

if __name__ == "__main__":
    ARCHIVES[sys.argv[1]].serve(int(sys.argv[2]), Path(sys.argv[3]))
