"""Orthanc and dcmtk send series to a node, and results come back into the same study."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from medtranslate.config import NodeRules, Peer, Rule, WebServer
from medtranslate.io import Volume, write_volume
from medtranslate.node.stow import store
from medtranslate.phantom import HELD_OUT, study

from ..io.test_pacs import Archive, archive  # noqa: F401 - a fixture among them
from ..ports import free_port
from .conftest import until

pytestmark = pytest.mark.pacs

Change = Callable[[list[Dataset]], list[Dataset]]


def tilted(headers: list[Dataset]) -> list[Dataset]:
    """As by a gantry tilted by 18 degrees: each slice is moved within its plane."""
    for index, header in enumerate(headers):
        x, y, z = map(float, header.ImagePositionPatient)
        moved = index * math.tan(math.radians(18)) * float(header.SliceThickness)
        header.ImagePositionPatient = [x, round(y + moved, 3), z]
    return headers


def uneven(headers: list[Dataset]) -> list[Dataset]:
    for index, header in enumerate(headers):
        x, y, z = map(float, header.ImagePositionPatient)
        header.ImagePositionPatient = [x, y, z + 2.0 * max(0, index - 20)]
    return headers


def compressed(syntax: str) -> Change:
    def change(headers: list[Dataset]) -> list[Dataset]:
        for header in headers:
            header.compress(syntax, generate_instance_uid=False)
        return headers

    return change


def encoded(syntax: str) -> Change:
    def change(headers: list[Dataset]) -> list[Dataset]:
        for header in headers:
            if syntax == ExplicitVRBigEndian:
                header.PixelData = header.pixel_array.astype(f">{header.pixel_array.dtype.str[1:]}").tobytes()
            header.file_meta.TransferSyntaxUID = syntax
        return headers

    return change


def enhanced(headers: list[Dataset]) -> list[Dataset]:
    """One image with a frame for each slice."""
    image = headers[0]
    kind = EnhancedCTImageStorage if image.Modality == "CT" else EnhancedMRImageStorage
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = kind
    image.NumberOfFrames = len(headers)
    image.PixelData = b"".join(header.PixelData for header in headers)
    shared, groups = Dataset(), []
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [Dataset()], [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = image.ImageOrientationPatient
    shared.PixelMeasuresSequence[0].PixelSpacing = image.PixelSpacing
    for header in headers:
        place, scale, own = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = header.ImagePositionPatient
        scale.RescaleSlope = header.get("RescaleSlope", 1)
        scale.RescaleIntercept = header.get("RescaleIntercept", 0)
        scale.RescaleType = "HU" if image.Modality == "CT" else "US"
        own.PlanePositionSequence, own.PixelValueTransformationSequence = [place], [scale]
        groups.append(own)
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [shared], groups
    for keyword in ("ImageOrientationPatient", "PixelSpacing", "ImagePositionPatient"):
        delattr(image, keyword)
    return [image]


def named(headers: list[Dataset]) -> list[Dataset]:
    for header in headers:
        header.SpecificCharacterSet = "ISO_IR 100"
        header.PatientName, header.StudyDescription = "Müller^Jörg", "Schädel"
    return headers


def turned(volume: Volume, axes: tuple[int, int, int]) -> Volume:
    """The same voxels, cut along another axis."""
    affine = volume.affine[:, [*axes, 3]]
    return Volume(np.ascontiguousarray(volume.values.transpose(axes)), affine, volume.meta)


def oblique(volume: Volume) -> Volume:
    angle = math.radians(10)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return Volume(volume.values, turn @ volume.affine, volume.meta)


def same(volume: Volume) -> Volume:
    return volume


KINDS: dict[str, tuple[str, Callable[[Volume], Volume], Change]] = {
    "MR": ("mr", same, list),
    "CT": ("ct", same, list),
    "CT of a tilted gantry": ("ct", same, tilted),
    "MR with uneven gaps": ("mr", same, uneven),
    "sagittal MR": ("mr", lambda volume: turned(volume, (1, 2, 0)), list),
    "coronal CT": ("ct", lambda volume: turned(volume, (0, 2, 1)), list),
    "oblique MR": ("mr", oblique, list),
    "enhanced MR": ("mr", same, enhanced),
    "enhanced CT": ("ct", same, enhanced),
    "MR in JPEG-LS": ("mr", same, compressed(JPEGLSLossless)),
    "CT in JPEG 2000": ("ct", same, compressed(JPEG2000Lossless)),
    "MR in RLE": ("mr", same, compressed(RLELossless)),
    "MR in implicit VR": ("mr", same, encoded(ImplicitVRLittleEndian)),
    "CT in big-endian": ("ct", same, encoded(ExplicitVRBigEndian)),
    "CT of a name in Latin-1": ("ct", same, named),
}


def make(kind: str, folder: Path) -> list[Path]:
    """Write a series of a kind, in a study of its own."""
    modality, cut, change = KINDS[kind]
    head = study(HELD_OUT, size=32, spacing=8)
    write_volume(cut(head.mr if modality == "mr" else head.ct), folder, format="dicom")
    headers = change([dcmread(path) for path in sorted(folder.glob("*.dcm"))])
    shutil.rmtree(folder)
    folder.mkdir()
    for index, header in enumerate(headers):
        header.StudyInstanceUID = generate_uid(entropy_srcs=[kind, "study"])
        header.SeriesInstanceUID = generate_uid(entropy_srcs=[kind, "series"])
        header.SOPInstanceUID = generate_uid(entropy_srcs=[kind, str(index)])
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        list(header.iterall())  # decoded, so that it can change its byte order
        dcmwrite(folder / f"{index:03}.dcm", header, enforce_file_format=True)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def node(archive: Archive, small_model: Path, tmp_path_factory: Any) -> Iterator[int]:  # noqa: F811
    """A node as a user begins it, known to Orthanc as NODE; ends by SIGTERM, with 143 or 0."""
    folder, port = tmp_path_factory.mktemp("node"), free_port()
    rules = {
        "title": "NODE",
        "port": port,
        "peers": [
            {
                "title": "ORTHANC",
                "address": "127.0.0.1",
                "port": archive.dicom,
                "commit": True,
                "confirm": True,
            },
            {"title": "STORESCU", "address": "127.0.0.1"},
        ],
        "dicomweb": [{"title": "WEB", "url": f"http://127.0.0.1:{archive.web}/dicom-web"}],
        "rules": [
            {"description": "*by web*", "to": "ct", "model": str(small_model), "send_to": ["WEB"]},
            {"to": "ct", "model": str(small_model), "send_to": ["ORTHANC"]},
            {"to": "mr", "model": str(small_model), "send_to": ["ORTHANC"]},
        ],
        "quiet": 1,
        "patience": 2,
        "free_gb": 0,
    }
    (folder / "node.yaml").write_text(yaml.safe_dump(rules))
    command = [sys.executable, "-m", "medtranslate", "node", folder / "node.yaml", folder / "work"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*map(str, command), "--device", "cpu"], stderr=log)
    until(lambda: process.poll() is not None or "listens" in (folder / "log").read_text())
    assert process.poll() is None, (folder / "log").read_text()
    archive.ask(
        "/modalities/NODE", json.dumps({"AET": "NODE", "Host": "127.0.0.1", "Port": port}).encode(), "PUT"
    )
    yield port
    # The images of the last result may be there before its report, or before Orthanc has committed itself.
    until(lambda: not list((folder / "work" / "outgoing").iterdir()))
    process.send_signal(signal.SIGTERM)
    assert process.wait(600) == 0, (folder / "log").read_text()


def upload(archive: Archive, files: list[Path]) -> dict[str, Any]:  # noqa: F811
    for path in files:
        told = json.loads(archive.ask("/instances", path.read_bytes()))
    return told


def series_of(archive: Archive, study: str) -> dict[str, list[str]]:  # noqa: F811
    """Instances of a study, by modality."""
    found = json.loads(archive.ask(f"/studies/{study}/series"))
    return {each["MainDicomTags"]["Modality"]: each["Instances"] for each in found}


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_that_orthanc_sends_comes_back_into_its_study(
    archive: Archive,  # noqa: F811
    node: int,
    tmp_path: Path,
    kind: str,
) -> None:
    files = make(kind, tmp_path / "source")
    told = upload(archive, files)
    archive.ask("/modalities/NODE/store", told["ParentSeries"].encode())
    until(lambda: {"DOC", "SR"} <= set(series_of(archive, told["ParentStudy"])))
    found = series_of(archive, told["ParentStudy"])
    other = {"mr": "CT", "ct": "MR"}[KINDS[kind][0]]
    slices = int(dcmread(files[0]).get("NumberOfFrames", len(files)))
    assert {modality: len(instances) for modality, instances in found.items()} == {
        KINDS[kind][0].upper(): len(files),
        other: slices,
        "DOC": 1,
        "SR": 1,
    }
    derived = {
        json.loads(archive.ask(f"/instances/{name}/simplified-tags"))["ImagePositionPatient"]
        for name in found[other]
    }
    assert len(derived) == slices
    patients = {
        json.loads(archive.ask(f"/instances/{instances[0]}/patient"))["ID"] for instances in found.values()
    }
    assert len(patients) == 1


@pytest.mark.parametrize("name", ["ct-head-ge-tilt", "mr-t1-sagittal-siemens"])
def test_a_real_series_comes_back_into_its_study(
    archive: Archive,  # noqa: F811
    node: int,
    tmp_path: Path,
    shared_data: Path,
    name: str,
) -> None:
    """A slice of the result for each slice of the source, at the same positions."""
    shutil.unpack_archive(shared_data / "dicom" / f"{name}.tar.xz", tmp_path, filter="data")
    files = sorted(tmp_path.rglob("*.dcm"))
    told = upload(archive, files)
    archive.ask("/modalities/NODE/store", told["ParentSeries"].encode())
    until(lambda: {"DOC", "SR"} <= set(series_of(archive, told["ParentStudy"])))
    found = series_of(archive, told["ParentStudy"])
    places = {
        modality: sorted(
            tuple(map(float, tags["ImagePositionPatient"].split("\\")))
            for tags in (
                json.loads(archive.ask(f"/instances/{one}/simplified-tags")) for one in found[modality]
            )
        )
        for modality in ("CT", "MR")
    }
    assert len(places["CT"]) == len(files)
    assert np.allclose(places["CT"], places["MR"], atol=1e-3)


def test_a_result_comes_back_by_stow(
    archive: Archive,  # noqa: F811
    node: int,
    tmp_path: Path,
) -> None:
    """Sent twice, it is there once."""
    files = make("sagittal MR", tmp_path / "source")
    for path in files:
        header = dcmread(path)
        header.SeriesDescription = "T1 by web"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(header, keyword, generate_uid(entropy_srcs=["by web", str(header[keyword].value)]))
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(path)
    told = upload(archive, files)
    archive.ask("/modalities/NODE/store", told["ParentSeries"].encode())
    until(lambda: {"DOC", "SR"} <= set(series_of(archive, told["ParentStudy"])))
    found = series_of(archive, told["ParentStudy"])
    counts = {modality: len(instances) for modality, instances in found.items()}
    assert counts == {"MR": len(files), "CT": len(files), "DOC": 1, "SR": 1}
    results = [dcmread(BytesIO(archive.ask(f"/instances/{name}/file"))) for name in found["CT"]]
    for index, result in enumerate(results):
        result.save_as(tmp_path / f"{index}.dcm")
    again = sorted(tmp_path.glob("*.dcm"))
    server = WebServer(title="WEB", url=f"http://127.0.0.1:{archive.web}/dicom-web")
    rules = NodeRules(peers=(Peer(title="A", address="h"),), rules=(Rule(to="ct"),))
    assert list(store(again, server, rules)) == again
    assert series_of(archive, told["ParentStudy"]) == found
    assert {(result.PatientID, result.StudyInstanceUID) for result in results} == {
        (header.PatientID, header.StudyInstanceUID) for header in map(dcmread, files)
    }


def test_orthanc_asks_the_node_for_storage_commitment(
    archive: Archive,  # noqa: F811
    node: int,
    tmp_path: Path,
) -> None:
    """The results go the other way: the node asks Orthanc for each (`confirm`)."""
    files = make("oblique MR", tmp_path / "source")[:3]
    for path in files:
        header = dcmread(path)
        header.SeriesInstanceUID = generate_uid(entropy_srcs=["commitment"])
        header.SOPInstanceUID = generate_uid(entropy_srcs=["commitment", path.name])
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(path)
    told = upload(archive, files)
    archive.ask("/modalities/NODE/store", told["ParentSeries"].encode())
    headers = [dcmread(path) for path in files]
    wanted = [[str(header.SOPClassUID), str(header.SOPInstanceUID)] for header in headers]
    for extra, status in ([], "Success"), ([[wanted[0][0], "1.2.3.4"]], "Failure"):
        body = json.dumps({"DicomInstances": wanted + extra}).encode()
        asked = json.loads(archive.ask("/modalities/NODE/storage-commitment", body))
        report = f"/storage-commitment/{asked['ID']}"
        until(lambda place=report: json.loads(archive.ask(place))["Status"] != "Pending")
        answer = json.loads(archive.ask(report))
        assert (answer["Status"], len(answer["Success"]), len(answer["Failures"])) == (status, 3, len(extra))


def test_storescu_sends_and_echoscu_is_answered(
    archive: Archive,  # noqa: F811
    node: int,
    tmp_path: Path,
) -> None:
    files = make("MR", tmp_path / "source")
    for path in files:
        header = dcmread(path)
        header.StudyInstanceUID = generate_uid(entropy_srcs=["storescu study"])
        header.SOPInstanceUID = generate_uid(entropy_srcs=["storescu", path.name])
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.SeriesInstanceUID = generate_uid(entropy_srcs=["storescu"])
        header.save_as(path)
    peer = ["-aet", "STORESCU", "-aec", "NODE", "127.0.0.1", str(node)]
    subprocess.run(["/usr/bin/echoscu", *peer], check=True, capture_output=True)
    subprocess.run(["/usr/bin/storescu", *peer, *map(str, files)], check=True, capture_output=True)
    query = {"Level": "Study", "Query": {"StudyInstanceUID": dcmread(files[0]).StudyInstanceUID}}

    def arrived() -> list[str]:
        return json.loads(archive.ask("/tools/find", json.dumps(query).encode()))

    until(arrived)
    until(lambda: len(series_of(archive, arrived()[0]).get("CT", [])) == len(files))
