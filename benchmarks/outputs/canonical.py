"""Brings outputs into a form in which two runs of one program are equal."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
import zlib
from contextlib import suppress
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pydicom
from PIL import Image

PLACEHOLDERS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"D:\d{14}[+\-Z]?[\d']*"), "<time>"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "<seconds>"),
    (re.compile(r"(?m)^((?:done|skipped|doubtful|failed) +\d+ +\d+) +\d+\.\d$"), r"\1 <seconds>"),
    (re.compile(r"(<td>(?:done|skipped|doubtful|failed)</td><td>\d+</td>)<td>[\d.]+</td>"), r"\1<seconds>"),
    (re.compile(r"[\w ]+: \d+ of \d+ \w+, [\d:]+ gone, [\d:?]+ to go.*"), "<progress>"),
    (re.compile(r"DEID-[0-9A-F]{12}"), "<pseudonym>"),
)
"""Patterns of what differs from run to run in texts."""

VOLATILE = {"seconds"}
"""Keys of JSON and columns of CSV whose values differ from run to run."""


def canonical(path: Path, work: Path) -> bytes:
    """Return the content of a file without what differs from run to run.

    Args:
        path: an output, or a log.
        work: the working folder, whose path is replaced.
    """
    name = path.name.lower()
    if name.endswith((".json", ".jsonl", ".out")):
        return text(json_text(path.read_text(encoding="utf-8")), work).encode()
    if name.endswith(".csv"):
        return text(table(path.read_text(encoding="utf-8")), work).encode()
    if name.endswith((".html", ".yaml", ".txt", ".err", ".md")):
        return text(path.read_text(encoding="utf-8"), work).encode()
    if name.endswith((".gz", ".mgz")):
        return gzip.decompress(path.read_bytes())
    if name.endswith(".png"):
        return picture(path, work)
    if name.endswith(".pdf"):
        return text(pdf(path.read_bytes()), work).encode()
    if pydicom.misc.is_dicom(path):
        return text(dicom(path), work).encode()
    return path.read_bytes()


def text(said: str, work: Path) -> str:
    """Put placeholders into a text."""
    said = said.replace(str(work.resolve()), "<work>")
    for pattern, name in PLACEHOLDERS:
        said = pattern.sub(name, said)
    return said


def json_text(said: str) -> str:
    """Sort the keys of JSON, or of lines of it; what is no JSON stays as it is."""
    try:
        values = [json.loads(said)]
    except json.JSONDecodeError:
        try:
            values = [json.loads(line) for line in said.splitlines() if line]
        except json.JSONDecodeError:
            return said
    return "\n".join(json.dumps(plain(value), indent=1, sort_keys=True) for value in values)


def plain(value: Any) -> Any:
    """Take from a JSON value what differs from run to run."""
    if isinstance(value, dict):
        return {key: "<volatile>" if key in VOLATILE else plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def table(said: str) -> str:
    """Take from CSV the columns that differ from run to run."""
    rows = list(csv.reader(StringIO(said)))
    dropped = {index for index, name in enumerate(rows[0]) if name in VOLATILE} if rows else set()
    return "\n".join(str([cell for at, cell in enumerate(row) if at not in dropped]) for row in rows)


def picture(path: Path, work: Path) -> bytes:
    """Return mode, size, texts and pixels: the same picture can be compressed in several ways."""
    with Image.open(path) as image:
        texts = {key: value for key, value in image.info.items() if isinstance(value, str)}
        said = text(json.dumps(texts, sort_keys=True), work)
        return f"{image.mode} {image.size} {said}\n".encode() + image.tobytes()


def dicom(path: Path) -> str:
    """Write elements as lines, pixels and documents in a form of their own, without the time of writing."""
    header = pydicom.dcmread(path)
    written = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y%m%d")
    said = []
    for name in ("PixelData", "FloatPixelData", "EncapsulatedDocument"):
        if name in header:
            found = bytes(header[name].value)
            said.append(pdf(found) if found[:4] == b"%PDF" else f"{name} {zlib.crc32(found):08x}")
            del header[name]
    for part in header.iterall():
        keyword = part.keyword
        if keyword.endswith("Date") and part.value == written:
            part.value = ""
            time = header.get_item(keyword.removesuffix("Date") + "Time")
            if time is not None:
                header[keyword.removesuffix("Date") + "Time"].value = ""
        elif part.VR == "DT" and str(part.value).startswith(written):
            part.value = ""
    lines = [str(part) for part in (*header.file_meta, *header) if part.keyword not in _LENGTHS]
    whole = "\n".join([*lines, *said])
    # De-identification draws new UIDs.
    return re.sub(r"2\.25\.\d+", "<uid>", whole) if "PatientIdentityRemoved" in header else whole


_LENGTHS = {"FileMetaInformationGroupLength", "EncapsulatedDocumentLength"}


def pdf(content: bytes) -> str:
    """Inflate the streams of a PDF, and leave out its identifiers."""

    def inflate(found: re.Match[bytes]) -> bytes:
        packed = found[1]
        with suppress(ValueError):  # not every stream is in ASCII
            packed = base64.a85decode(packed.strip().removesuffix(b"~>"))
        try:
            return b"stream\n" + zlib.decompress(packed) + b"\nendstream"
        except zlib.error:
            return found[0]

    whole = re.sub(rb"stream\r?\n(.*?)\r?\n?endstream", inflate, content, flags=re.DOTALL)
    whole = re.sub(rb"/ID\s*\[.*?\]", b"/ID", whole, flags=re.DOTALL)
    whole = re.sub(rb"startxref\s+\d+|^\d{10} \d{5} [nf]|/Length \d+", b"", whole, flags=re.MULTILINE)
    return whole.decode("latin-1")
