"""Patient and study of a source, taken over byte for byte.

An archive files an object by what it holds of the study already. So texts are never decoded and encoded
again: their bytes go over as they are, with the source's SpecificCharacterSet (0008,0005), present or absent,
right or wrong. What this package writes beside them is plain ASCII, which every character set of DICOM has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from medtranslate.errors import SeriesRefused
from medtranslate.io.dicom_files import file_of, raw_of, read_dicom
from medtranslate.io.dicom_series import name_of
from medtranslate.io.volume import Meta

FILED_BY = ("PatientID", "IssuerOfPatientID", "PatientName", "AccessionNumber")
"""Attributes by which archives file; they are copied unchecked, since the study already has them."""
TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""Attributes of patient and study that are written empty if the source has no valid value."""
PATIENT_AND_STUDY = (
    *TYPE_2,
    *("IssuerOfPatientID", "StudyDescription", "PatientAge", "PatientSize", "PatientWeight"),
    *("BodyPartExamined", "Laterality", "PatientIdentityRemoved", "DeidentificationMethod"),
)
"""Attributes that an object copies from a source without being one of its slices."""
OF_SLICES = ("PositionReferenceIndicator", "PatientPosition", "SliceThickness")
"""Further attributes that a derived series copies; the first two are written empty without a valid value."""
_SCANNER = ("Manufacturer", "ManufacturerModelName")
COPIED = (*PATIENT_AND_STUDY, *OF_SLICES, *_SCANNER, "SpecificCharacterSet")
"""Attributes that are copied as bytes."""
EMPTY = (*TYPE_2, *OF_SLICES[:2])
"""Attributes that a series has empty if they are unknown."""

_UIDS = {
    "StudyInstanceUID": Tag("StudyInstanceUID"),
    "FrameOfReferenceUID": Tag("FrameOfReferenceUID"),
    "SeriesInstanceUID": Tag("SeriesInstanceUID"),
    "SOPInstanceUID": Tag("SOPInstanceUID"),
    "SOPClassUID": Tag("SOPClassUID"),
}
_UID = re.compile(r"[0-9.]{1,64}")
_TERMS = {
    "PatientSex": ("M", "F", "O"),
    "PatientPosition": ("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"),
    "Laterality": ("R", "L"),
    "PatientIdentityRemoved": ("YES", "NO"),
}
_LONGEST = {"PN": 64, "LO": 64, "SH": 16}
"""Characters of a text, or of a component group of a name (PS3.5 6.2)."""
_CONTROLS = re.compile(rb"[\x00-\x1a\x1c-\x1f\x7f]|\x1b(?![$()-])")
"""Characters that no text may contain; escape may switch the character set (PS3.5 6.1.2.5)."""
_WITHOUT_SIDES = (
    *("HEAD", "BRAIN", "SKULL", "FACE", "JAW", "NECK", "HEADNECK", "CSPINE", "TSPINE", "LSPINE"),
    *("CHEST", "ABDOMEN", "PELVIS", "WHOLEBODY"),
)
"""Body parts (PS3.16 annex L) that are not one of a pair: Laterality must not be there (PS3.3 C.7.3.1)."""


def with_bytes(header: FileDataset) -> FileDataset:
    """Restore the file's bytes of the elements that are copied; comparing has decoded some."""
    header.update(read_dicom(file_of(header), COPIED))
    return header


def take_over(header: Dataset, source: Dataset, keywords: Sequence[str]) -> None:
    """Copy what is valid of `keywords`, and what archives file by, valid or not; else EMPTY is empty."""
    if _is_filled(source, "SpecificCharacterSet"):
        copy(header, source, "SpecificCharacterSet")
    for keyword in keywords:
        if _is_filled(source, keyword) and (keyword in FILED_BY or valid(source, keyword) is not None):
            copy(header, source, keyword)
        elif keyword in EMPTY:
            setattr(header, keyword, "")
    header.StudyInstanceUID = source.StudyInstanceUID
    if valid(header, "BodyPartExamined") in _WITHOUT_SIDES:
        header.pop("Laterality", None)
    elif "Laterality" not in header:
        header.Laterality = ""
    if valid(header, "PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in header:
        header.DeidentificationMethod = "As the source series"


def copy(header: Dataset, source: Dataset, keyword: str) -> None:
    """Copy an attribute, by its bytes where the source has them.

    Devices pad texts with NUL, which only UIDs may have; what archives file by stays as it is.
    """
    element = element_of(source, keyword)
    if isinstance(element, RawDataElement):
        value = element.value or b""
        if keyword not in FILED_BY and dictionary_VR(keyword) != "UI":
            value = value.rstrip(b"\0")
        padded = value + b" " * (len(value) % 2)
        element = RawDataElement(Tag(keyword), dictionary_VR(keyword), len(padded), padded, 0, False, True)
    if element is not None:
        header[element.tag] = element


def element_of(source: Dataset, key: str | BaseTag) -> DataElement | RawDataElement | None:
    """Give an element as the file holds it, or decoded if it was used before; None if it is absent."""
    if key not in source:
        return None
    # Without `keep_deferred` an empty value would be decoded, which fails where its VR is none.
    return cast(DataElement | RawDataElement, source.get_item(key, keep_deferred=True))


def notes_of(source: FileDataset) -> list[str]:
    """List what a derived series can't take over unchanged, by name and never by value."""
    source = with_bytes(source)
    wrong = [
        keyword
        for keyword in (*PATIENT_AND_STUDY, *OF_SLICES)
        if _is_filled(source, keyword) and valid(source, keyword) is None
    ]
    kept = [keyword for keyword in wrong if keyword in FILED_BY]
    lost = [keyword for keyword in wrong if keyword not in FILED_BY]
    notes = []
    if kept:
        notes.append(
            f"{', '.join(kept)}: not valid in the source, kept byte for byte, since archives file by it"
        )
    if lost:
        notes.append(f"{', '.join(lost)}: not valid in the source, left out of the derived series")
    return notes


def check_uids(sources: Sequence[FileDataset]) -> None:
    """Refuse a source whose identifiers are not UIDs: a derived series repeats and refers to them.

    Raises:
        SeriesRefused: names the file and the attribute.
    """
    for source in sources:
        check_named(source)
        for keyword, tag in _UIDS.items():
            if not _UID.fullmatch(_uid(source, tag) or "0"):
                raise SeriesRefused(f"{name_of(source)}: {keyword} is not a UID; export the series again")


def why_no_source(sources: Sequence[FileDataset]) -> str:
    """Explain why no DICOM file can be made from these images; empty if one can."""
    try:
        check_uids(sources)
    except SeriesRefused as refusal:
        return str(refusal)
    return ""


def require_source(meta: Meta) -> None:
    """Refuse a volume that no derived DICOM series can refer to.

    Args:
        meta: of the volume.

    Raises:
        SeriesRefused: an identifier of its source is missing, or no UID.
    """
    if meta.no_source:
        raise SeriesRefused(meta.no_source)


def check_named(source: FileDataset) -> None:
    """Refuse an image that lacks what a DICOM file made from it must have; reading it needs less.

    Raises:
        SeriesRefused: names the file and the attribute.
    """
    for keyword, tag in _UIDS.items():
        if keyword != "FrameOfReferenceUID" and not _uid(source, tag):
            raise SeriesRefused(
                f"{name_of(source)}: lacks {keyword}, which a DICOM output needs; write .nii.gz, or export"
                " the series again"
            )


def _uid(source: Dataset, tag: BaseTag) -> str:
    """Give a UID as the file holds it, without padding; empty if there is none."""
    value = raw_of(source, tag) or ""
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else value).strip(" \0")


def valid(source: Dataset, keyword: str) -> Any:
    """Give a value of the source if it is present, not empty, and valid for its VR and defined terms.

    The source keeps its bytes: what is decoded is a copy.
    """
    kept = element_of(source, keyword)
    try:
        element = source[keyword]
        DataElement(element.tag, dictionary_VR(keyword), element.value, validation_mode=_mode(element))
    except (KeyError, ValueError, TypeError, OverflowError, NotImplementedError):
        return None
    finally:
        if kept is not None:
            source[keyword] = kept
    if element.VR in _LONGEST:
        fits = _fits(kept, element)
    else:
        fits = not isinstance(element.value, bytes) and str(element.value).isprintable()
    allowed = _TERMS.get(keyword)
    return element.value or None if fits and (allowed is None or element.value in allowed) else None


def _mode(element: DataElement) -> int:
    """Texts are looked at by `_fits`, which knows of other character sets than pydicom."""
    return pydicom_config.IGNORE if element.VR in _LONGEST else pydicom_config.RAISE


def _fits(kept: DataElement | RawDataElement | None, element: DataElement) -> bool:
    """Return True for a text without control characters that is no longer than its VR allows.

    Characters are counted as declared and as UTF-8, which is what undeclared ones mostly are.
    """
    raw = kept.value if isinstance(kept, RawDataElement) else str(element.value).encode()
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    texts = "\\".join(map(str, values)), (raw or b"").decode("utf-8", "replace")
    groups = (re.split(r"[\\=]" if element.VR == "PN" else r"\\", text.strip(" \0")) for text in texts)
    longest = min(max(map(len, parts)) for parts in groups)
    return not _CONTROLS.search((raw or b"").strip(b" \0")) and longest <= _LONGEST[element.VR]


def _is_filled(source: Dataset, keyword: str) -> bool:
    """Return True for an attribute with more than padding."""
    element = element_of(source, keyword)
    value = element.value if element else None
    return bool(value.strip(b" \0") if isinstance(value, bytes) else value)


def scanner_of(source: Dataset) -> Iterator[Dataset]:
    """Maker and model of the scanner as an item, if the source says a maker."""
    if valid(source, _SCANNER[0]) is None:
        return
    item = Dataset()
    item.ManufacturerModelName = ""
    for keyword in _SCANNER:
        if valid(source, keyword) is not None:
            copy(item, source, keyword)
    # What was not decoded is to be written as it is.
    item.set_original_encoding(False, True)
    yield item
