"""A map of real numbers beside a derived series, as a Parametric Map (PS3.3 A.75)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from highdicom import VOILUTTransformation, pm
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, CTImageStorage, MRImageStorage, ParametricMapStorage

from medtranslate.io.dicom_files import without_comment
from medtranslate.io.dicom_header import basic, uid
from medtranslate.io.dicom_objects import (
    SCHEME,
    Study,
    add_dates,
    bare_slice,
    object_header,
    reference_to,
    save_object,
    unit_code,
)
from medtranslate.io.dicom_write import check_grid
from medtranslate.io.volume import Volume


@without_comment()
def write_map(
    spread: Volume, unit: str, meaning: str, study: Study, path: Path, share: float | None = None
) -> None:
    """Write an uncertainty map as a Parametric Map of 32-bit floats, one frame per slice of the source.

    Args:
        spread: on the source's grid.
        unit: a result's.
        meaning: of the map, in a few words.
        share: of the errors that lie within its values, if these are error limits; None for standard
            deviations.

    Raises:
        GeometryRefused: the map is not on the source's grid.
    """
    assert study.stack is not None
    check_grid(spread, study.stack, len(study.sources), path)
    planes = np.ascontiguousarray(spread.values.T, np.float32)
    header = object_header(
        study, "OT", ParametricMapStorage, planes.tobytes(), f"UNCERTAINTY, RESEARCH ONLY, {meaning}", 8000
    )
    add_dates(header)
    header.SyntheticData = "YES"
    frame = uid(header.SOPInstanceUID, "frame")
    places = [uid(header.SOPInstanceUID, str(index)) for index in range(len(planes))]
    top = max(float(planes.max()), 1e-6)
    made = pm.ParametricMap(
        source_images=[
            _as_slice(bare_slice(source, frame), place)
            for source, place in zip(study.sources, places, strict=True)
        ],
        pixel_array=planes,
        series_instance_uid=header.SeriesInstanceUID,
        series_number=header.SeriesNumber,
        sop_instance_uid=header.SOPInstanceUID,
        instance_number=1,
        manufacturer=header.Manufacturer,
        manufacturer_model_name=header.ManufacturerModelName,
        software_versions=header.SoftwareVersions,
        device_serial_number="none",
        contains_recognizable_visual_features=True,
        real_world_value_mappings=[
            pm.RealWorldValueMapping(
                lut_label=f"LIMIT{100 * share:.0f}" if share else "SD",
                lut_explanation=basic(meaning)[:64],
                unit=unit_code(unit),
                value_range=(float(planes.min()), float(planes.max())),
                slope=1.0,
                intercept=0.0,
                quantity_definition=_quantity(share),
            )
        ],
        voi_lut_transformations=[VOILUTTransformation(top / 2, top, voi_lut_function="LINEAR_EXACT")],
        content_label="UNCERTAINTY",
        content_description=basic(meaning)[:64],
    )
    _refer(made, dict(zip(places, study.sources, strict=True)))
    made.update(header)
    save_object(made, path)


def _quantity(share: float | None) -> CodedConcept:
    """Give the code of standard deviations; DICOM has none for error limits, so they get one of our own."""
    if share is None:
        return CodedConcept.from_code(codes.DCM.StandardDeviation)
    percent = f"{100 * share:.0f}"
    return CodedConcept(f"ERRORLIMIT{percent}", SCHEME, f"Distance within which {percent}% of the errors lie")


def _refer(made: Dataset, sources: Mapping[str, Dataset]) -> None:
    """Put real references, with the frame of an enhanced image, in the place of those to `sources`."""
    for element in made:
        for item in element.value if element.VR == "SQ" else ():
            source = sources.get(item.get("ReferencedSOPInstanceUID", ""))
            if source is None:
                _refer(item, sources)
                continue
            item.update(reference_to(source))
            if "ReferencedFrameNumber" in source:
                item.ReferencedFrameNumber = source.ReferencedFrameNumber


def _as_slice(bare: Dataset, instance: UID) -> Dataset:
    """Present a frame as a slice: highdicom takes one enhanced image, or slices, but no frames."""
    bare.SOPClassUID = CTImageStorage if bare.Modality == "CT" else MRImageStorage
    bare.SOPInstanceUID = instance
    return bare
