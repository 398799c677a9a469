"""Runs the commands and writes down digests of what they wrote and said."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from benchmarks.outputs.canonical import canonical
from benchmarks.outputs.commands import commands
from benchmarks.outputs.inputs import make_inputs

REAL = {
    "mr-t1-head.nii.gz": "nifti/mr-t1-head.nii.gz",
    "ct-template-hu.nii.gz": "nifti/ct-template-hu.nii.gz",
    "t1-template.nii.gz": "nifti/t1-template.nii.gz",
    "mr.jpg": "brain-ct-mr/valB",
    "ct.png": "brain-ct-mr/valA",
}
"""Real images by the name that the commands use; of a folder its first picture."""

SERIES = ("ct-skull-philips", "ct-head-ge-tilt")
"""Archives of DICOM series that are unpacked."""


def run(checkout: Path, manifest: Path, work: Path, data: Path | None, only: str) -> None:
    """Run the commands with medtranslate of a checkout and write the manifest.

    Args:
        checkout: root of a working tree.
        manifest: JSON file to write.
        work: folder for inputs and outputs; an old one of this program is removed.
        data: folder of real images, or None.
        only: part of the names of the commands to run; empty for all.
    """
    if (work / "in").is_dir():
        shutil.rmtree(work)
    make_inputs(work / "in")
    if data:
        _take(data, work / "in" / "real")
    lines = {name: line for name, line in commands(data is not None).items() if only in name}
    before = _inputs(work)
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout.resolve()),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(work.resolve()),
        "COLUMNS": "120",
    }
    subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name("invoke.py"))],
        input=json.dumps(lines),
        text=True,
        cwd=work,
        env=environment,
        check=True,
    )
    ends = json.loads((work / "codes.json").read_text(encoding="utf-8"))
    told: dict[str, Any] = {
        "checkout": str(checkout),
        "commit": _commit(checkout),
        "work": str(work.resolve()),
    }
    told["inputs"] = before
    told["commands"] = {
        name: {
            "arguments": " ".join(line),
            **ends[name],
            "files": {
                "stdout": _digest(work / "logs" / f"{name}.out", work),
                "stderr": _digest(work / "logs" / f"{name}.err", work),
                **digests(work / "out" / name, work),
            },
        }
        for name, line in lines.items()
    }
    told["inputs_changed"] = sorted(dict(before.items() ^ _inputs(work).items()))
    manifest.write_text(json.dumps(told, indent=1), encoding="utf-8")
    files = sum(len(command["files"]) for command in told["commands"].values())
    print(f"{manifest}: {len(lines)} commands, {files} outputs and logs")
    if told["inputs_changed"]:
        print(f"inputs were changed: {told['inputs_changed']}")


def _take(data: Path, folder: Path) -> None:
    folder.mkdir()
    for name, origin in REAL.items():
        source = data / origin
        shutil.copyfile(min(source.iterdir()) if source.is_dir() else source, folder / name)
    for name in SERIES:
        with tarfile.open(data / "dicom" / f"{name}.tar.xz") as archive:
            archive.extractall(folder / name, filter="data")


def _inputs(work: Path) -> dict[str, str]:
    """Digest the inputs as they are, damaged ones included."""
    files = sorted(path for path in (work / "in").rglob("*") if path.is_file())
    return {str(path.relative_to(work)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def digests(folder: Path, work: Path) -> dict[str, str]:
    """Digest the files below a folder, by their paths from the working folder."""
    # Locks name the process that took them.
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(work)): _digest(path, work) for path in files}


def _digest(path: Path, work: Path) -> str:
    return hashlib.sha256(canonical(path, work)).hexdigest()


def _commit(checkout: Path) -> str:
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
