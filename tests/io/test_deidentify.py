from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import UID, MRImageStorage

from medtranslate.cli import invoke
from medtranslate.io import deidentify, read_volume, write_volume
from medtranslate.io.deidentify import deidentified
from medtranslate.io.dicom_files import without_comment
from medtranslate.phantom import study
from medtranslate.records import Derivation

UIDS = "1.2.826.0.1.3680043.99887766"
PLANTED = ("CANARY", "19370305", "193703", "061Y", "99887766")


def planted_item(depth: int = 2) -> Dataset:
    """Names, dates and UIDs, private ones among them, and an item of the same below."""
    item = Dataset()
    item.PatientName, item.PatientID, item.OperatorsName = "CANARY^NESTED", "CANARY-1", "CANARY^OPERATOR"
    item.ReferencedSOPInstanceUID, item.StudyDate = f"{UIDS}.7", "19370305"
    item.RequestedProcedureDescription = "CANARY nested"
    item.private_block(0x0011, "CANARY 1", create=True).add_new(0x01, "LO", "CANARY^PRIVATE")
    if depth:
        item.ReferencedStudySequence = [planted_item(depth - 1)]
    return item


@without_comment()
def plant(header: Dataset, number: int) -> None:
    """An identity in every place where one is found, and in some where it should not be."""
    header.PatientName, header.PatientID, header.PatientBirthDate = "CANARY^NAME", "CANARY-1", "19370305"
    header.PatientAge, header.IssuerOfPatientID = "061Y", "CANARY HOSPITAL"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = "19370305"
    header.AcquisitionDateTime, header.StudyTime = "19370305120000", "193703"
    for keyword in (
        *("AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "ReferringPhysicianName"),
        *("InstitutionName", "StationName", "PatientComments", "ImageComments", "DeviceSerialNumber"),
        *("ProtocolName", "OtherPatientNames", "RequestingPhysician", "DerivationDescription"),
        *("PatientAddress", "PersonAddress", "TextValue", "ContributionDescription"),
    ):
        setattr(header, keyword, f"CANARY {keyword}"[:16])
    header.MedicalAlerts = "CANARY" * 40
    header.StudyInstanceUID, header.SeriesInstanceUID = f"{UIDS}.1", f"{UIDS}.2"
    header.FrameOfReferenceUID, header.SOPInstanceUID = f"{UIDS}.3", f"{UIDS}.4.{number}"
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.RequestAttributesSequence = [planted_item()]
    header.SourceImageSequence = header.ReferencedImageSequence = [planted_item()]
    header.ProcedureCodeSequence = [planted_item()]
    header.update(planted_item())
    header.add_new(0x50000010, "US", 1)
    header.add_new(0x60004000, "LO", "CANARY overlay")


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """An MR series of a patient, down to the names of its folders and files."""
    folder = tmp_path / "CANARY^NAME" / "mr"
    head = study(910_000, size=40, spacing=6.0)
    write_volume(head.mr, folder, format="dicom")
    write_volume(head.ct, folder.parent / "ct.nii.gz")
    for number, path in enumerate(sorted(folder.iterdir())):
        header = dcmread(path)
        plant(header, number)
        header.save_as(folder / f"CANARY-{number}.dcm")
        path.unlink()
    return folder


TRANSLATE = ["translate", "--to", "ct"]


@pytest.mark.parametrize(
    ("command", "output", "options"),
    [
        (["convert"], "out", ["--format", "dicom"]),
        (["convert"], "out.nrrd", []),
        (TRANSLATE, "out", []),
        (TRANSLATE, "out", ["--compress", "--series", f"{UIDS}.2"]),
        (TRANSLATE, "out", ["--format", "nifti"]),
        (TRANSLATE, "out.nii.gz", ["--report", "report"]),
        (TRANSLATE, "out", ["--report", "report", "--reference", "../CANARY^NAME/ct.nii.gz"]),
    ],
)
def test_nothing_that_was_planted_comes_out(
    patient: Any,
    tmp_path: Path,
    small_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    command: Any,
    output: str,
    options: Any,
) -> None:
    written = tmp_path / "written"
    written.mkdir()
    monkeypatch.chdir(written)
    model = ["--model", str(small_model)] if command == TRANSLATE else []
    assert invoke([*command, str(patient), output, "--deidentify", *model, *options]) == 0
    said = capfd.readouterr()
    assert "still shows its face" in said.err
    files = {path.relative_to(written): path for path in written.rglob("*") if path.is_file()}
    assert len(files) > 1
    told = [said.out.encode(), said.err.encode(), caplog.text.encode()]
    told += [str(name).encode() for name in files]
    told += [gzip.decompress(path.read_bytes()) for path in files.values() if path.suffix == ".gz"]
    told += [path.read_bytes() for path in files.values()]
    assert [word for word in PLANTED if any(word.encode() in text for text in told)] == []


def test_a_deidentified_series_says_so_and_is_valid(
    patient: Any, tmp_path: Path, made: Callable[..., Derivation], validator_errors: Callable[..., list[str]]
) -> None:
    source = read_volume(patient)
    derivation = made("ct", deidentify=True)
    write_volume(source.with_values(source.values * 0), tmp_path / "ct", like=source, derivation=derivation)
    files = sorted((tmp_path / "ct").iterdir())
    headers = [dcmread(path) for path in files]
    assert validator_errors("dciodvfy", "-new", files[0]) == []
    assert validator_errors("dciodvfy", "-new", files[-1]) == []
    header = headers[0]
    assert header.PatientIdentityRemoved == "YES"
    (code,) = header.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert header.RecognizableVisualFeatures == "YES"
    assert str(header.PatientName) == header.PatientID
    assert header.PatientID.startswith("DEID-")
    assert [element.keyword for element in header if element.VR in ("DA", "DT", "TM") and element.value] == []
    # One frame of reference and study, a source image for each slice, all of them other than they were.
    sources = {item.SourceImageSequence[0].ReferencedSOPInstanceUID for item in headers}
    assert len(sources) == len(headers)
    assert len({(item.StudyInstanceUID, item.FrameOfReferenceUID) for item in headers}) == 1


def test_a_deidentified_copy_keeps_pixels_and_geometry_and_fits_its_translation(
    patient: Any, tmp_path: Path, made: Callable[..., Derivation]
) -> None:
    source = read_volume(patient)
    assert invoke(["convert", str(patient), str(tmp_path / "copy"), "--format", "dicom", "--deidentify"]) == 0
    again = read_volume(tmp_path / "copy")
    assert np.array_equal(again.values, source.values)
    assert np.array_equal(again.affine, source.affine)
    write_volume(
        source.with_values(source.values * 0),
        tmp_path / "ct",
        like=source,
        derivation=made("ct", deidentify=True),
    )
    copies = {header.SOPInstanceUID: header for header in map(dcmread, (tmp_path / "copy").glob("*.dcm"))}
    for header in map(dcmread, (tmp_path / "ct").iterdir()):
        copy = copies[header.SourceImageSequence[0].ReferencedSOPInstanceUID]
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "ImagePositionPatient"):
            assert header[keyword].value == copy[keyword].value


def test_the_same_uid_becomes_the_same_everywhere_under_one_key_and_the_standard_s_own_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = MRImageStorage, f"{UIDS}.4"
    source.ReferencedImageSequence = Sequence([planted_item()])
    source.ReferencedImageSequence[0].ReferencedSOPInstanceUID = f"{UIDS}.4"
    first, again = deidentified(source), deidentified(source)
    assert first == again
    assert first.SOPClassUID == MRImageStorage
    assert first.ReferencedImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert UID(first.SOPInstanceUID).is_valid
    assert first.SOPInstanceUID != source.SOPInstanceUID == f"{UIDS}.4"
    monkeypatch.setattr(deidentify, "_KEY", b"another")
    assert deidentified(source).SOPInstanceUID != first.SOPInstanceUID


def code(value: str, scheme: str = "DCM", meaning: str = "a method") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    item.update(planted_item(0))
    return item


@pytest.fixture
def refaced(patient: Path) -> Path:
    """The patient's series after another program took the face away and named how, and the patient too."""
    for path in patient.iterdir():
        header = dcmread(path)
        header.PatientIdentityRemoved, header.RecognizableVisualFeatures = "YES", "NO"
        header.DeidentificationMethod = ["Face replaced", "as CANARY-1 wished"]
        header.DeidentificationMethodCodeSequence = [code("113102"), code("mri_reface", "99MAYO")]
        header.save_as(path)
    return patient


@pytest.mark.parametrize("times", [1, 2])
def test_a_second_deidentification_keeps_what_the_first_said(
    refaced: Any, tmp_path: Path, made: Callable[..., Derivation], times: int
) -> None:
    folder = refaced
    for number in range(times):
        assert (
            invoke(["convert", str(folder), str(tmp_path / f"{number}"), "--format", "dicom", "--deidentify"])
            == 0
        )
        folder = tmp_path / f"{number}"
    source = read_volume(refaced)
    write_volume(
        source.with_values(source.values * 0),
        tmp_path / "ct",
        like=source,
        derivation=made("ct", deidentify=True),
    )
    for path in (*folder.glob("*.dcm"), *(tmp_path / "ct").iterdir()):
        header = dcmread(path)
        assert list(header.DeidentificationMethod) == ["Face replaced", deidentify.METHOD]
        codes = [item.CodeValue for item in header.DeidentificationMethodCodeSequence]
        assert codes == ["113102", "mri_reface", "113100"]
        assert header.RecognizableVisualFeatures == "NO"
        assert [word for word in PLANTED if word.encode() in path.read_bytes()] == []


def test_a_series_derived_with_identity_says_how_its_source_lost_the_face(
    refaced: Any, tmp_path: Path, made: Callable[..., Derivation], validator_errors: Callable[..., list[str]]
) -> None:
    source = read_volume(refaced)
    write_volume(source.with_values(source.values * 0), tmp_path / "ct", like=source, derivation=made("ct"))
    path = next((tmp_path / "ct").iterdir())
    header = dcmread(path)
    assert [item.CodeValue for item in header.DeidentificationMethodCodeSequence] == ["113102", "mri_reface"]
    assert (header.PatientIdentityRemoved, header.RecognizableVisualFeatures) == ("YES", "NO")
    assert header.DeidentificationMethod[0] == "Face replaced"
    assert validator_errors("dciodvfy", "-new", path) == []


def test_pixels_geometry_and_scale_are_left_alone() -> None:
    source = Dataset()
    source.ImagePositionPatient, source.PixelSpacing, source.RescaleSlope = [1, 2, 3], [0.5, 0.5], 2
    source.PixelData = np.arange(4).tobytes()
    clean = deidentified(source)
    assert all(clean[element.tag] == element for element in source)


def test_the_table_is_whole() -> None:
    table = deidentify._table()
    assert len(table) == 617
    # Spot checks against PS3.15 2024b Table E.1-1.
    assert [table[tag] for tag in (0x00100010, 0x00080018, 0x00081140, 0x00104000, 0x00080021)] == [
        *("Z", "U", "X/Z/U*", "X", "X/D")
    ]
