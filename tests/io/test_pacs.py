"""A derived series, and what is filed beside it, in programs of another make.

Orthanc with DICOMweb, dcmtk's storescu, dsrdump and dsr2html, poppler's pdftotext and pdffonts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from medtranslate.config import EvaluateSettings, ReportSettings
from medtranslate.evaluation import evaluate, render
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.dicom_files import without_comment
from medtranslate.records import Derivation

from ..ports import free_port

pytestmark = pytest.mark.pacs

PLUGINS = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class Archive:
    """An Orthanc of our own, reached from this machine alone."""

    def __init__(self, folder: Path) -> None:
        self.web, self.dicom = free_port(), free_port()
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.web,
            "DicomPort": self.dicom,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "HttpBindAddresses": ["127.0.0.1"],
            "DicomAlwaysAllowStore": True,
            "Plugins": [PLUGINS],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "ConcurrentJobs": 1,
            "HttpThreadsCount": 4,
            "MaximumStorageCacheSize": 16,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.log = (folder / "orthanc.log").open("wb")
        program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
        self.process = subprocess.Popen(
            [program, str(folder / "orthanc.json")], stdout=self.log, stderr=subprocess.STDOUT
        )

    def wait(self) -> None:
        for _ in range(300):
            try:
                self.ask("/system")
                return
            except OSError:
                assert self.process.poll() is None, "Orthanc ended; see orthanc.log"
                time.sleep(0.2)
        raise TimeoutError("Orthanc does not answer")

    def ask(self, path: str, body: bytes | None = None, method: str | None = None, **headers: str) -> bytes:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.web}{path}", body, named, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Orthanc on loopback; `make test-pacs` installs it."""
    if not Path(PLUGINS).exists() or not shutil.which("storescu"):
        pytest.skip("needs Debian's orthanc, orthanc-dicomweb and dcmtk (make test-pacs installs them)")
    archive = Archive(tmp_path_factory.mktemp("orthanc"))
    try:
        archive.wait()
        yield archive
    finally:
        archive.close()


def send_by_dimse(archive: Archive, files: list[Path], syntax: str) -> None:
    peer = ["127.0.0.1", str(archive.dicom)]
    subprocess.run(
        ["/usr/bin/storescu", "--required", syntax, *peer, *files], check=True, capture_output=True
    )


def send_by_web(archive: Archive, files: list[Path], syntax: str) -> None:
    parts = b"".join(
        b"--PART\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes() + b"\r\n" for path in files
    )
    kind = 'multipart/related; type="application/dicom"; boundary=PART'
    archive.ask("/dicom-web/studies", parts + b"--PART--", Content_Type=kind, Accept="application/dicom+json")


def fetch(archive: Archive, study: str, series: str) -> list[bytes]:
    """The files of a series by WADO-RS: parts between boundary lines, each with a header of its own."""
    kind = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    answer = archive.ask(f"/dicom-web/studies/{study}/series/{series}", Accept=kind)
    boundary = answer[: answer.index(b"\r\n")]
    parts = answer.split(b"\r\n" + boundary)[:-1]
    return [part.split(b"\r\n\r\n", 1)[1] for part in parts]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("send", [send_by_dimse, send_by_web])
@pytest.mark.parametrize(("to", "limits"), [("ct", (-1024, 3071)), ("ct", (-20, 100)), ("mr", (0, 1000))])
def test_an_archive_takes_finds_and_returns_a_derived_series(
    archive: Any,
    tmp_path: Path,
    make_volume: Callable[..., Volume],
    made: Callable[..., Derivation],
    to: str,
    limits: tuple[int, int],
    send: Any,
    compress: bool,
) -> None:
    of = "mr" if to == "ct" else "ct"
    given = make_volume(of, (40, 30, 5))
    write_volume(given.with_values(given.values.clip(0) / 6), tmp_path / "source", format="dicom")
    source = read_volume(tmp_path / "source")
    ramp = np.linspace(*limits, source.values.size).reshape(source.shape).round()
    derivation = made(to, *limits, compress=compress, name=f"{send.__name__}-{compress}")
    write_volume(source.with_values(ramp), tmp_path / "derived", like=source, derivation=derivation)
    files = sorted((tmp_path / "derived").iterdir())
    send(archive, files, "--propose-jls-lossless" if compress else "--propose-little")
    wanted = {header.SOPInstanceUID: header for header in map(dcmread, files)}
    first = next(iter(wanted.values()))

    query = f"SeriesInstanceUID={first.SeriesInstanceUID}&includefield=SeriesDescription"
    (found,) = json.loads(archive.ask(f"/dicom-web/series?{query}", Accept="application/dicom+json"))
    assert found["0020000D"]["Value"] == [first.StudyInstanceUID]
    assert found["00080060"]["Value"] == [to.upper()]
    assert found["0008103E"]["Value"] == [first.SeriesDescription]
    assert found["00201209"]["Value"] == [len(files)]

    returned = [
        dcmread(BytesIO(part)) for part in fetch(archive, first.StudyInstanceUID, first.SeriesInstanceUID)
    ]
    assert {header.SOPInstanceUID for header in returned} == wanted.keys()
    for header in returned:
        sent = wanted[header.SOPInstanceUID]
        assert header.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert np.array_equal(header.pixel_array, sent.pixel_array)
        assert header.to_json_dict() == sent.to_json_dict()


PATIENTS = {
    "undeclared UTF-8": {"PatientName": "Müller^Jörg".encode()},
    "undeclared GBK": {"PatientName": "王^小东".encode("gbk")},
    "Latin-9": {"SpecificCharacterSet": b"ISO_IR 203", "PatientName": "Žižek^Œuvre".encode("iso8859-15")},
    "ISO 2022": {
        "SpecificCharacterSet": b"\\ISO 2022 IR 58",
        "PatientName": b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
    },
    "wrongly declared": {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": "Grün^Zoë".encode("latin-1")},
    "a long accession number": {"AccessionNumber": b"ACC12345678901234567"},
    "a long number": {"PatientID": b"P" * 65},
    "a tab in the number": {"PatientID": b"T00\t01"},
    "a long name": {"PatientName": b"N" * 65},
}


@without_comment()
def plant(path: Path, values: dict[str, bytes]) -> None:
    header = dcmread(path)
    for keyword, value in values.items():
        tag, even = Tag(keyword), value + b" " * (len(value) % 2)
        header[tag] = RawDataElement(tag, dictionary_VR(tag), len(even), even, 0, False, True)
    header.StudyInstanceUID = generate_uid()
    header.set_original_encoding(False, True, header._character_set)
    header.save_as(path)


@pytest.mark.parametrize("patient", PATIENTS)
def test_an_archive_files_a_derived_series_with_its_source(
    archive: Any,
    tmp_path: Path,
    make_volume: Callable[..., Volume],
    made: Callable[..., Derivation],
    patient: Any,
) -> None:
    """In the source's study, of the source's patient; dcmdump shows the bytes that were planted."""
    write_volume(make_volume("mr", (8, 6, 1)), tmp_path / "source", format="dicom")
    path = tmp_path / "source" / "IM0001.dcm"
    plant(path, PATIENTS[patient])
    source = read_volume(path)
    write_volume(
        source.with_values(source.values * 0),
        tmp_path / "derived",
        like=source,
        derivation=made("ct", name=patient),
    )
    derived = tmp_path / "derived" / "IM0001.dcm"
    send_by_dimse(archive, [path, derived], "--propose-little")
    places = []
    for file in (path, derived):
        with without_comment():
            header = dcmread(file)
        for keyword, value in PATIENTS[patient].items():
            dump = subprocess.run(
                ["/usr/bin/dcmdump", "+L", "+P", keyword, file], check=True, capture_output=True
            ).stdout
            assert value.split(b"\t")[0] in dump
        uids = {key: header[key].value for key in ("StudyInstanceUID", "SOPInstanceUID")}
        query = {"Level": "Instance", "Query": uids}
        (instance,) = json.loads(archive.ask("/tools/find", json.dumps(query).encode()))
        places.append(
            [
                json.loads(archive.ask(f"/instances/{instance}/{above}"))["ID"]
                for above in ("patient", "study")
            ]
        )
        stored = archive.ask(f"/instances/{instance}/file")
        assert all(value in stored for value in PATIENTS[patient].values())
    assert places[0] == places[1]


@pytest.fixture
def filed(tmp_path, request, make_volume, made) -> list[Path]:
    """Report, scores and uncertainty of a translated series, as files for its study; each test its own."""
    mr = make_volume("mr", (40, 30, 5))
    values = mr.values.clip(0) / 6 + len(request.node.name)
    write_volume(mr.with_values(values), tmp_path / "source", format="dicom")
    source = read_volume(tmp_path / "source")
    ramp = np.linspace(-1000, 1500, source.values.size).reshape(source.shape).round()
    write_volume(source.with_values(ramp), tmp_path / "fake", like=source, derivation=made("ct", -1024, 3071))
    write_volume(source.with_values(ramp + 20), tmp_path / "truth.nii.gz")
    write_volume(source.with_values(abs(ramp) / 100), tmp_path / "sd.nii.gz")
    volumes = {
        "prediction": tmp_path / "fake",
        "reference": tmp_path / "truth.nii.gz",
        "source": tmp_path / "source",
        "uncertainty": tmp_path / "sd.nii.gz",
    }
    scores, views = tmp_path / "scores", tmp_path / "views"
    evaluate(EvaluateSettings(out=scores, **volumes), quiet=True)
    render(ReportSettings(result=scores, out=views, view=("pdf", "dicom"), **volumes))
    return sorted((views / "dicom").iterdir())


@pytest.mark.parametrize("send", [send_by_dimse, send_by_web])
def test_an_archive_takes_and_returns_what_is_filed_with_the_patient(
    archive: Any, filed: Any, send: Any
) -> None:
    assert [path.stem for path in filed] == ["report", "scores", "uncertainty"]
    send(archive, filed, "--propose-little")
    for sent in map(dcmread, filed):
        query = f"SeriesInstanceUID={sent.SeriesInstanceUID}"
        (found,) = json.loads(archive.ask(f"/dicom-web/series?{query}", Accept="application/dicom+json"))
        assert found["0020000D"]["Value"] == [sent.StudyInstanceUID]
        assert found["00080060"]["Value"] == [sent.Modality]
        (part,) = fetch(archive, sent.StudyInstanceUID, sent.SeriesInstanceUID)
        assert dcmread(BytesIO(part)).to_json_dict() == sent.to_json_dict()


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return done.stdout


def test_dcmtk_reads_the_scores(archive: Any, filed: Any) -> None:
    text = run("/usr/bin/dsrdump", filed[1])
    assert 'NUM:(,,"Mean absolute error")="20.0" ([hnsf\'U],UCUM,"Hounsfield unit")' in text
    assert "For research only" in run("/usr/bin/dsrdump", "+Pl", filed[1])
    page = run("/usr/bin/dsr2html", filed[1])
    assert "Mean absolute error" in page
    assert "bone" in page


def test_poppler_reads_the_report(archive: Any, filed: Any) -> None:
    pdf = filed[0].parents[1] / "report.pdf"
    text = run("/usr/bin/pdftotext", pdf, "-")
    for words in ("Scores", "Bland–Altman", "limits of agreement", "Profile", "For research only"):
        assert words in text
    fonts = [line.split() for line in run("/usr/bin/pdffonts", pdf).splitlines()[2:]]
    assert fonts
    assert all(font[-5:-2] == ["yes", "yes", "yes"] for font in fonts), "embedded, subset, in Unicode"
