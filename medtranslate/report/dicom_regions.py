"""A reader's regions as planar ROI measurements (PS3.16 TID 1410), in a Comprehensive 3D SR (TID 1500)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    GraphicTypeValues,
    GraphicTypeValues3D,
    ImageRegion,
    ImageRegion3D,
    Measurement,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForMeasurement,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes

from medtranslate.errors import InputRefused
from medtranslate.geometry import Floats, swap_lps_ras
from medtranslate.io import Volume
from medtranslate.io.dicom_header import basic, software_version, uid
from medtranslate.io.dicom_objects import Study, unit_code, write_scores
from medtranslate.io.layout import to_axial
from medtranslate.modality import Modality
from medtranslate.records import Region, Regions
from medtranslate.records.regions import AXES
from medtranslate.report.as_dicom import measurement_report
from medtranslate.report.regions import Statistics, area_mm2, has_area, statistics
from medtranslate.report.wording import CAUTION

MOST_PLANES = 2000
"""Most slices of all regions together; each becomes a group of measurements."""
QUANTITIES = {"ct": codes.DCM.AttenuationCoefficient, "mr": codes.DCM.MRSignalIntensity}
"""Measured quantity by modality."""
DERIVATIONS = {
    "mean": codes.SCT.Mean,
    "sd": codes.SCT.StandardDeviation,
    "low": codes.SCT.Minimum,
    "high": codes.SCT.Maximum,
}
_METHOD = "Voxels whose centre lies inside the shape, at full resolution; standard deviation with divisor n"


@dataclass(frozen=True)
class Measured:
    """Image whose values are measured.

    Attributes:
        title: source or translation.
        volume: as it was read.
        modality, unit: of the values.
        series: whose slices the regions refer to: the image's own, or the source's on the same grid.
        study: of that series.
    """

    title: str
    volume: Volume
    modality: Modality
    unit: str
    series: Volume
    study: Study


def file_regions(
    given: Regions, images: Sequence[Measured], name: str, study: Study, folder: Path
) -> list[str]:
    """Write `folder/regions.dcm`; return notes on what it leaves out.

    A region on a slab becomes one group for each slice, with one tracking UID. A region in the plane of the
    series' slices refers to the slice (SCOORD), another one to the frame of reference (SCOORD3D) and, in
    each measurement, to the images.

    Args:
        given: drawn on the axial layout of the images.
        images: on one grid, the source first.
        name: of the regions' file, for messages.
        study: of the source.
        folder: existing.

    Raises:
        InputRefused: the regions are of an image of another shape, none has an area, or they are too many.
    """
    shape = to_axial(images[0].volume).shape
    if given.shape != shape:
        raise InputRefused(
            f"{name}: its regions are of an image of {given.shape} voxels, this one has {shape}"
        )
    areas = [(number, one) for number, one in enumerate(given.regions, start=1) if has_area(one)]
    planes = sum(region.slices[1] - region.slices[0] + 1 for _, region in areas)
    if not areas or planes > MOST_PLANES:
        raise InputRefused(
            f"{name}: its rectangles, ellipses and freehand regions lie in {planes} slices; an SR takes 1 to"
            f" {MOST_PLANES}"
        )
    groups = [
        group
        for number, region in areas
        for image in images
        for group in _groups(region, _title(region, number, deidentify=study.deidentify), image)
    ]
    about = list({slice_.SOPInstanceUID: slice_ for one in images for slice_ in one.study.sources}.values())
    write_scores(
        measurement_report(groups),
        about,
        "regions of a reader",
        study,
        folder / "regions.dcm",
        kind="regions",
    )
    left_out = len(given.regions) - len(areas)
    return (
        [f"regions: {left_out} distances and angles are left out; an SR of regions has areas"]
        if left_out
        else []
    )


def _title(region: Region, number: int, *, deidentify: bool) -> str:
    """Name a region; a name that a reader typed may hold an identity."""
    own = "" if deidentify else basic(region.name).strip()
    return f"{number} {own or region.kind}"


def _groups(
    region: Region, title: str, image: Measured
) -> Iterator[PlanarROIMeasurementsAndQualitativeEvaluations]:
    axial = to_axial(image.volume)
    tracking = uid(image.study.digest, f"region {title} {region.points} {region.slices}")
    area = float(f"{area_mm2(region, axial.spacing):.6g}")
    for index in range(region.slices[0], region.slices[1] + 1):
        place, images = _place(region, index, image)
        measurements = [Measurement(codes.SCT.Area, area, codes.UCUM.SquareMillimeter)]
        if found := statistics(region, axial.values, index):
            measurements += _measurements(found, image, images)
        yield PlanarROIMeasurementsAndQualitativeEvaluations(
            TrackingIdentifier(tracking, f"{title}, {image.title}"),
            referenced_region=place,
            algorithm_id=AlgorithmIdentification(
                name="medtranslate report --regions",
                version=software_version(),
                parameters=[CAUTION, f"Values: {image.title}", _METHOD],
            ),
            measurements=measurements,
        )


def _measurements(
    found: Statistics, image: Measured, images: list[SourceImageForMeasurement] | None
) -> list[Measurement]:
    return [
        Measurement(
            QUANTITIES[image.modality],
            float(f"{getattr(found, field):.6g}"),
            unit_code(image.unit),
            derivation=derivation,
            referenced_images=images,
        )
        for field, derivation in DERIVATIONS.items()
    ]


def _place(
    region: Region, index: int, image: Measured
) -> tuple[ImageRegion | ImageRegion3D, list[SourceImageForMeasurement] | None]:
    """Place a region on a slice of the series, or in space with references to the slices that it crosses.

    Pixel coordinates of DICOM begin at the corner of the first pixel, whose centre is (0.5, 0.5)
    (PS3.3 C.10.5.1.2).
    """
    points = _indices(region, index, image.series)
    sources = image.study.sources
    through = points[:, 2]
    if np.ptp(through) < 0.01:
        source = sources[round(float(through[0]))]
        reference = SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID, _frames(source))
        kind = GraphicTypeValues.ELLIPSE if region.kind == "ellipse" else GraphicTypeValues.POLYLINE
        return ImageRegion(kind, points[:, :2] + 0.5, reference), None
    if "FrameOfReferenceUID" not in sources[0] or image.study.stack is None:
        raise InputRefused(
            f"a region lies in the {region.plane} plane: the series has no frame of reference, so only"
            " regions in the plane of its slices can be written; export those alone"
        )
    lps = swap_lps_ras(image.study.stack.affine)
    places = points @ lps[:3, :3].T + lps[:3, 3]
    first, last = (
        int(np.clip(end, 0, len(sources) - 1)) for end in (through.min().round(), through.max().round())
    )
    crossed = {source.SOPInstanceUID: source for source in sources[first : last + 1]}
    in_space = GraphicTypeValues3D.ELLIPSE if region.kind == "ellipse" else GraphicTypeValues3D.POLYGON
    return (
        ImageRegion3D(in_space, places, sources[0].FrameOfReferenceUID),
        [SourceImageForMeasurement(one.SOPClassUID, one.SOPInstanceUID) for one in crossed.values()],
    )


def _indices(region: Region, index: int, series: Volume) -> Floats:
    """List the points of a shape as indices [column, row, slice] of a series, [N, 3]."""
    plane = _ellipse(region, series) if region.kind == "ellipse" else _closed(region)
    across, down, through = AXES[region.plane]
    axial = np.ones((len(plane), 4))
    axial[:, across], axial[:, down], axial[:, through] = plane[:, 0], plane[:, 1], index
    # The axial layout permutes and flips the axes of the series, so this matrix holds 0, 1 and -1.
    back = np.linalg.solve(series.affine, to_axial(series).affine)
    return np.asarray((axial @ back.T)[:, :3])


def _closed(region: Region) -> Floats:
    if region.kind == "rectangle":
        (a, b), (c, d) = region.points
        return np.array([(a, b), (c, b), (c, d), (a, d), (a, b)])
    return np.array([*region.points, region.points[0]])


def _ellipse(region: Region, series: Volume) -> Floats:
    """End points of the major axis, then of the minor axis (PS3.3 C.18.6.1.2)."""
    (a, b), (c, d) = region.points
    u, v = (a + c) / 2, (b + d) / 2
    level, upright = [(a, v), (c, v)], [(u, b), (u, d)]
    across, down, _ = AXES[region.plane]
    sizes = to_axial(series).spacing
    wide = abs(c - a) * sizes[across] >= abs(d - b) * sizes[down]
    return np.array(level + upright if wide else upright + level)


def _frames(source: object) -> list[int] | None:
    number = getattr(source, "ReferencedFrameNumber", None)
    return None if number is None else [int(number)]
