from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from highdicom.sr import srread
from pydicom import dcmread

from medtranslate.config import EvaluateSettings, ReportSettings, TranslateSettings
from medtranslate.errors import GeometryRefused, InputRefused, OutputExists, UsageError
from medtranslate.evaluation import evaluate, render
from medtranslate.evaluation.records import digests
from medtranslate.evaluation.translate_and_score import translate_and_score
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.phantom import study
from medtranslate.records import Cohort, Evaluation, Translation, read_result


@pytest.fixture(scope="module")
def head():
    return study(910_003, size=40, spacing=6.0)


@pytest.fixture
def study_folder(head, tmp_path):
    write_volume(head.mr, tmp_path / "mr.nii.gz")
    write_volume(head.ct, tmp_path / "ct.nii.gz")
    return tmp_path


@pytest.fixture
def settings(small_model, tmp_path):
    def make(source="mr.nii.gz", output="fake.nii.gz", **more):
        paths = {
            name: tmp_path / more.pop(name) for name in ("uncertainty", "reference", "report") if name in more
        }
        return TranslateSettings(
            input=tmp_path / source,
            output=tmp_path / output,
            **({"to": "ct", "model": str(small_model)} | paths | more),
        )

    return make


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_scores_are_those_of_evaluate(study_folder, settings):
    records, result = translate_and_score(settings(reference="ct.nii.gz"), quiet=True)
    pair = evaluate(
        EvaluateSettings(
            prediction=study_folder / "fake.nii.gz",
            reference=study_folder / "ct.nii.gz",
            source=study_folder / "mr.nii.gz",
            out=study_folder / "pair",
        ),
        quiet=True,
    )
    assert result.volume == pair.volume
    assert result.slices == pair.slices
    assert result.mask == pair.mask
    assert result.baselines == pair.baselines
    assert set(result.baselines) == {"source copied", "histogram match", "mean image"}
    assert digests(result) == digests(pair)
    assert read_result(Evaluation, study_folder / "fake.result.json") == result
    assert records[0] == read_result(Translation, study_folder / "fake.translation.json")
    # What an untrained network draws beside the head is one more doubt where there is a reference.
    assert replace(result.translation, plausibility=records[0].plausibility) == records[0]


def test_samples_are_held_against_the_error(study_folder, settings):
    asked = settings(reference="ct.nii.gz", report="page", uncertainty="std.nii.gz", samples=3, seed=4)
    records, result = translate_and_score(asked, quiet=True)
    found = result.translation.uncertainty
    assert (found.samples, found.seed, found.output) == (3, 4, "std.nii.gz")
    assert 0 <= found.coverage <= 1
    assert -1 <= found.correlation <= 1
    assert (result.coverage.within_2_sd, result.coverage.correlation) == (found.coverage, found.correlation)
    assert records[0].uncertainty.coverage is None
    source, std = read_volume(study_folder / "mr.nii.gz"), read_volume(study_folder / "std.nii.gz")
    assert std.shape == source.shape
    assert np.allclose(std.affine, source.affine)
    assert std.values.min() == 0 < std.values.max()
    page = study_folder / "page"
    tables = {"slices.csv", "cases.csv", "methods.md"}
    assert names(page) == {"report.html", "report.pdf", "result.json", "settings.yaml", *tables}
    assert not (study_folder / "fake.result.json").exists()
    assert "within two (95%)" in (page / "report.html").read_text()


def test_a_report_without_a_reference(study_folder, settings):
    records, result = translate_and_score(settings(report="page", samples=2), quiet=True)
    assert result is None
    assert records[0].uncertainty.output is None
    assert names(study_folder / "page") == {"report.html", "report.pdf", "settings.yaml"}
    assert "Not scored" in (study_folder / "page" / "report.html").read_text()


def test_a_later_report_finds_the_images_by_their_digests(study_folder, settings):
    translate_and_score(
        settings(output="out", reference="ct.nii.gz", uncertainty="std.nii.gz", samples=2), quiet=True
    )
    asked = ReportSettings(result=study_folder / "out", out=study_folder / "page")
    assert render(asked).notes == []
    page = (study_folder / "page" / "report.html").read_text()
    digest = read_volume(study_folder / "ct.nii.gz").meta.digest
    assert f"Reference digest</dt><dd>SHA-256 {digest}" in page
    assert 'id="volume-spread"' in page


def test_a_deidentified_score_names_no_original(head, study_folder, settings):
    write_volume(head.mr, study_folder / "series")
    asked = settings("series", "out", reference="ct.nii.gz", report="page", deidentify=True)
    translate_and_score(asked, quiet=True)
    told = (study_folder / "page" / "result.json").read_text()
    for original in ("series", "ct.nii.gz"):
        assert read_volume(study_folder / original).meta.digest not in told
    assert read_volume(study_folder / "out").meta.digest in told


def test_a_dicom_series_gets_its_spread_as_a_file_of_numbers(head, settings, tmp_path):
    write_volume(head.mr, tmp_path / "series")
    for path in ("std", "std.png"):
        with pytest.raises(UsageError, match=r"not as a series.*\.nii\.gz.*\.dcm$"):
            translate_and_score(settings("series", "fake", uncertainty=path), quiet=True)
    translate_and_score(settings("series", "fake", uncertainty="std.nii.gz"), quiet=True)
    source, std = read_volume(tmp_path / "series"), read_volume(tmp_path / "std.nii.gz")
    assert std.shape == source.shape
    assert np.allclose(std.affine, source.affine, atol=1e-4)
    assert read_result(Translation, tmp_path / "fake" / "translation.json").uncertainty.samples == 16
    more = {"uncertainty": "std.dcm", "samples": 2, "report": "page"}
    write_volume(head.ct, tmp_path / "truth")
    translate_and_score(settings("series", "again", reference="truth", **more), quiet=True)
    assert dcmread(tmp_path / "std.dcm").Modality == "OT"
    assert "uncertainty" not in read_result(Evaluation, tmp_path / "page" / "result.json").provenance.inputs


def test_what_is_filed_of_an_mr_is_in_arbitrary_units(head, settings, tmp_path):
    write_volume(head.ct, tmp_path / "series")
    write_volume(head.mr, tmp_path / "truth")
    asked = {"to": "mr", "samples": 2, "reference": "truth"}
    translate_and_score(settings("series", "one", uncertainty="std.dcm", **asked), quiet=True)
    more = {"uncertainty": "std.nii.gz", "report": "page"}
    records, found = translate_and_score(settings("series", "two", **asked, **more), quiet=True)
    assert {records[0].model.unit, records[0].uncertainty.unit, found.unit} == {"a.u."}
    for record in ("page/result.json", "two"):
        made = ReportSettings(result=tmp_path / record, view=("dicom",), out=tmp_path / record[:4] / "filed")
        render(replace(made, uncertainty=tmp_path / "std.nii.gz"))
    for folder in (tmp_path, *(tmp_path / name / "filed" / "dicom" for name in ("page", "two"))):
        path = folder / ("std.dcm" if folder == tmp_path else "uncertainty.dcm")
        shared = dcmread(path).SharedFunctionalGroupsSequence[0]
        (unit,) = shared.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence
        assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("[arb'U]", "UCUM")
    scores = srread(tmp_path / "page" / "filed" / "dicom" / "scores.dcm")
    (whole, *_) = scores.content.get_image_measurement_groups()
    (error,) = (item for item in whole.get_measurements() if item.name.meaning == "Mean absolute error")
    assert error.unit.value == "[arb'U]"


def test_folders_of_pictures(head, small_model, settings, tmp_path):
    for index in (18, 21, 24, 27):
        for name, volume, top in (("in", head.mr, 900), ("truth", head.ct, 100)):
            (tmp_path / name).mkdir(exist_ok=True)
            plane = (volume.values[..., index : index + 1] * 255 / top).clip(0, 255)
            write_volume(Volume(plane, volume.affine), tmp_path / name / f"{index}.png")
    asked = {"reference": "truth", "uncertainty": "std", "samples": 2}
    records, found = translate_and_score(settings("in", "fake", report="page", **asked), quiet=True)
    assert isinstance(found, Cohort)
    assert len(records) == len(found.items) == 4
    assert found.mean["mae"] == pytest.approx(np.mean([item.volume["mae"] for item in found.items]))
    maps = (f"{index}_synthetic-ct_uncertainty.png" for index in (18, 21, 24, 27))
    assert names(tmp_path / "std") == {*maps, "settings.yaml"}
    pair = evaluate(
        EvaluateSettings(
            prediction=tmp_path / "fake",
            reference=tmp_path / "truth",
            source=tmp_path / "in",
            out=tmp_path / "p",
        ),
        quiet=True,
    )
    assert pair.mean == found.mean
    translate_and_score(settings("in", "again", report="view"), quiet=True)
    for folder in (tmp_path / "page", tmp_path / "view", tmp_path / "p"):
        listed = (folder / "report.html").read_text()
        for index in (18, 21, 24, 27):
            assert f'href="cases/{index}.html"' in listed
            assert 'id="volume-translation"' in (folder / "cases" / f"{index}.html").read_text()
    (tmp_path / "truth" / "21.png").unlink()
    with pytest.raises(InputRefused, match="no reference"):
        translate_and_score(settings("in", "third", reference="truth"), quiet=True)
    with pytest.raises(InputRefused, match="give a folder"):
        translate_and_score(settings("in", "third", reference="truth/18.png"), quiet=True)


@pytest.mark.parametrize("taken", ["std.nii.gz", "page", "fake.nii.gz"])
def test_an_output_that_exists_keeps_all_from_being_written(study_folder, settings, taken):
    (study_folder / taken).write_text("precious")
    before = names(study_folder)
    with pytest.raises(OutputExists):
        translate_and_score(settings(report="page", uncertainty="std.nii.gz", samples=2), quiet=True)
    assert names(study_folder) == before
    assert (study_folder / taken).read_text() == "precious"


def test_a_report_named_like_a_file_is_refused(study_folder, settings):
    before = names(study_folder)
    with pytest.raises(UsageError, match=r"page\.html: names a file, but a folder is written here"):
        translate_and_score(settings(report="page.html"), quiet=True)
    assert names(study_folder) == before


def test_outputs_in_each_other_are_refused(study_folder, settings):
    with pytest.raises(UsageError, match="another output"):
        translate_and_score(settings(output="out", report="out/page"), quiet=True)


@pytest.mark.parametrize(
    "outputs",
    [{"report": "kept"}, {"output": "kept"}, {"uncertainty": "kept/ct.nii.gz", "samples": 2}],
)
def test_the_reference_is_never_replaced(study_folder, settings, outputs):
    (study_folder / "kept").mkdir()
    (study_folder / "kept" / "settings.yaml").write_text("seed: 0")
    shutil.copy(study_folder / "ct.nii.gz", study_folder / "kept")
    before = names(study_folder)
    with pytest.raises(UsageError, match="holds the input"):
        translate_and_score(settings(reference="kept/ct.nii.gz", overwrite=True, **outputs), quiet=True)
    assert names(study_folder) == before


def test_a_failure_at_the_end_leaves_nothing(study_folder, settings, monkeypatch):
    before = names(study_folder)

    def interrupt(*_):
        raise KeyboardInterrupt

    room = sys.modules["medtranslate.evaluation.translate_and_score"]  # a function bears the name, too
    monkeypatch.setattr(room, "write_yaml", interrupt)
    with pytest.raises(KeyboardInterrupt):
        translate_and_score(
            settings(output="new/fake.nii.gz", report="page", uncertainty="std.nii.gz", samples=2), quiet=True
        )
    assert names(study_folder) == before
    assert not (study_folder / "new").exists()


def test_a_reference_on_another_grid_is_refused(study_folder, settings):
    write_volume(study(910_003, size=32, spacing=7.0).ct, study_folder / "other.nii.gz")
    before = names(study_folder)
    with pytest.raises(GeometryRefused):
        translate_and_score(settings(reference="other.nii.gz"), quiet=True)
    assert names(study_folder) == before


@pytest.mark.parametrize("clash", ["uncertainty", "report"])
def test_two_outputs_of_one_name_are_refused(study_folder, settings, clash):
    before = names(study_folder)
    with pytest.raises(UsageError, match=r"fake\.nii\.gz: is"):
        translate_and_score(settings(**{clash: "fake.nii.gz"}), quiet=True)
    assert names(study_folder) == before
