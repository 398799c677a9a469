"""DICOM objects of a report, for the study of the source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medtranslate.config import ReportSettings
from medtranslate.errors import InputRefused, UsageError
from medtranslate.io import Volume
from medtranslate.modality import OTHER, UNITS
from medtranslate.records import Evaluation, Regions, Translation, read_regions

if TYPE_CHECKING:  # highdicom takes long to import
    from medtranslate.io.dicom_objects import Study
    from medtranslate.report.dicom_regions import Measured


def file_objects(
    record: Evaluation | Translation,
    volumes: Mapping[str, Volume],
    settings: ReportSettings,
    pdf: Path,
    folder: Path,
) -> list[str]:
    """Write PDF, scores, uncertainty and regions, as far as there are; return notes on what is left out.

    Args:
        record: of the report.
        volumes: by role.
        settings: of the report.
        pdf: the report.
        folder: existing.

    Raises:
        UsageError: the source is no DICOM series, or not at hand.
        InputRefused: the regions are of another image.
    """
    from medtranslate.io.dicom_objects import open_study
    from medtranslate.report import as_dicom
    from medtranslate.report.dicom_regions import file_regions

    if "source" not in volumes:
        raise UsageError(
            "--view dicom: needs the headers of the DICOM series that was translated; name it with --source"
        )
    regions = _regions(record, settings)
    deidentify = settings.deidentify or bool(record.settings.get("deidentify"))
    study = open_study(volumes["source"], deidentify=deidentify)
    made = record if isinstance(record, Translation) else record.translation
    title = f"{made.model.name}, to {made.model.to.upper()}" if made else "scores"
    as_dicom.file_report(pdf, title, study, folder)
    scored = study
    if (prediction := volumes.get("prediction")) is not None and prediction.meta.format == "dicom":
        scored = open_study(prediction, deidentify=deidentify)
    if isinstance(record, Evaluation):
        as_dicom.file_scores(record, study, scored.sources, folder)
    if (uncertainty := volumes.get("uncertainty")) is not None:
        as_dicom.file_uncertainty(uncertainty, record, study, folder)
    if regions is None or settings.regions is None:
        return []
    return file_regions(
        regions, _measured(record, volumes, study, scored), settings.regions.name, study, folder
    )


def _regions(record: Evaluation | Translation, settings: ReportSettings) -> Regions | None:
    """Read the regions; they have to be of the record's image."""
    from medtranslate.report.regions import image_digest

    if settings.regions is None:
        return None
    regions, digest = read_regions(settings.regions), image_digest(record)
    if regions.digest != digest:
        theirs, own = (text[:8] if text else "unknown" for text in (regions.digest, digest))
        raise InputRefused(
            f"{settings.regions}: its regions are of another image (SHA-256 {theirs}, the record's is {own});"
            " export regions from the page of this record"
        )
    return regions


def _measured(
    record: Evaluation | Translation, volumes: Mapping[str, Volume], study: Study, scored: Study
) -> list[Measured]:
    """List source and, if it is at hand, translation; one that is no DICOM refers to the source's slices."""
    from medtranslate.report.dicom_regions import Measured

    source, prediction = volumes["source"], volumes.get("prediction")
    made = record if isinstance(record, Translation) else record.translation
    to = made.model.to if made else OTHER[source.meta.modality or "mr"]
    images = [Measured("source", source, OTHER[to], UNITS[OTHER[to]], source, study)]
    if prediction is not None:
        unit = record.model.unit if isinstance(record, Translation) else record.unit
        series = source if scored is study else prediction
        images.append(Measured("translation", prediction, to, unit, series, scored))
    return images
