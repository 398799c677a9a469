"""Patient and study of a source, in the derived series: the same bytes, or a word that they are not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from medtranslate.cli import invoke
from medtranslate.errors import SeriesRefused
from medtranslate.io import Meta, Volume, read_volume, write_volume
from medtranslate.io.dicom_files import without_comment
from medtranslate.io.dicom_objects import open_study, write_pdf
from medtranslate.io.dicom_write import write_deidentified
from medtranslate.phantom import study
from medtranslate.records import Derivation

NAMES = {
    "ISO_IR 100": "Müller^Jörg".encode("latin-1"),
    "ISO_IR 101": "Žižek^Łukasz".encode("iso8859-2"),
    "ISO_IR 109": "Ĉapo^Ĝis".encode("iso8859-3"),
    "ISO_IR 110": "Ķēniņš^Jānis".encode("iso8859-4"),
    "ISO_IR 144": "Иванов^Иван".encode("iso8859-5"),
    "ISO_IR 127": "محمد^علي".encode("iso8859-6"),
    "ISO_IR 126": "Διονυσιος".encode("iso8859-7"),
    "ISO_IR 138": "שרון^דבורה".encode("iso8859-8"),
    "ISO_IR 148": "Çağlar^Işıl".encode("iso8859-9"),
    "ISO_IR 203": "Žižek^Œuvre".encode("iso8859-15"),
    "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"),
    "ISO_IR 166": "นามสกุล^ชื่อ".encode("iso8859-11"),
    "ISO_IR 192": "Ямада^Тарō=山田^太郎".encode(),
    "GB18030": "Wang^XiaoDong=王^小东".encode("gb18030"),
    "GBK": "王^小东".encode("gbk"),
    "\\ISO 2022 IR 58": b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
    "\\ISO 2022 IR 87": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    "\\ISO 2022 IR 149": b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
    "unknown": "O\x92Brien^Zoë".encode("latin-1"),
}
"""A name in each character set, encoded; the last is that of Windows under no name that DICOM knows."""


@without_comment()
def plant(path: Path, **values: bytes | None) -> None:
    """Put bytes into the header of a file as they are; None takes an attribute out."""
    header = dcmread(path)
    for keyword, value in {"SpecificCharacterSet": None, **values}.items():
        header.pop(keyword, None)
        if value is not None:
            tag, even = Tag(keyword), value + b" " * (len(value) % 2)
            header[tag] = RawDataElement(tag, dictionary_VR(tag), len(even), even, 0, False, True)
    # So that pydicom writes them as they are.
    header.set_original_encoding(False, True, header._character_set)
    header.save_as(path)


@without_comment()
def bytes_of(path: Path, keyword: str) -> bytes | None:
    """The bytes of an attribute, without what pads them; None if it is not there."""
    header = dcmread(path, specific_tags=[keyword])
    if keyword not in header:
        return None
    value = header.get_item(keyword).value
    if not isinstance(value, bytes):  # SpecificCharacterSet, which pydicom decodes at once
        value = "\\".join([value] if isinstance(value, str) else value).encode()
    return value.rstrip(b" ")


@pytest.fixture
def derive(
    tmp_path: Path, make_volume: Callable[..., Volume], made: Callable[..., Derivation]
) -> Callable[..., tuple[Path, Path, Meta]]:
    """Plant bytes into a slice and derive another from it: the file of each, and the source's meta."""

    def act(**values: bytes | None) -> tuple[Path, Path, Meta]:
        for name in ("source", "ct"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        write_volume(make_volume("mr", (8, 6, 1)), tmp_path / "source")
        path = tmp_path / "source" / "IM0001.dcm"
        plant(path, **values)
        source = read_volume(path)
        write_volume(
            source.with_values(source.values * 0), tmp_path / "ct", like=source, derivation=made("ct")
        )
        return path, tmp_path / "ct" / "IM0001.dcm", source.meta

    return act


@pytest.mark.parametrize("declared", ["rightly", "not", "wrongly", "by no known term"])
def test_a_name_keeps_its_bytes_whatever_its_character_set(derive: Any, declared: str) -> None:
    for term, name in NAMES.items():
        said = {
            "rightly": None if term == "unknown" else term.encode(),
            "not": None,
            "wrongly": b"ISO_IR 100" if term == "ISO_IR 192" else b"ISO_IR 192",
            "by no known term": b"ISO_IR_99",
        }[declared]
        given = {
            "SpecificCharacterSet": said,
            "PatientName": name,
            "ReferringPhysicianName": name,
            "StudyDescription": name.replace(b"^", b" "),
            "PatientID": name[:20],
        }
        source, derived, meta = derive(**given)
        for keyword, value in given.items():
            assert bytes_of(source, keyword) == value, (term, keyword)
            assert bytes_of(derived, keyword) == value, (term, keyword)
        assert meta.identity == (), term


def test_an_undeclared_text_is_counted_in_characters_not_bytes(derive: Any) -> None:
    said = {"StudyDescription": ("Голова " * 8).strip().encode(), "StudyID": "ИССЛ-2024".encode()}
    _, derived, meta = derive(**said)
    assert {keyword: bytes_of(derived, keyword) for keyword in said} == said
    assert meta.identity == ()


INVALID = {
    "an accession number that is too long": {"AccessionNumber": b"ACC12345678901234567"},
    "a patient's number that is too long": {"PatientID": b"P" * 65},
    "a patient's number with a tab": {"PatientID": b"T00\t01"},
    "an issuer that is too long": {"IssuerOfPatientID": b"I" * 65},
    "a name that is too long": {"PatientName": b"N" * 65},
}


@pytest.mark.parametrize("case", INVALID)
def test_what_archives_file_by_is_kept_though_it_is_not_valid_and_said_by_name(
    derive: Any, case: str
) -> None:
    ((keyword, value),) = INVALID[case].items()
    source, derived, meta = derive(**INVALID[case])
    assert bytes_of(source, keyword) == bytes_of(derived, keyword) == value
    assert meta.identity == (
        f"{keyword}: not valid in the source, kept byte for byte, since archives file by it",
    )


def test_what_else_is_not_valid_is_left_out_and_said_by_name(derive: Any) -> None:
    planted = {
        "StudyID": b"S" * 17,
        "ReferringPhysicianName": b"R" * 65,
        "StudyDescription": b"CANARY\x00\x07",
        "PatientBirthDate": b"CANARY",
        "PatientSex": b"X",
    }
    _, derived, meta = derive(**planted)
    for keyword in ("StudyID", "ReferringPhysicianName", "PatientBirthDate", "PatientSex"):
        assert bytes_of(derived, keyword) == b""
    assert bytes_of(derived, "StudyDescription") is None
    (said,) = meta.identity
    assert all(keyword in said for keyword in planted)
    assert "CANARY" not in repr(meta)


def test_the_record_says_what_was_kept_or_left_out(tmp_path: Path, small_model: Path) -> None:
    head = study(910_001, size=32, spacing=7.0)
    write_volume(head.mr, tmp_path / "mr")
    for path in (tmp_path / "mr").iterdir():
        plant(path, AccessionNumber=b"CANARY45678901234567", StudyID=b"CANARY78901234567")
    command = ["translate", str(tmp_path / "mr"), "--to", "ct", "--model", str(small_model), "--quiet"]
    for name, options, told in (("a", [], True), ("b.nii.gz", [], False), ("c", ["--deidentify"], False)):
        assert invoke([*command[:2], str(tmp_path / name), *command[2:], *options]) == 0
        record = tmp_path / ("b.translation.json" if "." in name else f"{name}/translation.json")
        text = record.read_text()
        assert ("AccessionNumber: not valid" in text) == ("StudyID: not valid" in text) == told
        assert "CANARY" not in text


@pytest.mark.parametrize("term", ["\\ISO 2022 IR 58", "ISO_IR 203"])
def test_a_document_beside_the_series_keeps_the_bytes_too(derive: Any, tmp_path: Path, term: str) -> None:
    source, _, _ = derive(PatientName=NAMES[term], SpecificCharacterSet=term.encode(), PatientID=b"\xfc")
    write_pdf(b"%PDF-1.4", "a title", open_study(read_volume(source)), tmp_path / "report.dcm")
    for keyword in ("PatientName", "PatientID", "SpecificCharacterSet"):
        assert bytes_of(tmp_path / "report.dcm", keyword) == bytes_of(source, keyword)


def test_a_scanner_s_name_keeps_its_bytes(derive: Any) -> None:
    source, derived, _ = derive(
        Manufacturer="Sanitätshaus".encode(), ManufacturerModelName=b"\xb2\xe2\xca\xd4"
    )
    (scanner, software) = dcmread(derived).ContributingEquipmentSequence
    assert scanner.get_item("Manufacturer").value.strip() == bytes_of(source, "Manufacturer")
    assert scanner.get_item("ManufacturerModelName").value == b"\xb2\xe2\xca\xd4"
    assert software.ManufacturerModelName == "medtranslate"


@pytest.mark.parametrize("charset", [None, b"ISO_IR 192", b"\\ISO 2022 IR 58"])
def test_a_deidentified_copy_keeps_the_bytes_of_texts_that_stay(
    derive: Any, tmp_path: Path, charset: bytes | None
) -> None:
    model = b"\x1b$)A\xd5\xc5 \xfc"
    source, _, _ = derive(SpecificCharacterSet=charset, ManufacturerModelName=model, PatientName=b"\xfcber")
    (tmp_path / "copy").mkdir()
    write_deidentified(read_volume(source), tmp_path / "copy")
    (copy,) = (tmp_path / "copy").iterdir()
    assert bytes_of(copy, "ManufacturerModelName") == model
    assert bytes_of(copy, "SpecificCharacterSet") == charset
    assert bytes_of(copy, "PatientName").startswith(b"DEID-")


@pytest.mark.parametrize("lacking", ["StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_blank_uid_stands_in_the_way_of_dicom_alone(
    series: Path, tmp_path: Path, made: Callable[..., Derivation], lacking: str
) -> None:
    expected = read_volume(series)
    for path in series.iterdir():
        plant(path, **{lacking: b""})
    source = read_volume(series)
    assert np.array_equal(source.values, expected.values)
    write_volume(source, tmp_path / "a.nii.gz")
    with pytest.raises(SeriesRefused, match=f"lacks {lacking}, which a DICOM output needs"):
        write_volume(
            source.with_values(source.values * 0), tmp_path / "mr", like=source, derivation=made("mr")
        )
    with pytest.raises(SeriesRefused, match=f"lacks {lacking}"):
        write_deidentified(source, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "series"]


@pytest.mark.parametrize("broken", [b"", b"1.2.PATIENT"])
def test_what_dicom_cannot_refer_to_is_refused_before_it_is_translated(
    tmp_path: Path, small_model: Path, capsys: pytest.CaptureFixture[str], broken: bytes
) -> None:
    write_volume(study(910_001, size=32, spacing=7.0).mr, tmp_path / "mr")
    for path in (tmp_path / "mr").iterdir():
        plant(path, StudyInstanceUID=broken)
    command = ["translate", str(tmp_path / "mr"), "--to", "ct", "--model", str(small_model)]
    assert invoke([*command[:2], str(tmp_path / "ct"), *command[2:]]) == 3
    said = capsys.readouterr().err
    assert "StudyInstanceUID" in said
    assert "slices" not in said  # no progress: the network saw nothing
    assert invoke([*command[:2], str(tmp_path / "ct.nii.gz"), *command[2:]]) == 0
