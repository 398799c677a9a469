"""De-identification of DICOM headers by the basic profile of PS3.15 Annex E.

`ps3_15.csv` has the tags and the basic profile's actions of Table E.1-1 as of edition 2024b; private
attributes and the repeating groups 50xx (curves) and 60xx (overlays) are rules here. What the table does
not list is held to its kind: names, dates and times are emptied, free text goes, UIDs are replaced.
"""

from __future__ import annotations

import csv
import hmac
import os
import re
import secrets
from functools import cache
from importlib.resources import files

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from medtranslate.io.dicom_header import basic, deidentification_of, dicom_term
from medtranslate.io.dicom_texts import element_of, valid

KEY_VARIABLE = "MEDTRANSLATE_DEIDENTIFY_KEY"
"""Variable that makes the UIDs and pseudonyms of several runs agree; without it each run has its own key."""
FACES = (
    "de-identified by header alone: a head still shows its face, and pictures may hold burned-in text;"
    " deface the images before they are shared"
)
METHOD = "PS3.15 2024b Annex E, basic profile, by medtranslate"
_STANDARD = "1.2.840.10008."
_BY_KIND = {
    **dict.fromkeys(("PN", "DA", "TM", "DT", "AS"), "Z"),
    **dict.fromkeys(("LT", "ST", "UT", "UC", "UR", "UN"), "X"),
    "UI": "U",
}
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "OB": b"\0\0", "SQ": []}
_TEXTS = ("SH", "LO", "PN", "ST", "LT", "UC", "UT")
"""VR whose bytes depend on the character set."""
_PSEUDONYMS = ("PatientID", "PatientName")
_KEY = os.environ.get(KEY_VARIABLE, "").encode() or secrets.token_bytes(32)


def deidentified(source: Dataset) -> Dataset:
    """Copy a header without what identifies a patient, at any depth; the copy says so.

    Private attributes go. A UID becomes another, the same for the same UID under one key; those that the
    standard itself defines stay. PatientID and PatientName become one pseudonym, so that two patients do
    not become one in an archive. Faces and text in the pixels are not touched, and the result says that
    it may show them.
    """
    clean = _without_identity(source)
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = [*_earlier_methods(source), METHOD]
    clean.update(_declaration(source))
    implicit, little = source.original_encoding
    clean.set_original_encoding(implicit, little, source.original_character_set)
    return clean


def _declaration(source: Dataset) -> Dataset:
    """List the attributes that accompany PatientIdentityRemoved and DeidentificationMethod.

    What was said of an earlier de-identification stays: codes are added (PS3.15 E.1.1), and a face that was
    replaced is not there again.
    """
    declared = deidentification_of(source)
    own = dicom_term("BasicApplicationConfidentialityProfile")
    earlier = list(declared.get("DeidentificationMethodCodeSequence", []))
    declared.DeidentificationMethodCodeSequence = [*(item for item in earlier if item != own), own]
    declared.LongitudinalTemporalInformationModified = "REMOVED"
    declared.setdefault("RecognizableVisualFeatures", "YES")
    return declared


def _earlier_methods(source: Dataset) -> list[str]:
    """Texts on earlier de-identifications, but those that name the patient after all."""
    said = valid(source, "DeidentificationMethod") or []
    texts = [basic(text) for text in ([said] if isinstance(said, str) else said)]
    patient = {*re.split(r"[\^=\s]+", str(source.get("PatientName", ""))), str(source.get("PatientID", ""))}
    told = [re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE) for word in patient if word.strip()]
    return [text for text in texts if text != METHOD and not any(word.search(text) for word in told)]


def _without_identity(source: Dataset) -> Dataset:
    clean = Dataset()
    for tag in sorted(source.keys()):
        kept, element = element_of(source, tag), source[tag]
        action = _action(element)
        if action == "K" and isinstance(kept, RawDataElement) and element.VR in _TEXTS:
            clean[tag] = kept._replace(VR=element.VR)  # byte for byte, whatever the character set
        elif action != "X":
            clean.add_new(element.tag, element.VR, _value(element, action))
    clean.set_original_encoding(*source.original_encoding)
    patient = str(source.get("PatientID") or source.get("PatientName") or "")
    pseudonym = f"DEID-{_digest(patient)[:12].upper()}"
    for keyword in _PSEUDONYMS:
        if source.get(keyword):
            setattr(clean, keyword, pseudonym)
    return clean


def _action(element: DataElement) -> str:
    """X remove, Z empty, D dummy, U other UID, K keep; of alternatives, the one that keeps an image valid."""
    if element.tag.is_private or element.tag.group & 0xFF00 in (0x5000, 0x6000):
        return "X"
    listed = _table().get(element.tag)
    return listed.rstrip("*").rsplit("/")[-1] if listed else _BY_KIND.get(element.VR, "K")


@cache
def _table() -> dict[int, str]:
    rows = csv.DictReader(files("medtranslate.io").joinpath("ps3_15.csv").read_text("ascii").splitlines())
    return {int(row["tag"], 16): row["action"] for row in rows}


def _value(element: DataElement, action: str) -> object:
    if action == "Z":
        return [] if element.VR == "SQ" else None
    if action == "D":
        return _DUMMIES.get(element.VR, "REMOVED")
    if element.VR == "SQ":
        return [_without_identity(item) for item in element.value]
    if element.VR == "UI" and element.value:
        uids = element.value if isinstance(element.value, MultiValue) else [element.value]
        return [_other_uid(str(uid)) for uid in uids]
    return element.value


def _other_uid(uid: str) -> UID:
    """Derive another UID in the form of `uuid` (PS3.5 B.2), from which the first cannot be found."""
    return UID(uid if uid.startswith(_STANDARD) else f"2.25.{int(_digest(uid)[:32], 16)}")


def _digest(text: str) -> str:
    return hmac.new(_KEY, text.encode(), "sha256").hexdigest()
