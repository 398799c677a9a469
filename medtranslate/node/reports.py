"""Objects beside a result, for the study of its source; and the answer to a refused series."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import FileDataset

from medtranslate.errors import InputRefused, SeriesRefused
from medtranslate.evaluation.shown import shown_of
from medtranslate.io.dicom_files import file_of, without_comment
from medtranslate.io.dicom_header import SOURCE_TAGS
from medtranslate.io.dicom_identity import persons_of
from medtranslate.io.dicom_objects import Study, open_study
from medtranslate.io.dicom_series import find_series
from medtranslate.io.dicom_texts import check_named, with_bytes
from medtranslate.records import Translation
from medtranslate.report import TRANSLATION_VIEWS
from medtranslate.report.as_dicom import file_report
from medtranslate.report.dicom_measures import file_measures
from medtranslate.report.notice import write_notice
from medtranslate.translation import Translated

_PDF = "report.pdf"


def write_reports(record: Translation, made: Translated, folder: Path) -> None:
    """Write `report.dcm` and `measures.dcm`: the report, and what was measured without a reference."""
    study = open_study(made.framed.source)
    named = replace(record, output=f"Synthetic {record.model.to.upper()}")
    TRANSLATION_VIEWS["pdf"]([named], [(named.output, shown_of(made))], folder)
    file_report(folder / _PDF, f"{record.model.name}, to {record.model.to.upper()}", study, folder)
    (folder / _PDF).unlink()
    file_measures(record, study, folder)


def write_refusal(reason: str, source: Path, folder: Path) -> None:
    """Write `report.dcm`, which says why a series was not translated; nothing if its study is not known.

    Files of the inbox have names that mean nothing elsewhere, so the report names images by their numbers.
    """
    try:
        headers = _images_of(source)
    except InputRefused:
        return
    for header in headers:
        number = header.get("InstanceNumber")
        reason = reason.replace(file_of(header).name, f"image {number}" if number else "an image")
    number = headers[0].get("SeriesNumber")
    subject = f"Series {number}" if number else "This series"
    write_notice("Not translated", f"{subject} was not translated: {reason}", folder / _PDF)
    names = "/".join(sorted(str(header.get("SOPInstanceUID")) for header in headers))
    digest = hashlib.sha256(names.encode()).hexdigest()
    file_report(folder / _PDF, "not translated", Study(headers, None, digest, deidentify=False), folder)
    (folder / _PDF).unlink()


@without_comment()
def _images_of(folder: Path) -> list[FileDataset]:
    """Read the headers of images that need not be a readable series.

    Raises:
        InputRefused: no image is readable, an identifier is missing, or the images are of several studies or
            persons.
    """
    found = find_series(folder, SOURCE_TAGS)
    headers = [header for series in found.series.values() for header in series]
    if not headers:
        raise SeriesRefused(f"{folder}: holds no readable image")
    check_named(headers[0])
    if len({header.get("StudyInstanceUID") for header in headers}) > 1 or len(persons_of(headers)) > 1:
        raise SeriesRefused(f"{folder}: holds images of several studies or persons")
    with_bytes(headers[0])
    return headers
