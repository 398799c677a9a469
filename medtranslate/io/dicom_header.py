"""Header of a DICOM series of this package: patient, study, derivation and source.

Headers are built from a whitelist, never by copying a source's: real headers hold invalid values, and
much in them is untrue of a derived image. Declared are SyntheticData (PS3.3 C.12.1), derivation and
source images (C.7.6.1), and contributing equipment (C.12.1).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage, MRImageStorage

from medtranslate.io.dicom_texts import (
    COPIED,
    EMPTY,
    OF_SLICES,
    PATIENT_AND_STUDY,
    scanner_of,
    take_over,
    valid,
)
from medtranslate.records import Derivation

MANUFACTURER = "The medtranslate project"  # dcm2niix takes a name that starts with ME for another maker
_DOUBTS = 500
"""Characters of doubts in DerivationDescription, which holds 1024 in all."""
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_CLEANED = {
    "RecognizableVisualFeatures": ("YES", "NO"),
    "LongitudinalTemporalInformationModified": ("UNMODIFIED", "MODIFIED", "REMOVED"),
}
_METHODS = "DeidentificationMethodCodeSequence"
SOURCE_TAGS = (*COPIED, *_LOSSY, *_CLEANED, _METHODS, "SeriesNumber", "BurnedInAnnotation")


def uid(key: str, part: str) -> UID:
    """Derive a UID that is the same for the same content (PS3.5 B.2: 2.25 and a UUID as one number)."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medtranslate/{key}/{part}').int}")


def _new_header(modality: str, key: str, *, dated: bool = True) -> Dataset:
    """Make the header that all images of this package's series share."""
    header = own_header(modality.upper(), CTImageStorage if modality == "ct" else MRImageStorage, key, dated)
    header.FrameOfReferenceUID = uid(key, "frame")
    header.SyntheticData = "YES"
    header.BurnedInAnnotation = "NO"
    return header


def own_header(modality: str, kind: UID, key: str, dated: bool) -> Dataset:
    """Make the header that all files of this package share, with the date if `dated`."""
    now, header = datetime.now(), Dataset()
    for keyword in ("InstanceCreation", "Series", "Content") if dated else ():
        setattr(header, f"{keyword}Date", now.strftime("%Y%m%d"))
        setattr(header, f"{keyword}Time", now.strftime("%H%M%S"))
    header.Modality, header.SOPClassUID = modality, kind
    header.SeriesInstanceUID = uid(key, "series")
    header.Manufacturer = MANUFACTURER
    header.ManufacturerModelName = "medtranslate"
    header.SoftwareVersions = software_version()
    return header


def software_version() -> str:
    """Give the version of this package in the form that headers hold."""
    try:
        return version("medtranslate")
    except PackageNotFoundError:
        return "unknown"


def phantom_header(modality: str, key: str, study: str) -> Dataset:
    """Make the patient and study of a digital phantom; its CT and MR share `study`, hence coordinates."""
    header = _new_header(modality, key)
    for keyword in EMPTY:
        setattr(header, keyword, "")
    # A patient for each head, so that sets are split by head.
    header.PatientName, header.PatientID = "PHANTOM^HEAD", f"PHANTOM {uid(study, 'patient')[-12:]}"
    header.StudyInstanceUID, header.FrameOfReferenceUID = uid(study, "study"), uid(study, "frame")
    header.StudyDate, header.StudyTime = header.SeriesDate, "000000"
    header.StudyDescription = "Digital phantom"
    header.SeriesNumber = 1 if modality == "ct" else 2
    header.SeriesDescription = f"PHANTOM {modality.upper()}"
    header.PatientPosition, header.BodyPartExamined = "HFS", "HEAD"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "ct" else "OTHER"]
    return header


def unknown_header(modality: str, key: str) -> Dataset:
    """Make a patient and a study for a volume from a file that has neither.

    Whether the volume is a scan or computed is unknown, so neither is said.
    """
    header = _new_header(modality, key)
    del header.SyntheticData, header.BurnedInAnnotation
    for keyword in EMPTY:
        setattr(header, keyword, "")
    header.PatientName, header.PatientID = "UNKNOWN^PATIENT", f"CONVERTED-{key[:12]}"
    header.StudyInstanceUID = uid(key, "study")
    header.StudyDate, header.StudyTime = header.SeriesDate, header.SeriesTime
    header.SeriesNumber, header.Laterality = 1, ""
    header.SeriesDescription = f"CONVERTED {modality.upper()}, ORIGIN UNKNOWN"
    header.DerivationDescription = "Converted from a file without patient, study and acquisition"
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "ct" else "OTHER"]
    return header


def derived_header(sources: Sequence[Dataset], derivation: Derivation, key: str) -> Dataset:
    """Identity and study from the source, everything about the image itself new."""
    first, modality, model = sources[0], derivation.model.to, derivation.model
    header = _new_header(modality, key, dated=not derivation.deidentify)
    take_over(header, first, (*PATIENT_AND_STUDY, *OF_SLICES))
    header.update(deidentification_of(first))
    if first.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = first.FrameOfReferenceUID
    if derivation.burned_in or any(source.get("BurnedInAnnotation") == "YES" for source in sources):
        header.BurnedInAnnotation = "YES"
    lossy = next((source for source in sources if source.get("LossyImageCompression") == "01"), Dataset())
    for keyword in _LOSSY:
        if (taken := valid(lossy, keyword)) is not None:
            setattr(header, keyword, taken)
    name = basic(model.name)
    kind = f"{modality} {model.contrast or ''}".strip().upper()
    what = f"SYNTHETIC {kind}, RESEARCH ONLY"
    made = f"Computed from {derivation.source.upper()} by model {name} (sha256 {model.sha256})"
    header.SeriesNumber = series_number(first, 9000)
    header.SeriesDescription = f"{what}, {name}"
    doubt = basic(f"DOUBTFUL: {'; '.join(derivation.doubts)}")[:_DOUBTS] + ". " if derivation.doubts else ""
    header.DerivationDescription = f"{doubt}{made}; not acquired by a scanner; research only"
    header.DerivationCodeSequence = [dicom_term("ArtificialIntelligence")]
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "ct" else "OTHER"]
    header.ContributingEquipmentSequence = [*_scanner(first), _this_software(header, made)]
    return header


def series_number(source: Dataset, base: int) -> int:
    """Compute the number of a derived series: `base` and the last three digits of the source's."""
    return base + int(valid(source, "SeriesNumber") or 0) % 1000


def basic(text: str) -> str:
    """Text in the characters that every character set of DICOM has, others as question marks."""
    return re.sub(r"[^ -\[\]-~]", "?", text)


def deidentification_of(source: Dataset) -> Dataset:
    """Copy the record of a de-identification, beside the text that `take_over` copies."""
    said = Dataset()
    for keyword, terms in _CLEANED.items():
        if (value := source.get(keyword)) in terms:
            setattr(said, keyword, value)
    methods = [
        coded(*(basic(str(item.get(part, ""))) for part in _CODE))
        for item in source.get(_METHODS) or []
        if item.get("CodeValue") and item.get("CodingSchemeDesignator")
    ]
    if methods:
        setattr(said, _METHODS, methods)
    return said


_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """Make a code an item of a sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def dicom_term(keyword: str) -> Dataset:
    """Make a term of DICOM's own terminology (PS3.16 annex D) an item of a sequence."""
    from pydicom.sr.codedict import codes  # large tables, which only writers need

    code = getattr(codes.DCM, keyword)
    return coded(code.value, code.scheme_designator, code.meaning)


def _scanner(source: Dataset) -> Iterator[Dataset]:
    for item in scanner_of(source):
        item.PurposeOfReferenceCodeSequence = [dicom_term("AcquisitionEquipment")]
        yield item


def _this_software(header: Dataset, made: str) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [dicom_term("SynthesizingEquipment")]
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
        setattr(item, keyword, header[keyword].value)
    if "SeriesDate" in header:
        item.ContributionDateTime = f"{header.SeriesDate}{header.SeriesTime}"
    item.ContributionDescription = made
    return item


def refer_to(header: Dataset, source: Dataset) -> None:
    """Say which slice, or frame of an enhanced image, this one was made from (PS3.3 C.7.6.1, C.12.2)."""
    image, series, reference = Dataset(), Dataset(), Dataset()
    for item in (image, reference):
        item.ReferencedSOPClassUID = source.SOPClassUID
        item.ReferencedSOPInstanceUID = source.SOPInstanceUID
        if "ReferencedFrameNumber" in source:
            item.ReferencedFrameNumber = source.ReferencedFrameNumber
    image.PurposeOfReferenceCodeSequence = [dicom_term("SourceImageForImageProcessingOperation")]
    image.SpatialLocationsPreserved = "YES"
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedInstanceSequence = [reference]
    header.SourceImageSequence = [image]
    header.ReferencedSeriesSequence = [series]
