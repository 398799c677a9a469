"""What a translation shows without a reference, as an Enhanced SR (PS3.16 TID 1500) for its study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes

from medtranslate.io.dicom_header import basic, software_version, uid
from medtranslate.io.dicom_objects import SCHEME, Study, images_of, unit_code, write_scores
from medtranslate.records import Translation, Uncertainty
from medtranslate.report.as_dicom import CODES, measurement_report
from medtranslate.report.doubts import say_doubts
from medtranslate.report.wording import CAUTION

_MILLILITRE = CodedConcept("mL", "UCUM", "milliliter")
_SHARE = codes.UCUM.NoUnits
MEASURES = {
    "air_ml": ("AIRDRAWN", "Visible volume outside of the head that was set to air", _MILLILITRE),
    "bone_outside_ml": ("BONEOUT", "Bone outside of the head", _MILLILITRE),
    "bone_inside_ml": ("BONEIN", "Loose bone within the skull", _MILLILITRE),
    "fluid": ("FLUID", "Mean of the fluid within the skull", unit_code("HU")),
    "brain": ("BRAIN", "Median of the brain", unit_code("HU")),
    "black": ("BLACK", "Share of the brain at the lower end of the range", _SHARE),
    "closed": ("CLOSED", "Share of the directions with a skull", _SHARE),
}
"""Code value, meaning and unit of the measures of plausibility, in the scheme `SCHEME`."""
VERDICTS = {
    "pass": CodedConcept("PASS", SCHEME, "Passed"),
    "warn": CodedConcept("WARN", SCHEME, "Passed with a warning"),
    "refuse": CodedConcept("FORCED", SCHEME, "Refused, and passed by force"),
    "none": CodedConcept("NONE", SCHEME, "The model has no input gate"),
}
"""Codes of the verdicts of an input gate."""


def file_measures(record: Translation, study: Study, folder: Path) -> None:
    """Write `folder/measures.dcm`: uncertainty, plausibility, the gate's verdict, and what is doubtful.

    Args:
        record: of a translation.
        study: of its source.
    """
    key = f"{study.digest}/{record.model.sha256}/{record.model.to}"
    group = MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(uid(key, "measures"), "translation, whole volume, without a reference"),
        algorithm_id=_algorithm(record),
        measurements=list(_measurements(record)) or None,
        qualitative_evaluations=list(_evaluations(record)),
        source_images=[
            SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID)
            for image in images_of(study.sources)
        ],
    )
    title = basic(f"{record.model.name}, without a reference")
    write_scores(measurement_report([group]), study.sources, title, study, folder / "measures.dcm")


def _algorithm(record: Translation) -> AlgorithmIdentification:
    model = record.model
    lines = [
        CAUTION,
        *(f"Doubtful: {words}" for words in say_doubts(record)),
        f"Translated to {model.to.upper()} by the model {model.name}, SHA-256 {model.sha256}",
        *([f"The card of the model says: {model.summary}"] if model.summary else []),
        *(f"Warning: {words}" for words in record.warnings),
    ]
    return AlgorithmIdentification(
        name="medtranslate translate",
        version=software_version(),
        parameters=[basic(words) for words in lines],
    )


def _mean_of(uncertainty: Uncertainty) -> tuple[str, str, str]:
    """Give the code of the mean of an uncertainty map: value, scheme and meaning."""
    value, meaning = CODES["mean_limit" if uncertainty.share else "mean_std"]
    return value, SCHEME, meaning


def _measurements(record: Translation) -> Iterator[Measurement]:
    if record.uncertainty and record.uncertainty.mean_std is not None:
        name = CodedConcept(*_mean_of(record.uncertainty))
        yield Measurement(
            name,
            float(f"{record.uncertainty.mean_std:.6g}"),
            unit_code(record.uncertainty.unit),
        )
    for field, (code, meaning, unit) in MEASURES.items():
        value = getattr(record.plausibility, field, None)
        if value is not None:
            yield Measurement(CodedConcept(code, SCHEME, meaning), float(f"{value:.6g}"), unit)


def _evaluations(record: Translation) -> Iterator[QualitativeEvaluation]:
    doubtful = CodedConcept("DOUBTFUL", SCHEME, "Doubtful")
    yield QualitativeEvaluation(doubtful, codes.SCT.Yes if record.doubts else codes.SCT.No)
    if record.gate:
        name = CodedConcept("GATE", SCHEME, "Verdict of the input gate of the model")
        yield QualitativeEvaluation(name, VERDICTS[record.gate.verdict])
