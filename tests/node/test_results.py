"""What a node sends of a translation by a real model, and of a series that the model can't translate."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from medtranslate.config import TranslateSettings
from medtranslate.io import read_volume, write_volume
from medtranslate.node.worker import open_worker
from medtranslate.phantom import HELD_OUT, study
from medtranslate.translation import Translator, open_translator

from .conftest import LOST_SOCKETS, Archive, Running, send

pytestmark = LOST_SOCKETS


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """CT of a digital head, as small as a head is found in."""
    folder = tmp_path_factory.mktemp("head") / "ct"
    write_volume(study(HELD_OUT, size=32, spacing=8).ct, folder, format="dicom")
    return sorted(folder.glob("*.dcm"))


def test_result_report_measures_and_map_come_back(
    begin: Callable[..., Running], archive: Archive, head: list[Path], small_model: Path, tmp_path: Path
) -> None:
    """The series is that of `translate`, and all of it is filed in the study of its source."""
    rule = {"to": "mr", "model": str(small_model), "samples": 2}
    node = begin({"open_worker": open_worker}, rules=[rule])
    send(node.port, head)
    node.settled()
    images, source = archive.of("MR"), dcmread(head[0])
    assert {each.Modality for each in archive.received} == {"MR", "DOC", "SR", "OT"}
    assert [len(archive.of(kind)) for kind in ("DOC", "SR", "OT")] == [1, 1, 1]
    for each in archive.received:
        assert (each.StudyInstanceUID, each.PatientID) == (source.StudyInstanceUID, source.PatientID)
    assert archive.of("DOC")[0].EncapsulatedDocument.startswith(b"%PDF")
    settings = TranslateSettings(
        input=head[0].parent,
        output=tmp_path / "same",
        to="mr",
        model=str(small_model),
        samples=2,
        device="cpu",
    )
    same = open_translator(settings).translate(read_volume(head[0].parent)).volume
    (tmp_path / "back").mkdir()
    for each in images:
        each.save_as(tmp_path / "back" / f"{each.InstanceNumber}.dcm", enforce_file_format=True)
    back = read_volume(tmp_path / "back")
    assert np.allclose(back.affine, same.affine, atol=1e-4)
    assert abs(back.values - same.values).max() <= 0.51
    assert "Standard deviation, 2 samples" in archive.of("OT")[0].ContentDescription
    for words in ("Doubtful", "Mean of the map of standard deviations", "Verdict of the input gate"):
        assert words in str(archive.of("SR")[0])
    for each in (*archive.of("SR"), *archive.of("DOC")):
        each.save_as(tmp_path / "x.dcm", enforce_file_format=True)
        command = [str(Path(sys.executable).parent / "dciodvfy"), "-new", str(tmp_path / "x.dcm")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Error" not in done.stderr, done.stderr


@pytest.mark.parametrize("fault", ["no head", "a slice is missing", "a bug"])
def test_a_refused_series_is_answered_by_a_report(
    begin: Callable[..., Running],
    archive: Archive,
    head: list[Path],
    small_model: Path,
    tmp_path: Path,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says why, without the places of files on the node, nor what an unexpected error quotes."""
    files = head
    if fault == "no head":
        files = []
        for path in head:
            header = dcmread(path)
            header.PixelData = bytes(len(header.PixelData))
            header.save_as(tmp_path / path.name)
            files.append(tmp_path / path.name)
    if fault == "a slice is missing":
        files = [path for path in head if path != head[12]]
    if fault == "a bug":

        def quote(*given: Any, **named: Any) -> Any:
            raise KeyError("CANARY^NAME")

        monkeypatch.setattr(Translator, "run", quote)
    node = begin({"open_worker": open_worker}, rules=[{"to": "mr", "model": str(small_model)}])
    send(node.port, files)
    node.settled()
    (report,) = archive.received
    assert report.StudyInstanceUID == dcmread(head[0]).StudyInstanceUID
    said = next(line for line in node.lines if ": sending (" in line)
    wanted = {"no head": "head", "a slice is missing": "1 of 32 slices missing", "a bug": "KeyError"}
    assert wanted[fault] in said
    assert "CANARY" not in said
    assert str(tmp_path) not in said
    if shutil.which("pdftotext"):
        (tmp_path / "report.pdf").write_bytes(report.EncapsulatedDocument)
        text = subprocess.run(
            ["pdftotext", tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True
        ).stdout
        assert wanted[fault] in " ".join(text.split())
        assert not re.search("[0-9a-f]{32}", "".join(text.split()))  # names of files on the node
