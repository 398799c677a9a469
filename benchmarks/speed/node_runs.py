"""A node, its archive and its sender: what the benchmarks of `node` share.

    python -m benchmarks.speed.node_runs PORT LOG

is an archive that takes every object, and writes a line about each into LOG before it answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from medtranslate.io import write_volume
from medtranslate.node.calls import CALLING
from medtranslate.phantom import HELD_OUT, study

NODE, ARCHIVE = "NODE", "ARCHIVE"


def make_series(folder: Path, count: int, *, slices: int, pixels: int) -> list[Path]:
    """Write MR series, the middle slices of three heads, each in a study of its own."""
    kinds: list[list[Path]] = []
    for seed in range(min(count, 3)):
        kind = folder / f"head {seed}"
        write_volume(study(HELD_OUT + seed, size=pixels, spacing=256 / pixels).mr, kind, format="dicom")
        files = sorted(kind.glob("*.dcm"))
        first = (len(files) - slices) // 2
        kinds.append(files[first : first + slices])
    made = []
    for number in range(count):
        place = folder / "series" / f"{number:03}"
        place.mkdir(parents=True)
        for index, path in enumerate(kinds[number % 3]):
            header = dcmread(path)
            header.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(number)])
            header.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(number)])
            header.SOPInstanceUID = generate_uid(entropy_srcs=[str(number), str(index)])
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
            header.save_as(place / f"{index:03}.dcm")
        made.append(place)
    return made


def write_rules(path: Path, port: int, archive: int, **changes: Any) -> None:
    """Write the YAML file of a node whose only peer is the archive, at once."""
    rules = {
        "title": NODE,
        "port": port,
        "peers": [{"title": ARCHIVE, "address": "127.0.0.1", "port": archive}],
        "rules": [{"to": "ct", "model": "phantom", "report": False}],
        "quiet": 0.5,
        "retry_first": 0.5,
        "retry_most": 2,
        "free_gb": 0,
    }
    path.write_text(yaml.safe_dump(rules | changes), encoding="utf-8")


def start_node(rules: Path, folder: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "medtranslate", "node", str(rules), str(folder), "--device", "cpu"]
    return subprocess.Popen(
        [*command, "--workers", str(workers), "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def start_archive(port: int, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.speed.node_runs", str(port), str(log)])


def start_storescp(port: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start dcmtk's archive, which writes CT images into a folder as `CT.UID`."""
    folder.mkdir()
    command = ["storescp", "-aet", ARCHIVE, "-od", str(folder), str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def received(log: Path) -> list[dict[str, str]]:
    """Read the archive's log, without a line that was cut short by a kill."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def send(port: int, files: Sequence[Path]) -> bool:
    """Send a series; False unless every answer, and the answer to the release, has come."""
    entity = AE(ae_title=ARCHIVE)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    meta = dcmread(files[0], stop_before_pixels=True).file_meta
    entity.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title=NODE, evt_handlers=[CALLING])
    if not association.is_established:
        return False
    try:
        whole = all(association.send_c_store(dcmread(path)).get("Status") == 0 for path in files)
    except (RuntimeError, ValueError):
        return False
    association.release()
    return whole and association.is_released


def send_by_dcmtk(port: int, folder: Path) -> bool:
    """Send the series of a folder by dcmtk."""
    command = ["storescu", "-R", "-aet", ARCHIVE, "-aec", NODE, "+sd", "127.0.0.1", str(port), str(folder)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def answers(port: int) -> bool:
    """Check if something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_archive(port: int, log: Path) -> None:
    """Take every object, and write a line about each before it is answered."""
    file = log.open("a", encoding="utf-8")
    file.write("\n")

    def take(event: evt.Event) -> int:
        dataset = event.dataset
        pixels = dataset.get("PixelData", b"")
        told = {
            "uid": str(dataset.SOPInstanceUID),
            "study": str(dataset.StudyInstanceUID),
            "modality": str(dataset.Modality),
            "pixels": hashlib.sha256(pixels).hexdigest(),
            "all": hashlib.sha256(event.encoded_dataset()).hexdigest(),
        }
        file.write(json.dumps(told) + "\n")
        file.flush()
        os.fsync(file.fileno())
        return 0x0000

    entity = AE(ae_title=ARCHIVE)
    entity.supported_contexts = AllStoragePresentationContexts
    entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    serve_archive(int(sys.argv[1]), Path(sys.argv[2]))
