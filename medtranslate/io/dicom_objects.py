"""DICOM objects beside a derived series in the patient's study: a document, scores, a reader's regions.

Each is one file. Patient and study are the source's, read again and checked as for a derived series; UIDs
follow the same rule (`dicom_header.uid`). Encapsulated PDF: PS3.3 A.45.1; Enhanced SR: A.35.2; Comprehensive
3D SR: A.35.13. highdicom puts the reports together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
)

from medtranslate.errors import UsageError
from medtranslate.geometry import Stack
from medtranslate.io.dicom_files import without_comment
from medtranslate.io.dicom_header import (
    basic,
    deidentification_of,
    own_header,
    series_number,
    uid,
)
from medtranslate.io.dicom_texts import PATIENT_AND_STUDY, take_over
from medtranslate.io.dicom_write import sources_of
from medtranslate.io.volume import Volume
from medtranslate.modality import UCUM

SCHEME = "99MEDTRANSLATE"
"""Designator of the codes that no public scheme has; 99 is for private ones (PS3.3 8.2)."""
_REPORTS: dict[str, tuple[type[sr.EnhancedSR | sr.Comprehensive3DSR], UID, int]] = {
    "scores": (sr.EnhancedSR, EnhancedSRStorage, 7000),
    "regions": (sr.Comprehensive3DSR, Comprehensive3DSRStorage, 5000),
}
"""Class of highdicom, SOP class and number of the series, by kind of a measurement report."""
_NO_DATE, _NO_TIME = "19000101", "000000"
"""Date and time of the standard for required values that must not be given (PS3.15 E.1)."""


@dataclass(frozen=True)
class Study:
    """A patient's study as its source series tells it.

    Attributes:
        sources: headers of the series' slices along their normal.
        stack: their grid; None for images that are no stack.
        digest: of its voxels.
        deidentify: the headers have lost what identifies the patient, and objects are not dated.
    """

    sources: Sequence[Dataset]
    stack: Stack | None
    digest: str
    deidentify: bool


@without_comment()
def open_study(like: Volume, *, deidentify: bool = False) -> Study:
    """Open the study of a DICOM series that `read_volume` gave.

    Raises:
        UsageError: it is no DICOM series.
        InputRefused: its files are gone or changed, or an identifier is no UID.
    """
    if like.meta.format != "dicom" or like.meta.digest is None:
        raise UsageError(
            f"{like.meta.path or 'the source'}: is no DICOM series, so there is no study to file in;"
            " give the series that was translated (--source), or leave the view dicom away"
        )
    return Study(*sources_of(like, deidentify=deidentify), like.meta.digest, deidentify)


def unit_code(unit: str) -> CodedConcept:
    """Give the UCUM code of a unit; "no units" for what has none, such as grey levels."""
    value, meaning = UCUM.get(unit, ("1", "no units"))
    return CodedConcept(value, "UCUM", meaning)


@without_comment()
def write_pdf(document: bytes, title: str, study: Study, path: Path) -> None:
    """Write a PDF as an Encapsulated PDF (PS3.3 C.24)."""
    header = object_header(
        study, "DOC", EncapsulatedPDFStorage, document, f"REPORT, RESEARCH ONLY, {title}", 6000
    )
    header.ConversionType = "SYN"
    header.BurnedInAnnotation = "NO"
    header.AcquisitionDateTime = None
    for keyword in ("ContentDate", "ContentTime"):
        header.setdefault(keyword, None)
    header.DocumentTitle = basic(title)[:1024]
    header.ConceptNameCodeSequence = []
    header.VerificationFlag = "UNVERIFIED"
    header.MIMETypeOfEncapsulatedDocument = "application/pdf"
    header.SourceInstanceSequence = [reference_to(image) for image in images_of(study.sources)]
    header.EncapsulatedDocument = document + bytes(len(document) % 2)
    header.EncapsulatedDocumentLength = len(document)
    save_object(header, path)


@without_comment()
def write_scores(
    content: sr.MeasurementReport,
    about: Sequence[Dataset],
    title: str,
    study: Study,
    path: Path,
    kind: Literal["scores", "regions"] = "scores",
) -> None:
    """Write a measurement report (PS3.16 TID 1500): scores as Enhanced SR, regions as Comprehensive 3D SR.

    Args:
        content: made by highdicom.
        about: headers of the images that it refers to.
        title: of the series.
        kind: of the content; only regions have coordinates in space.
    """
    key = content[0].to_json().encode()
    form, storage, base = _REPORTS[kind]
    header = object_header(study, "SR", storage, key, f"{kind.upper()}, RESEARCH ONLY, {title}", base)
    add_dates(header)
    made = form(
        evidence=[bare_slice(image, header.SeriesInstanceUID) for image in images_of(about)],
        content=content,
        series_instance_uid=header.SeriesInstanceUID,
        series_number=header.SeriesNumber,
        sop_instance_uid=header.SOPInstanceUID,
        instance_number=1,
        manufacturer=header.Manufacturer,
        is_complete=True,
        coding_schemes=[
            CodingSchemeIdentificationItem(
                SCHEME, name="medtranslate", responsible_organization=header.Manufacturer
            )
        ],
    )
    made.update(header)
    _separate(made)
    save_object(made, path)


def object_header(
    study: Study, modality: str, kind: UID, content: bytes, description: str, base: int
) -> Dataset:
    """Patient, study, series and equipment of an object; its UIDs follow from content and source."""
    first = study.sources[0]
    key = f"{hashlib.sha256(content).hexdigest()}/{study.digest}/{first.SeriesInstanceUID}/{kind}"
    header = own_header(modality, kind, key, dated=not study.deidentify)
    take_over(header, first, PATIENT_AND_STUDY)
    header.SOPInstanceUID = uid(key, "0")
    header.InstanceNumber = 1
    header.SeriesNumber = series_number(first, base)
    header.SeriesDescription = basic(description)[:64]
    header.update(deidentification_of(first))
    return header


def add_dates(header: Dataset) -> None:
    """Dates where the standard wants them and highdicom would put today's."""
    for keyword in ("InstanceCreation", "Content"):
        header.setdefault(f"{keyword}Date", _NO_DATE)
        header.setdefault(f"{keyword}Time", _NO_TIME)


def images_of(planes: Sequence[Dataset]) -> list[Dataset]:
    """One header for each image, of which an enhanced one has many planes."""
    return list({plane.SOPInstanceUID: plane for plane in planes}.values())


def _separate(item: Dataset) -> None:
    """Call content a list of items, not running text, in which a reader would leave out their names."""
    if "ContinuityOfContent" in item:
        item.ContinuityOfContent = "SEPARATE"
    for child in item.get("ContentSequence", []):
        _separate(child)


def reference_to(image: Dataset) -> Dataset:
    """Make an item that refers to an image."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item


def bare_slice(source: Dataset, frame: UID) -> Dataset:
    """Copy what highdicom reads of a slice, without identity, which the object's own header has.

    Args:
        source: header of the slice.
        frame: of reference, for a source that has none.
    """
    bare = Dataset()
    bare.FrameOfReferenceUID = frame
    for keyword in _PLACE:
        if keyword in source:
            setattr(bare, keyword, source[keyword].value)
    for keyword in _IDENTITY:
        setattr(bare, keyword, "")
    return bare


_IDENTITY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
_PLACE = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns"),
    "Modality",
)


def save_object(made: Dataset, path: Path) -> None:
    """Write with a file header of our own, and what was copied as bytes as such."""
    made.set_original_encoding(False, True, made._character_set)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.preamble = bytes(128)
    made.save_as(path, enforce_file_format=True)
