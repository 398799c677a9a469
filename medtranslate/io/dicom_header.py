"""What a DICOM series of this package says of itself: who, which study, made how, from what.

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
from typing import Any

from pydicom import config as pydicom_config
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, CTImageStorage, MRImageStorage

from medtranslate.errors import SeriesRefused
from medtranslate.io.dicom_series import name_of
from medtranslate.result import Derivation

MANUFACTURER = "The medtranslate project"  # dcm2niix takes a name that starts with ME for another maker
_PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
# Type 2: written empty where the source has nothing valid.
_TAKEN = (*_PATIENT_AND_STUDY, "PositionReferenceIndicator", "PatientPosition")
_MORE_OF_PATIENT_AND_STUDY = (
    *("IssuerOfPatientID", "StudyDescription", "PatientAge", "PatientSize", "PatientWeight"),
    *("BodyPartExamined", "Laterality", "PatientIdentityRemoved", "DeidentificationMethod"),
)
_TAKEN_IF_THERE = (*_MORE_OF_PATIENT_AND_STUDY, "SliceThickness")
PATIENT_AND_STUDY = (*_PATIENT_AND_STUDY, *_MORE_OF_PATIENT_AND_STUDY)
"""What an object takes over from a source that is no slice of its own."""
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
SOURCE_TAGS = (
    *_TAKEN,
    *_TAKEN_IF_THERE,
    *_LOSSY,
    *("SpecificCharacterSet", "SeriesNumber", "Manufacturer", "ManufacturerModelName", "BurnedInAnnotation"),
)
_UTF_8 = "ISO_IR 192"

_UIDS = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_TERMS = {
    "PatientSex": ("M", "F", "O"),
    "PatientPosition": ("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"),
    "Laterality": ("R", "L"),
    "PatientIdentityRemoved": ("YES", "NO"),
}

_WITHOUT_SIDES = (
    *("HEAD", "BRAIN", "SKULL", "FACE", "JAW", "NECK", "HEADNECK", "CSPINE", "TSPINE", "LSPINE"),
    *("CHEST", "ABDOMEN", "PELVIS", "WHOLEBODY"),
)
"""Body parts (PS3.16 annex L) that are not one of a pair: Laterality must not be there (PS3.3 C.7.3.1)."""


def uid(key: str, part: str) -> UID:
    """A UID that is the same for the same content (PS3.5 B.2: 2.25 and a UUID as one number)."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medtranslate/{key}/{part}').int}")


def _new_header(modality: str, key: str, *, dated: bool = True) -> Dataset:
    """What every image of this package's series says of itself."""
    header = own_header(modality.upper(), CTImageStorage if modality == "ct" else MRImageStorage, key, dated)
    header.FrameOfReferenceUID = uid(key, "frame")
    header.SyntheticData = "YES"
    header.BurnedInAnnotation = "NO"
    return header


def own_header(modality: str, kind: UID, key: str, dated: bool) -> Dataset:
    """What every file of this package says of itself, and when it was made unless that is to stay unsaid."""
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
    """The version of this package, as headers say it."""
    try:
        return version("medtranslate")
    except PackageNotFoundError:
        return "unknown"


def phantom_header(modality: str, key: str, study: str) -> Dataset:
    """A digital phantom's own patient and study; its CT and MR share `study` and so their coordinates."""
    header = _new_header(modality, key)
    for keyword in _TAKEN:
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
    """A patient and a study of its own for a volume that comes from a file without either.

    Whether the volume is a scan or computed is unknown, so neither is said.
    """
    header = _new_header(modality, key)
    del header.SyntheticData, header.BurnedInAnnotation
    for keyword in _TAKEN:
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
    take_over(header, first, (*_TAKEN, *_TAKEN_IF_THERE))
    if first.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = first.FrameOfReferenceUID
    if derivation.burned_in or any(source.get("BurnedInAnnotation") == "YES" for source in sources):
        header.BurnedInAnnotation = "YES"
    lossy = next((source for source in sources if source.get("LossyImageCompression") == "01"), Dataset())
    for keyword in _LOSSY:
        if (taken := valid(lossy, keyword)) is not None:
            setattr(header, keyword, taken)
    name = basic(model.name)
    what = f"SYNTHETIC {modality.upper()}, RESEARCH ONLY"
    made = f"Computed from {derivation.source.upper()} by model {name} (sha256 {model.sha256})"
    header.SeriesNumber = series_number(first, 9000)
    header.SeriesDescription = f"{what}, {name}"
    header.DerivationDescription = f"{made}; not acquired by a scanner; research only"
    header.DerivationCodeSequence = [coded(codes.DCM.ArtificialIntelligence)]
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "ct" else "OTHER"]
    header.ContributingEquipmentSequence = [*_scanner(first), _this_software(header, made)]
    return header


def take_over(header: Dataset, source: Dataset, keywords: Sequence[str]) -> None:
    """Patient and study of a source: what is valid of `keywords`, empty where the standard wants one."""
    header.SpecificCharacterSet = _character_set(source)
    for keyword in keywords:
        taken = valid(source, keyword)
        if taken is not None or keyword in _TAKEN:
            setattr(header, keyword, taken or "")
    header.StudyInstanceUID = source.StudyInstanceUID
    if header.get("BodyPartExamined") in _WITHOUT_SIDES:
        header.pop("Laterality", None)
    elif "Laterality" not in header:
        header.Laterality = ""
    if header.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in header:
        header.DeidentificationMethod = "As the source series"


def series_number(source: Dataset, base: int) -> int:
    """A number for a derived series: `base` and the last three digits of the source's."""
    return base + int(valid(source, "SeriesNumber") or 0) % 1000


def basic(text: str) -> str:
    """Text in the characters that every character set of DICOM has, others as question marks."""
    return re.sub(r"[^ -\[\]-~]", "?", text)


def check_uids(sources: Sequence[FileDataset]) -> None:
    """Refuse a source whose identifiers are not UIDs: a derived series repeats and refers to them.

    Raises:
        SeriesRefused: names the file and the attribute.
    """
    for source in sources:
        for keyword in _UIDS:
            if not re.fullmatch(r"[0-9.]{1,64}", str(source.get(keyword) or "0")):
                raise SeriesRefused(f"{name_of(source)}: {keyword} is not a UID; export the series again")


def _character_set(source: Dataset) -> str | list[str]:
    """The source's, so that its names stay byte for byte the same in one study; UTF-8 where it has none."""
    given = source.get("SpecificCharacterSet") or _UTF_8
    names = [given] if isinstance(given, str) else list(given)
    return names if all(name in python_encoding for name in names) else _UTF_8


def valid(source: Dataset, keyword: str) -> Any:
    """A value of the source if it is there, not empty, and valid for its VR and its defined terms."""
    try:
        element = source[keyword]
        DataElement(element.tag, dictionary_VR(keyword), element.value, validation_mode=pydicom_config.RAISE)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    if isinstance(element.value, bytes) or not str(element.value).isprintable():
        return None
    # PS3.5 6.2: a component group of a name has 64 characters at most; pydicom takes names as they come.
    if element.VR == "PN" and any(len(group) > 64 for group in str(element.value).split("=")):
        return None
    allowed = _TERMS.get(keyword)
    return element.value or None if allowed is None or element.value in allowed else None


def coded(code: Code) -> Dataset:
    """A code as an item of a sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def _scanner(source: Dataset) -> Iterator[Dataset]:
    maker = valid(source, "Manufacturer")
    if maker is None:
        return
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded(codes.DCM.AcquisitionEquipment)]
    item.Manufacturer, item.ManufacturerModelName = maker, valid(source, "ManufacturerModelName") or ""
    yield item


def _this_software(header: Dataset, made: str) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SynthesizingEquipment)]
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
    image.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SourceImageForImageProcessingOperation)]
    image.SpatialLocationsPreserved = "YES"
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedInstanceSequence = [reference]
    header.SourceImageSequence = [image]
    header.ReferencedSeriesSequence = [series]
