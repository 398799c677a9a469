from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from medtranslate.errors import GeometryRefused, UsageError
from medtranslate.geometry import swap_lps_ras
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.dicom_map import write_map
from medtranslate.io.dicom_objects import Study, open_study, write_pdf
from medtranslate.records import (
    Agreement,
    Evaluation,
    Mask,
    ModelInfo,
    Plausibility,
    Source,
    Tissue,
    Translation,
)
from medtranslate.report.as_dicom import file_scores

OF_THE_STUDY = ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "AccessionNumber", "PatientSex")
PDF = b"%PDF-1.4\n%%EOF\n"
ATTACK = "<script>alert(1)</script>\x1b[31m\x00 \\ ü €"


def result(**changes: object) -> Evaluation:
    model = ModelInfo(name="some-model", sha256="ab" * 32, to="ct", output_range=(-20, 100), unit="HU")
    source = Source(shape=(8, 6, 5), spacing_mm=(1, 1, 1), affine=((1, 0, 0, 0),) * 4)
    values: dict[str, object] = {
        "profile": "image",
        "unit": "HU",
        "name": "head",
        "volume": {"mae": 16.7762066122, "psnr": 12.5, "ssim": 0.64},
        "baselines": {"source copied": {"mae": 23.25, "psnr": 10.0}},
        "tissues": {
            "air": Tissue(range_hu=(None, -200.0), share=0.3, mae=33.25),
            "bone": Tissue(range_hu=(200.0, None), share=0.1, representable=False),
        },
        "agreement": Agreement(bias=-6.0, limits=(-61.5, 49.5), wasserstein=8.25),
        "mask": Mask(rule="head", share=0.5),
        "translation": Translation(source=source, model=model, output="o"),
    }
    return Evaluation(**(values | changes))  # type: ignore[arg-type]


def spread_of(source: Volume) -> Volume:
    """A map whose every voxel is different."""
    return Volume(np.random.default_rng(0).gamma(2.0, 3.0, source.shape), source.affine)


def write_all(study: Study, spread: Volume, folder: Path, found: Evaluation | None = None) -> dict[str, Any]:
    """The three objects of a study, by name."""
    folder.mkdir(exist_ok=True)
    write_pdf(PDF, "some-model", study, folder / "report.dcm")
    write_map(spread, "HU", "Standard deviation of 8 samples", study, folder / "uncertainty.dcm")
    file_scores(found or result(), study, study.sources, folder)
    return {path.stem: dcmread(path) for path in sorted(folder.glob("*.dcm"))}


@pytest.mark.parametrize(
    ("name", "deidentify"),
    [
        ("ct-head-ge-tilt", True),
        pytest.param("ct-head-ge-tilt", False, marks=pytest.mark.slow),
        pytest.param("ct-skull-philips", False, marks=pytest.mark.slow),
        pytest.param("mr-t1-sagittal-siemens", False, marks=pytest.mark.slow),
        pytest.param("mr-t1-sagittal-siemens", True, marks=pytest.mark.slow),
    ],
)
def test_objects_of_real_series_are_valid_and_of_the_study(
    unpack: Callable[[str], Path],
    tmp_path: Path,
    validator_errors: Callable[..., list[str]],
    name: str,
    deidentify: bool,
) -> None:
    source = read_volume(unpack(name))
    study = open_study(source, deidentify=deidentify)
    small = Volume(np.zeros(source.shape), source.affine)
    made = write_all(study, small, tmp_path / "made")
    for header in made.values():
        assert validator_errors("dciodvfy", "-new", header.filename) == []
        for keyword in OF_THE_STUDY:
            assert (header.get(keyword) or "") == (study.sources[0].get(keyword) or ""), keyword
        assert header.SeriesInstanceUID.startswith("2.25.")
        assert "RESEARCH ONLY" in header.SeriesDescription
        if deidentify:
            assert header.PatientIdentityRemoved == "YES"
            assert str(header.PatientID).startswith("DEID-")
            assert {
                header.get("ContentDate") or "19000101",
                header.get("InstanceCreationDate", "19000101"),
            } == {"19000101"}
    assert len({header.SeriesInstanceUID for header in made.values()}) == 3


def test_a_map_of_error_limits_is_no_map_of_deviations(
    unpack: Callable[[str], Path], tmp_path: Path, validator_errors: Callable[..., list[str]]
) -> None:
    source = read_volume(unpack("ct-head-ge-tilt"))
    path = tmp_path / "map.dcm"
    write_map(spread_of(source), "HU", "90% error limit, 4 samples", open_study(source), path, 0.9)
    assert validator_errors("dciodvfy", "-new", path) == []
    header = dcmread(path)
    mapping = header.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.LUTLabel == "LIMIT90"
    code = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("ERRORLIMIT90", "99MEDTRANSLATE")
    assert header.SeriesDescription.endswith("90% error limit, 4 samples")


def test_the_frames_of_an_enhanced_image_are_referred_to(
    unpack: Callable[[str], Path], tmp_path: Path, validator_errors: Callable[..., list[str]]
) -> None:
    source = read_volume(unpack("awkward") / "enhanced" / "philips" / "001")
    made = write_all(open_study(source), spread_of(source), tmp_path)
    for header in made.values():
        assert validator_errors("dciodvfy", "-new", header.filename) == []
    first, *others = made["uncertainty"].PerFrameFunctionalGroupsSequence
    (reference,) = first.DerivationImageSequence[0].SourceImageSequence
    assert reference.ReferencedSOPClassUID.name == "Enhanced MR Image Storage"
    numbers = {
        int(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for frame in (first, *others)
    }
    assert numbers == set(range(1, source.shape[2] + 1))
    assert len(made["report"].SourceInstanceSequence) == 1


def test_other_readers_find_the_maps_values_at_their_places(series: Path, tmp_path: Path) -> None:
    source = read_volume(series)
    spread = spread_of(source)
    path = tmp_path / "made" / "uncertainty.dcm"
    write_all(open_study(source), spread, tmp_path / "made")
    image = highdicom.imread(path)
    volume = image.get_volume(dtype=np.float32)
    lps = swap_lps_ras(spread.affine)
    for index in ((0, 0, 0), (7, 5, 4), (3, 1, 2)):
        slice_, row, column = np.rint(
            volume.map_reference_to_indices((lps @ [*index, 1])[None, :3])[0]
        ).astype(int)
        assert volume.array[slice_, row, column] == spread.values[index]
    header = dcmread(path)
    for frame, plane in zip(header.PerFrameFunctionalGroupsSequence, header.pixel_array, strict=True):
        place = [*frame.PlanePositionSequence[0].ImagePositionPatient, 1.0]
        index = np.rint(np.linalg.inv(lps) @ np.array(place, float)).astype(int)
        assert np.array_equal(plane.T, spread.values[..., index[2]])
    mapping = header.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "[hnsf'U]"
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "113061"
    assert header.FrameOfReferenceUID == dcmread(next(series.iterdir())).FrameOfReferenceUID


def test_the_scores_are_read_back(series: Path, tmp_path: Path) -> None:
    study = open_study(read_volume(series))
    file_scores(result(), study, study.sources, tmp_path)
    document = highdicom.sr.srread(tmp_path / "scores.dcm")
    whole, copied, air, bone = document.content.get_image_measurement_groups()

    def numbers(group: Any) -> dict[str, Any]:
        return {item.name.meaning: item.value for item in group.get_measurements()}

    assert numbers(whole)["Mean absolute error"] == 16.7762
    assert numbers(whole)["Upper limit of agreement"] == 49.5
    assert numbers(copied)["Mean absolute error"] == 23.25
    assert numbers(air)["Mean absolute error"] == 33.25
    assert "Mean absolute error" not in numbers(bone)
    assert bone.get_qualitative_evaluations()[0].value.meaning == "No"
    (item,) = document.CurrentRequestedProcedureEvidenceSequence
    referred = item.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert {entry.ReferencedSOPInstanceUID for entry in referred} == {s.SOPInstanceUID for s in study.sources}


def test_scores_of_clipped_values_and_of_doubtful_translations_say_so(
    series: Path, tmp_path: Path, validator_errors: Callable[..., list[str]]
) -> None:
    study, plain = open_study(read_volume(series)), result()
    doubt = Plausibility(bone_outside_ml=35.0, doubts=["bone outside the head: 35 ml"])
    made = replace(plain.translation, plausibility=doubt)
    file_scores(replace(plain, clipped=(-20, 100), translation=made), study, study.sources, tmp_path)
    assert validator_errors("dciodvfy", "-new", str(tmp_path / "scores.dcm")) == []
    header = dcmread(tmp_path / "scores.dcm")
    texts = [element.value for element in header.iterall() if element.VR == "UT"]
    assert any(text.startswith("MAE, clipped to -20..100 HU") for text in texts)
    assert texts.index("Doubtful: Bone outside the head: 35 ml.") < next(
        k for k, text in enumerate(texts) if text.startswith("Scored by the profile")
    )
    groups = highdicom.sr.srread(tmp_path / "scores.dcm").content.get_image_measurement_groups()
    for group, error in zip(groups[:2], (16.7762, 23.25), strict=True):
        found = {item.name.meaning: (item.value, item.unit.value) for item in group.get_measurements()}
        assert found["Mean absolute error of clipped values"] == (error, "[hnsf'U]")
        assert "Mean absolute error" not in found


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
def test_text_from_outside_is_inert_and_fits_every_character_set(
    series: Path,
    tmp_path: Path,
    edit: Callable[..., None],
    validator_errors: Callable[..., list[str]],
    charset: str,
) -> None:
    for path in series.iterdir():
        edit(path, SpecificCharacterSet=charset, PatientName="Müller^Jürgen")
    study = open_study(read_volume(series))
    found = result(
        name=ATTACK,
        warnings=[ATTACK],
        reference=[ATTACK],
        baselines={ATTACK: {"mae": 1.0}},
        unit="HU" + ATTACK,
        volume={"mae": float("nan"), "psnr": float("inf")},
    )
    file_scores(found, study, study.sources, tmp_path)
    header = dcmread(tmp_path / "scores.dcm")
    assert validator_errors("dciodvfy", "-new", header.filename) == []
    assert header.PatientName == "Müller^Jürgen"
    texts = [
        element.value
        for element in header.iterall()
        if element.VR in ("UT", "LO", "SH", "ST", "LT") and isinstance(element.value, str)
    ]
    assert any("<script>" in text for text in texts)
    assert all(text.isascii() and text.isprintable() for text in texts)
    (whole, *_) = highdicom.sr.srread(header.filename).content.get_image_measurement_groups()
    assert "Mean absolute error" not in {item.name.meaning for item in whole.get_measurements()}


def test_equal_content_has_equal_uids_and_other_content_others(series: Path, tmp_path: Path) -> None:
    source = read_volume(series)
    study, spread = open_study(source), spread_of(source)
    first, again = (write_all(study, spread, tmp_path / name) for name in ("a", "b"))
    double = spread.with_values(spread.values * 2)
    other = write_all(study, double, tmp_path / "c", result(volume={"mae": 1.0}))
    for name in first:
        assert first[name].SOPInstanceUID == again[name].SOPInstanceUID
        assert (first[name].SOPInstanceUID == other[name].SOPInstanceUID) == (name == "report")


def test_the_pdf_is_that_which_went_in(series: Path, tmp_path: Path) -> None:
    study = open_study(read_volume(series))
    for document in (PDF, PDF + b"\n"):
        write_pdf(document, "title", study, tmp_path / "report.dcm")
        header = dcmread(BytesIO((tmp_path / "report.dcm").read_bytes()))
        assert header.EncapsulatedDocument[: header.EncapsulatedDocumentLength] == document


def test_what_does_not_belong_together_is_refused(
    series: Path, tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    source = read_volume(series)
    moved = Volume(source.values, source.affine + np.eye(4) * 0.5)
    with pytest.raises(GeometryRefused, match="not on the grid of its source"):
        write_map(moved, "HU", "x", open_study(source), tmp_path / "x.dcm")
    write_volume(make_volume(), tmp_path / "x.nii.gz")
    with pytest.raises(UsageError, match="no DICOM series"):
        open_study(read_volume(tmp_path / "x.nii.gz"))
    assert not (tmp_path / "x.dcm").exists()


def test_a_source_without_a_frame_of_reference_gets_one_of_its_own(
    series: Path, tmp_path: Path, edit: Callable[..., None], validator_errors: Callable[..., list[str]]
) -> None:
    for path in series.iterdir():
        edit(path, FrameOfReferenceUID=None, PatientName="anonymous")
    source = read_volume(series)
    with warnings.catch_warnings(action="error"):
        made = write_all(open_study(source), spread_of(source), tmp_path / "made")
    assert validator_errors("dciodvfy", "-new", made["uncertainty"].filename) == []
