"""Patients of the pairs of a cohort, by each rule, and the facts of tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medtranslate.config import EvaluateSettings
from medtranslate.errors import SettingsError, Unreadable
from medtranslate.evaluation.facts import read_facts
from medtranslate.evaluation.subjects import UNKNOWN, Subjects, find_subjects


def find(root: Path, files: list[str], **changes: object) -> Subjects:
    """The patients of pairs whose predictions are `files` below `root`, named by their stems."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    settings = EvaluateSettings(**{"prediction": root, "reference": root, "out": root / "out"} | changes)  # type: ignore[arg-type]
    return find_subjects(settings, {file.split(".")[0]: {"prediction": root / file} for file in files})


def table(folder: Path, text: str) -> Path:
    path = folder / "facts.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_slices_have_no_patient_until_someone_names_them(tmp_path: Path) -> None:
    files = ["71001.png", "71002.png", "72001.png"]
    assert find(tmp_path, files) == Subjects(UNKNOWN, {})
    found = find(tmp_path, files, subjects=r"^\d\d")
    assert found.of == {"71001": "71", "71002": "71", "72001": "72"}
    assert r"^\d\d" in found.rule
    assert find(tmp_path, files, subjects=r"^.(\d)").of == {"71001": "1", "71002": "1", "72001": "2"}


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(", "no regular expression"), ("^7", "1 of 2 names"), ("x*", "2 of 2"), ("(?:7)|(8)", "1 of 2")],
)
def test_a_pattern_that_is_none_or_misses_a_name_is_refused(
    tmp_path: Path, pattern: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        find(tmp_path, ["71.png", "81.png"], subjects=pattern)


@pytest.mark.parametrize(
    "files",
    [
        ["sub-01_ses-1_T1w.nii.gz", "sub-01_ses-2_T1w.nii.gz", "sub-02_T1w.nii.gz"],
        ["sub-01/ses-1/a.nii.gz", "sub-01/ses-2/a.nii.gz", "sub-02/ses-1/a.nii.gz"],
    ],
)
def test_sessions_of_bids_are_of_one_patient(tmp_path: Path, files: list[str]) -> None:
    found = find(tmp_path / "sub-projects", files)
    assert list(found.of.values()) == ["sub-01", "sub-01", "sub-02"]


def test_a_folder_each_is_a_patient_each_and_volumes_in_one_folder_say_so(tmp_path: Path) -> None:
    found = find(tmp_path / "tree", ["1BA1/ct.nii.gz", "1BA2/ct.nii.gz"])
    assert (found.rule, len(set(found.of.values()))) == ("Each folder is one patient.", 2)
    found = find(tmp_path / "flat", ["p1_T1.nii.gz", "p1_T2.nii.gz"])
    assert len(found.of) == 2
    assert "nothing states" in found.rule
    assert "--subjects" in found.rule


def test_the_column_subject_of_a_list_of_pairs_counts_only_if_it_is_filled(tmp_path: Path) -> None:
    rows = ["prediction,reference,subject", "a.png,a.png,one", "b.png,b.png,one", "c.png,c.png,{}"]
    for last, of in (("two", {"a": "one", "b": "one", "c": "two"}), ("", {})):
        path = table(tmp_path, "\n".join(rows).format(last))
        found = find(tmp_path, ["a.png", "b.png", "c.png"], prediction=path, reference=None)
        assert found.of == of


def test_dicom_patients_are_numbered_and_their_identity_goes_nowhere(
    tmp_path: Path, put_slices: Callable[..., object]
) -> None:
    pairs = {}
    for name, person in (("a", "DOE^JANE"), ("b", "Doe^Jane "), ("c", "ROE^RICHARD")):
        header = {"PatientName": person, "PatientID": "", "Manufacturer": f"Maker of {name}"}
        put_slices(tmp_path / name, [0], **header)
        pairs[name] = {"prediction": tmp_path / name, "reference": tmp_path / name}
    settings = EvaluateSettings(prediction=tmp_path / "a", reference=tmp_path, out=tmp_path / "out")
    found = find_subjects(settings, pairs)
    assert found.of == {"a": "patient 1", "b": "patient 1", "c": "patient 2"}
    assert "numbered" in found.rule
    assert not {"doe", "roe"} & set(str(found).casefold().replace("^", " ").split())


FACTS = """name;subject;Age;vendor;PatientName;dob;note;same;empty
71001;A;45,5;GE;Doe;1970;x;1;
71002;A;nan;GE;Doe;1970;y;1;
72001;B;61;Siemens;Roe;1980;z;1;
"""


def test_a_table_gives_patients_and_facts_and_never_an_identity(tmp_path: Path) -> None:
    found = find(tmp_path, ["71001.png", "71002.png", "72001.png"], table=table(tmp_path, FACTS))
    assert found.of == {"71001": "A", "71002": "A", "72001": "B"}
    assert found.columns == {
        "age": {"71001": 45.5, "72001": 61.0},
        "vendor": {"71001": "GE", "71002": "GE", "72001": "Siemens"},
    }
    notes = " ".join(found.notes)
    assert "may identify a patient: patientname, dob" in notes
    assert "age: 1 of 3 pairs have no value" in notes
    assert "note: not drawn, because it has 3 different texts in 3 rows" in notes
    assert "same: not drawn, because all its values are 1" in notes
    assert "empty: has no value" in notes
    assert "Doe" not in notes


def test_a_table_by_subject_reaches_all_pairs_of_a_patient_and_names_those_it_lacks(tmp_path: Path) -> None:
    path = table(tmp_path, "subject,age\n71,40\n72,n/a\n")
    found = find(tmp_path, ["71001.png", "71002.png", "73001.png"], subjects=r"^\d\d", table=path)
    assert found.columns == {}  # all that is known is one age
    assert "no row for 1 of 3 pairs (73001)" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("age,vendor\n3,GE\n", "add one called name"),
        ("name,age\na,3\na,4\n", "1 names have several rows"),
        ("name,age,age\na,3,4\n", "columns are"),
        ("name,age\n", "no row"),
    ],
)
def test_a_table_that_is_about_nothing_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_facts(table(tmp_path, text))


def test_infinite_and_absurd_numbers_are_missing(tmp_path: Path) -> None:
    path = table(tmp_path, "name,dose\na,inf\nb,1e400\nc,2\nd,3\n")
    found = find(tmp_path, ["a.nii", "b.nii", "c.nii", "d.nii"], table=path)
    assert found.columns == {"dose": {"c": 2.0, "d": 3.0}}
    assert np.isfinite(list(found.columns["dose"].values())).all()
