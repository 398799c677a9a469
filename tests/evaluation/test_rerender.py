from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from medtranslate import cli
from medtranslate.config import EvaluateSettings, ReportSettings, TranslateSettings
from medtranslate.errors import GeometryRefused, InputRefused, OutputExists, Unreadable, UsageError
from medtranslate.evaluation import evaluate, render
from medtranslate.evaluation.records import open_record
from medtranslate.evaluation.translate_and_score import translate_and_score
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.layout import to_axial
from medtranslate.phantom import study
from medtranslate.records import Evaluation, Provenance, Registration, Source, read_result, write_result
from medtranslate.report import VIEWS
from medtranslate.translation import translate


@pytest.fixture(scope="module")
def place(small_model, tmp_path_factory):
    """An MR series, its translation with uncertainty, and the scores against the truth."""
    folder = tmp_path_factory.mktemp("study")
    head = study(910_004, size=40, spacing=6.0)
    write_volume(head.mr, folder / "mr", format="dicom")
    write_volume(head.ct, folder / "ct", format="dicom")
    translate(
        TranslateSettings(
            input=folder / "mr",
            output=folder / "fake",
            to="ct",
            model=str(small_model),
            uncertainty=folder / "sd.nii.gz",
            samples=2,
        ),
        quiet=True,
    )
    evaluate(
        EvaluateSettings(
            prediction=folder / "fake",
            reference=folder / "ct",
            source=folder / "mr",
            out=folder / "scores",
        ),
        quiet=True,
    )
    record = read_result(Evaluation, folder / "scores" / "result.json")
    paths = {"prediction": "fake", "reference": "ct", "source": "mr"}
    inputs = {role: described(read_volume(folder / name)) for role, name in paths.items()}
    known = Provenance(inputs=inputs, versions={"numpy": np.__version__})
    write_result(replaced(record, provenance=known), folder / "scores" / "result.json")
    return folder


def described(volume):
    return Source(
        digest=volume.meta.digest,
        shape=volume.shape,
        spacing_mm=(1, 1, 1),
        affine=((1, 0, 0, 0),) * 4,
    )


def replaced(record, **changes):
    return type(record)(**{**vars(record), **changes})


@pytest.fixture
def settings(place, tmp_path):
    def make(result="scores", **more):
        return ReportSettings(result=place / result, out=tmp_path / "report", **more)

    return make


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def pictures_in(folder):
    return (folder / "report.pdf").read_bytes().count(b"/Subtype /Image")


def test_a_report_shows_what_was_scored(settings, tmp_path):
    done = render(settings(view=("html", "pdf", "csv", "json")))
    written = {"report.html", "report.pdf", "slices.csv", "result.json"}
    assert set(done.files) == written
    assert files(tmp_path / "report") == {*written, "settings.yaml"}
    assert pictures_in(tmp_path / "report") == 20
    assert done.notes == []


def test_a_report_is_that_of_the_evaluation(settings, place, tmp_path):
    render(settings(view=("csv",)))
    csv = "slices.csv"
    assert (tmp_path / "report" / csv).read_bytes() == (place / "scores" / csv).read_bytes()


def test_dicom_views_join_the_patients_study(settings, place, tmp_path):
    done = render(settings(view=("dicom",), uncertainty=place / "sd.nii.gz"))
    names = {"dicom/report.dcm", "dicom/scores.dcm", "dicom/uncertainty.dcm"}
    assert set(done.files) == names
    source = dcmread(next((place / "mr").glob("*.dcm")))
    for name in names:
        header = dcmread(tmp_path / "report" / name)
        assert header.StudyInstanceUID == source.StudyInstanceUID
        assert header.PatientID == source.PatientID
    told = (tmp_path / "report" / "dicom/scores.dcm").read_bytes()
    assert b"The card of the model says: untrained, for tests" in told
    scored = dcmread(next((place / "fake").glob("*.dcm")))
    evidence = dcmread(tmp_path / "report" / "dicom/scores.dcm").CurrentRequestedProcedureEvidenceSequence
    assert evidence[0].ReferencedSeriesSequence[0].SeriesInstanceUID == scored.SeriesInstanceUID


def test_dicom_views_can_be_deidentified(settings, place, tmp_path):
    render(settings(view=("dicom",), deidentify=True))
    source = dcmread(next((place / "mr").glob("*.dcm")))
    for path in (tmp_path / "report" / "dicom").iterdir():
        header = dcmread(path)
        assert header.PatientIdentityRemoved == "YES"
        assert source.StudyInstanceUID.encode() not in path.read_bytes()
        assert str(source.PatientID).encode() not in path.read_bytes()
    kept = (tmp_path / "report" / "settings.yaml").read_text()
    assert str(place) not in kept.replace(str(tmp_path), "")


def test_a_translation_is_shown_without_a_reference(settings, place, tmp_path):
    done = render(settings("fake", view=("html", "pdf", "dicom")))
    assert set(done.files) == {"report.html", "report.pdf", "dicom/report.dcm", "dicom/uncertainty.dcm"}
    assert pictures_in(tmp_path / "report") == 17  # key planes of source and translation among them
    spread = read_volume(place / "sd.nii.gz").values
    found = dcmread(tmp_path / "report" / "dicom" / "uncertainty.dcm").pixel_array
    assert np.array_equal(np.sort(found, axis=None), np.sort(spread, axis=None))


@pytest.mark.parametrize("result", ["scores/result.json", "fake/translation.json"])
def test_a_record_alone_is_shown_without_pictures(place, result, tmp_path):
    record = json.loads((place / result).read_text())
    record["settings"] = {}
    alone = tmp_path / Path(result).name
    alone.write_text(json.dumps(record))
    done = render(ReportSettings(result=alone, out=tmp_path / "report", view=("html", "pdf")))
    assert any("pictures are left out" in note for note in done.notes)
    assert pictures_in(tmp_path / "report") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Left out: the images were not at hand." in page
    assert "<script" not in page


def test_a_volume_that_is_not_the_records_is_refused(settings, place, tmp_path, capsys):
    with pytest.raises(InputRefused, match="is not the reference of this record"):
        render(settings(reference=place / "fake"))
    arguments = ["report", place / "scores", "--out", tmp_path / "o", "--source", place / "ct"]
    assert cli.invoke(list(map(str, arguments))) == 3
    assert "is not the source of this record" in capsys.readouterr().err
    assert files(tmp_path) == set()


def test_volumes_that_moved_are_left_out_and_said(settings, place, tmp_path):
    record = read_result(Evaluation, place / "scores" / "result.json")
    gone = {**record.settings, "reference": str(place / "gone")}
    write_result(replaced(record, settings=gone), tmp_path / "result.json")
    done = render(ReportSettings(result=tmp_path / "result.json", out=tmp_path / "report", view=("pdf",)))
    assert pictures_in(tmp_path / "report") == 0
    assert any("reference: left out" in note for note in done.notes)
    assert any("pictures are left out" in note for note in done.notes)
    given = ReportSettings(
        result=tmp_path / "result.json", out=tmp_path / "two", view=("pdf",), reference=place / "ct"
    )
    assert render(given).notes == []
    assert pictures_in(tmp_path / "two") == 20


def test_a_translation_on_another_grid_is_refused_with_numbers(settings, place, tmp_path):
    volume = read_volume(place / "sd.nii.gz")
    there = volume.affine.copy()
    there[2, 3] += 0.5
    write_volume(Volume(volume.values, there), tmp_path / "moved.nii.gz")
    write_volume(Volume(volume.values[..., 1:], volume.affine), tmp_path / "short.nii.gz")
    for name, numbers in (("moved", "0.500 mm from the source's"), ("short", "the source has 40 x 40 x 40")):
        with pytest.raises(GeometryRefused, match=numbers):
            render(settings("fake", uncertainty=tmp_path / f"{name}.nii.gz"))


def test_what_has_no_digest_is_shown_only_where_it_is_named(place, tmp_path):
    record = read_result(Evaluation, place / "scores" / "result.json")
    write_result(replaced(record, provenance=None), tmp_path / "result.json")
    asked = {"result": tmp_path / "result.json", "view": ("pdf",)}
    done = render(ReportSettings(**asked, out=tmp_path / "one"))
    assert any("name it with --prediction" in note for note in done.notes)
    named = {"prediction": place / "fake", "reference": place / "ct"}
    assert render(ReportSettings(**asked, **named, out=tmp_path / "two")).notes == []


def test_a_reference_that_was_registered_is_shown_where_it_was_moved_to(place, tmp_path, monkeypatch):
    matrix = np.eye(4)
    matrix[:3, :3] = [[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]]
    matrix[:3, 3] = [4, -6, 5]
    truth = read_volume(place / "ct")
    away = Volume(truth.values, matrix @ truth.affine)
    write_volume(away, tmp_path / "away.nii.gz")
    record = read_result(Evaluation, place / "scores" / "result.json")
    found = Registration(
        target="source",
        matrix=tuple(map(tuple, matrix.tolist())),
        rotation_degrees=5.7,
        translation_mm=8.8,
        mutual_information={"after": 1.0},
        overlap=1.0,
        applied=True,
    )
    write_result(replaced(record, registration=found, provenance=None), tmp_path / "result.json")
    seen = []
    monkeypatch.setitem(VIEWS, "pdf", lambda result, drawn, folder: seen.append(drawn[result.name]))
    named = {"prediction": place / "fake", "reference": tmp_path / "away.nii.gz"}
    render(ReportSettings(result=tmp_path / "result.json", out=tmp_path / "o", view=("pdf",), **named))
    expected = to_axial(truth).values
    drawn = seen[0].reference if seen[0].unclipped is None else seen[0].unclipped
    assert np.abs(drawn - expected)[2:-2, 2:-2, 2:-2].max() < 1.0


@pytest.mark.parametrize("view", ["csv", "json"])
def test_a_view_that_a_record_does_not_have_is_refused(settings, view):
    with pytest.raises(UsageError, match=f"--view {view}"):
        render(settings("fake", view=(view,)))


def test_dicom_needs_a_dicom_source(settings, place, tmp_path):
    record = read_result(Evaluation, place / "scores" / "result.json")
    without = {**record.settings, "source": None}
    write_result(replaced(record, settings=without), tmp_path / "result.json")
    with pytest.raises(UsageError, match="--source"):
        render(ReportSettings(result=tmp_path / "result.json", out=tmp_path / "report", view=("dicom",)))
    assert files(tmp_path) == {"result.json"}


def test_an_output_is_not_replaced_and_holds_no_input(settings, place, tmp_path):
    render(settings(view=("csv",)))
    with pytest.raises(OutputExists):
        render(settings(view=("csv",)))
    render(settings(view=("pdf",), overwrite=True))
    assert files(tmp_path / "report") == {"report.pdf", "settings.yaml"}
    with pytest.raises(UsageError, match="is or holds the input"):
        render(ReportSettings(result=place / "scores", out=place / "scores", overwrite=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"schema": "medtranslate/result/2"}', "its schema is 'medtranslate/result/2'"),
        (
            '{"schema": "medtranslate/result/1", "volume": {}}',
            "is no evaluation of this version (profile: field required)",
        ),
        (
            '{"schema": "medtranslate/result/1", "profile": "image", "unit": "HU", "volume": {"mae": "low"}}',
            "volume.mae: input should be a valid number",
        ),
        ('{"schema": "medtranslate/conversion/1"}', "its schema is"),
        ('{"schema": ["<script>"]}', "its schema is"),
        ("[1, 2]", "its schema is None"),
        ("not json", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("", "is no JSON"),
    ],
)
def test_what_is_no_record_is_refused(text, said, tmp_path):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(Unreadable, match="result") as refusal:
        open_record(tmp_path)
    assert said in str(refusal.value)


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(Unreadable, match=r"neither result\.json nor translation\.json"):
        open_record(tmp_path)


def test_a_cohort_shows_the_cases_that_tell_most(place, tmp_path):
    for role in ("fake", "ct"):
        (tmp_path / role).mkdir()
        volume = read_volume(place / role)
        for k in range(3):
            moved = volume.with_values(volume.values + (10.0 * k if role == "fake" else 0.0))
            write_volume(moved, tmp_path / role / f"case{k}.nii.gz")
    evaluate(
        EvaluateSettings(prediction=tmp_path / "fake", reference=tmp_path / "ct", out=tmp_path / "scores"),
        quiet=True,
    )
    record = open_record(tmp_path / "scores")[1]
    items = [
        replaced(
            item,
            provenance=Provenance(
                inputs={
                    role: described(read_volume(tmp_path / name / f"{item.name}.nii.gz"))
                    for role, name in (("prediction", "fake"), ("reference", "ct"))
                },
                versions={},
            ),
        )
        for item in record.items
    ]
    write_result(replaced(record, items=items), tmp_path / "scores" / "result.json")
    done = render(ReportSettings(result=tmp_path / "scores", out=tmp_path / "report"))
    assert set(done.files) >= {"report.html", "report.pdf"}
    assert done.notes == []
    # Prediction and error of three planes of three cases; their common reference is stored once.
    assert pictures_in(tmp_path / "report") == 3 * 7
    with pytest.raises(UsageError, match=r"is of 3 cases.*evaluate that pair by itself"):
        render(ReportSettings(result=tmp_path / "scores", out=tmp_path / "two", view=("dicom",)))


def test_the_command_lists_what_it_wrote_and_left_out(place, tmp_path, capsys):
    asked = ["report", place / "scores", "--out", tmp_path / "o", "--view", "pdf,csv", "--json"]
    assert cli.invoke(list(map(str, asked))) == 0
    values = json.loads(capsys.readouterr().out)
    assert values == {
        "files": [str(tmp_path / "o" / "report.pdf"), str(tmp_path / "o" / "slices.csv")],
        "left_out": [],
    }


def test_translate_reports_as_pdf_too(place, small_model, tmp_path):
    asked = TranslateSettings(
        input=place / "mr",
        output=tmp_path / "fake.nii.gz",
        to="ct",
        model=str(small_model),
        report=tmp_path / "page",
        reference=place / "ct",
    )
    translate_and_score(asked, quiet=True)
    assert pictures_in(tmp_path / "page") == 20
