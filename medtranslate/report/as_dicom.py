"""DICOM views for the patient's study: the report as a PDF, its scores as SR, the uncertainty as a map.

The scores follow PS3.16 TID 1500 (Measurement Report). Measures without a code in a public scheme (mean
absolute error, the similarities) have codes of this package's own, as the standard provides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medtranslate.io import Volume
from medtranslate.io.dicom_header import MANUFACTURER, basic, software_version, uid
from medtranslate.io.dicom_map import write_map
from medtranslate.io.dicom_objects import (
    SCHEME,
    Study,
    images_of,
    unit_code,
    write_pdf,
    write_scores,
)
from medtranslate.metrics import OF_IMAGES, SCORES
from medtranslate.modality import UNITS
from medtranslate.records import Evaluation, Scores, Tissue, Translation
from medtranslate.report.doubts import evaluation_doubts
from medtranslate.report.wording import CAUTION, clipping, tissue_range

CODES = {
    "mae": ("MAE", "Mean absolute error"),
    "bias": ("BIAS", "Mean difference, translation minus reference"),
    "lower": ("LOALOWER", "Lower limit of agreement"),
    "upper": ("LOAUPPER", "Upper limit of agreement"),
    "wasserstein": ("WASSERSTEIN", "Wasserstein distance of the histograms"),
    "share": ("SHARE", "Share of the scored voxels"),
    "dice": ("DICE", "Dice coefficient"),
    "coverage": ("COVERAGE", "Share of errors within twice the uncertainty"),
    "within": ("COVERAGE1", "Share of errors within the uncertainty"),
    "mean_std": ("MEANSD", "Mean of the map of standard deviations"),
    "mean_limit": ("MEANLIMIT", "Mean of the map of error limits"),
}
"""Code value and meaning of the measures beside the scores, in the scheme `SCHEME`."""
UNITLESS = ("share", "dice", "within", "coverage")
UNIT_CODES = {"": codes.UCUM.NoUnits, "dB": codes.UCUM.Decibel}


def file_report(pdf: Path, title: str, study: Study, folder: Path) -> None:
    """Write `folder/report.dcm`, the PDF of a result or a translation."""
    write_pdf(pdf.read_bytes(), title, study, folder / "report.dcm")


def file_uncertainty(
    uncertainty: Volume, record: Evaluation | Translation, study: Study, folder: Path
) -> None:
    """Write `folder/uncertainty.dcm`, the map of the uncertainty.

    Args:
        uncertainty: on the grid of the study's source.
        record: of their translation.
        study: of the source.
    """
    translation = record if isinstance(record, Translation) else record.translation
    unit = record.unit if isinstance(record, Evaluation) else UNITS[record.model.to]
    known = translation.uncertainty if translation else None
    quantity, share = (known.quantity, known.share) if known else ("Standard deviation", None)
    write_map(uncertainty, unit, quantity, study, folder / "uncertainty.dcm", share)


def file_scores(result: Evaluation, study: Study, about: Sequence[Dataset], folder: Path) -> None:
    """Write `folder/scores.dcm`, the scores of the volume, of the baselines, and by tissue.

    Args:
        result: of one pair.
        study: of its source.
        about: headers of the scored images, or of their source if they are no DICOM.
    """
    title = basic(result.translation.model.name if result.translation else result.profile)
    report = measurement_report(list(_groups(result, study, about)))
    write_scores(report, about, title, study, folder / "scores.dcm")


def measurement_report(
    groups: Sequence[MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations],
) -> MeasurementReport:
    """Make a report of measurements, observed by this package as a device."""
    device = DeviceObserverIdentifyingAttributes(
        uid=uid("device", software_version()),
        name="medtranslate",
        manufacturer_name=MANUFACTURER,
        model_name=f"medtranslate {software_version()}",
    )
    observer = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )


def _groups(
    result: Evaluation, study: Study, about: Sequence[Dataset]
) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    """Yield the groups of the volume, of each baseline, and of each tissue."""
    key = f"{study.digest}/{result.profile}/{result.name}"

    def tracked(name: str) -> TrackingIdentifier:
        return TrackingIdentifier(uid(key, name), basic(name))

    yield MeasurementsAndQualitativeEvaluations(
        tracked("translation, whole volume"),
        algorithm_id=_algorithm(result),
        measurements=[*_scored(result.volume, result), *_spread_out(result)],
        source_images=[
            SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID)
            for image in images_of(about)
        ],
    )
    for name, scores in result.baselines.items():
        if measured := _scored(scores, result):
            yield MeasurementsAndQualitativeEvaluations(
                tracked(f"not the translation, for comparison: {name}"), measurements=measured
            )
    for name, tissue in result.tissues.items():
        yield MeasurementsAndQualitativeEvaluations(
            tracked(f"translation, {name}: reference {tissue_range(tissue)}"),
            measurements=_of_tissue(tissue),
            qualitative_evaluations=[
                QualitativeEvaluation(
                    CodedConcept("REPRESENTABLE", SCHEME, "Can be represented by the model"),
                    codes.SCT.Yes if tissue.representable else codes.SCT.No,
                )
            ],
        )


def _algorithm(result: Evaluation) -> AlgorithmIdentification:
    """Describe the rules of the scores, the model, and the restrictions of use."""
    lines = [CAUTION, *(f"Doubtful: {words}" for words in evaluation_doubts(result))]
    lines.append(f"Scored by the profile {result.profile}")
    if result.clipped:
        lines.append(f"MAE, {clipping(result)}; so are bias, limits of agreement and histograms")
    if result.translation:
        model = result.translation.model
        lines.append(f"Translated to {model.to.upper()} by the model {model.name}, SHA-256 {model.sha256}")
        lines += [f"The card of the model says: {model.summary}"] if model.summary else []
    if result.mask:
        lines.append(f"Scored voxels: {result.mask.rule}")
    lines += [f"Reference: {words}" for words in result.reference]
    lines += [f"Warning: {words}" for words in result.warnings]
    return AlgorithmIdentification(
        name="medtranslate evaluate", version=software_version(), parameters=[basic(words) for words in lines]
    )


def _scored(scores: Scores, result: Evaluation) -> list[Measurement]:
    """Make measurements of the known scores; errors of clipped values have codes of their own."""
    measured = []
    for name, value in scores.items():
        if (info := SCORES.get(name)) is None:
            continue
        clipped = result.clipped is not None and info.unit == OF_IMAGES
        code, meaning = (
            (f"{info.code}CLIPPED"[:16], f"{info.meaning} of clipped values")
            if clipped
            else (info.code, info.meaning)
        )
        measured += _number(code, meaning, value, info.unit_on(result.unit))
    return measured


def _spread_out(result: Evaluation) -> list[Measurement]:
    """Make measurements of the agreement and of the uncertainty's coverage."""
    named: list[tuple[str, float | None]] = []
    if agreement := result.agreement:
        low, high = agreement.limits
        named += [("bias", agreement.bias), ("lower", low), ("upper", high)]
        named.append(("wasserstein", agreement.wasserstein))
    if coverage := result.coverage:
        mean = "mean_limit" if coverage.share else "mean_std"
        named += [(mean, coverage.mean_sd), ("within", coverage.within_1_sd)]
        named.append(("coverage", coverage.within_2_sd))
    elif result.translation and (measured := result.translation.uncertainty):
        mean = "mean_limit" if measured.share else "mean_std"
        named += [(mean, measured.mean_std), ("within", measured.within), ("coverage", measured.coverage)]
    return _measured(named, result.unit)


def _of_tissue(tissue: Tissue) -> list[Measurement]:
    return _measured((("share", tissue.share), ("mae", tissue.mae), ("dice", tissue.dice)), "HU")


def _measured(named: Sequence[tuple[str, float | None]], unit: str) -> list[Measurement]:
    """Make measurements of the known values; NUM holds finite numbers, so equal images have no PSNR."""
    return [
        measurement
        for name, value in named
        for measurement in _number(*CODES[name], value, "" if name in UNITLESS else unit)
    ]


def _number(code: str, meaning: str, value: float | None, unit: str) -> list[Measurement]:
    """Make a measurement; none for an unknown or infinite value."""
    if value is None or not math.isfinite(value):
        return []
    units = UNIT_CODES[unit] if unit in UNIT_CODES else unit_code(unit)
    return [Measurement(CodedConcept(code, SCHEME, meaning), float(f"{value:.6g}"), units)]
