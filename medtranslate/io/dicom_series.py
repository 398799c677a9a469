"""One clean DICOM series found among files, from headers alone.

Common readers place irregular series wrongly without a word, so whatever is not plainly one stack of
CT or MR planes is refused with a sentence that says why. What a plane is: PS3.3 C.7.6.2 (Image Plane),
C.7.6.3 (Image Pixel), C.11.1 (Modality LUT), and for the frames of enhanced images C.7.6.16.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused, Unreadable
from medtranslate.geometry import COSINE, Stack, stack_slices
from medtranslate.io.bounds import check_size
from medtranslate.io.dicom_files import (
    File,
    file_of,
    is_dicom,
    list_files,
    read_dicom,
    refusing_damage,
    without_comment,
)

MODALITIES = {"CT": "ct", "MR": "mr"}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_SAME_IDENTITY = ("StudyInstanceUID", "PatientID", "FrameOfReferenceUID")
_SAME_VALUE = ("Modality", "PhotometricInterpretation", "Rows", "Columns")
_SAME_NUMBERS = (("PixelSpacing", 2, 1e-3), ("ImageOrientationPatient", 6, COSINE))
PIXEL_TAGS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"),
    *("HighBit", "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames"),
)
_TAIL, _DESCRIPTION = 12, 40
"""Characters of a UID, and of a description, that a list of series shows."""
_CHOICES = 3
"""Series that a message of one line names; `rows` has them all."""
_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
HEADER_TAGS = (
    *_SAME_IDENTITY,
    *_SAME_VALUE,
    *PIXEL_TAGS,
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *_UIDS,
    *("ImageType", "SliceThickness", "SpacingBetweenSlices"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *(_SHARED, _PER_FRAME),
)
_MACROS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "MRImageFrameTypeSequence": ("FrameType",),
}
"""Functional group macros (PS3.3 C.7.6.16.2), and what is read from each."""


@without_comment()
def read_headers(
    path: Path, series: str | None = None, tags: Sequence[str] = ()
) -> tuple[list[FileDataset], Stack]:
    """Headers of the slices of one clean series along their normal, with `tags` beside what reading needs.

    A frame of an enhanced image has a header of its own, as if it were a file (`planes_of`).

    Raises:
        SeriesRefused: not one clean series.
        GeometryRefused: a slice is missing, or two lie at one place.
        Unreadable: a file is damaged, or too large.
    """
    found = find_series(path, ("SeriesDescription", *tags))
    if found.refused:
        raise found.refused[0]
    return order_planes(_choose(found.series, path, series))


@dataclass(frozen=True)
class Findings:
    """What lies in a folder or an archive.

    Attributes:
        series: headers of images by SeriesInstanceUID.
        refused: why a DICOM file could not be read.
        others: files that are no DICOM.
    """

    series: dict[str, list[FileDataset]]
    refused: list[InputRefused]
    others: list[File]


@without_comment()
def find_series(path: Path, tags: Sequence[str] = ()) -> Findings:
    """Headers of all images in a folder, at any depth, an archive, or one file.

    DICOM that is no image (DICOMDIR, reports, plans) is passed over.

    Raises:
        Unreadable: an archive is damaged or over the bounds.
    """
    found = Findings(defaultdict(list), [], [])
    for file in list_files(path):
        try:
            if not is_dicom(file):
                found.others.append(file)
            elif (header := _image_header(file, tags)) is not None:
                found.series[text_of(header, "SeriesInstanceUID")].append(header)
        except InputRefused as refusal:
            found.refused.append(refusal)
    return found


def _image_header(file: File, tags: Sequence[str]) -> FileDataset | None:
    """The header of an image; None of other DICOM."""
    header = read_dicom(file, [*HEADER_TAGS, *tags])
    if "Rows" in header and "Columns" in header:
        return header
    with refusing_damage(file):
        kind = UID(header.file_meta.get("MediaStorageSOPClassUID", "")).name
    if kind.endswith("Image Storage"):
        raise Unreadable(f"{file}: an image without Rows and Columns (truncated?); copy or export it again")
    return None


@without_comment()
def order_planes(headers: Sequence[FileDataset]) -> tuple[list[FileDataset], Stack]:
    """The planes of a series' images along their normal, if they are one clean stack.

    Raises:
        SeriesRefused: not one clean series.
        GeometryRefused: a slice is missing, or two lie at one place.
        Unreadable: too large, or damaged.
    """
    planes = []
    for header in headers:
        with refusing_damage(name_of(header)):
            _check_image(header)
            planes += planes_of(header)
    first = planes[0]
    for plane in planes:
        with refusing_damage(name_of(plane)):
            _check_plane(plane)
            _check_same(plane, first)
    check_size((len(planes), int(first.Rows), int(first.Columns)), name_of(first))
    with refusing_damage(name_of(first)):
        gap = abs(float(first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 1))
    row_mm, column_mm = numbers_of(first, "PixelSpacing", 2)
    stack = stack_slices(
        [numbers_of(plane, "ImagePositionPatient", 3) for plane in planes],
        [numbers_of(plane, "ImageOrientationPatient", 6) for plane in planes],
        (row_mm, column_mm),
        [name_of(plane) for plane in planes],
        single_gap=gap,
        thicknesses=_thicknesses(planes),
    )
    return [planes[index] for index in stack.order], stack


def planes_of(header: FileDataset) -> list[FileDataset]:
    """The frames of an enhanced image, each with its position and scale where a single-frame image has them.

    A frame's header has its number as ReferencedFrameNumber, which is also what a reference to it needs.
    """
    if _PER_FRAME not in header:
        return [header]
    groups, shared = header[_PER_FRAME].value, next(iter(header.get(_SHARED) or []), Dataset())
    if len(groups) != int(header.get("NumberOfFrames") or 1):
        raise SeriesRefused(
            f"{name_of(header)}: {header.get('NumberOfFrames')} frames, of which {len(groups)} are described;"
            " export it again"
        )
    del header[_PER_FRAME]
    planes = []
    for number, own in enumerate(groups, start=1):
        plane = FileDataset("", header[:], file_meta=header.file_meta)
        implicit, little = header.original_encoding
        plane.set_original_encoding(implicit, little, header.original_character_set)
        plane.file, plane.place, plane.ReferencedFrameNumber = header.file, header.place, number
        for macro, keywords in _MACROS.items():
            items = own.get(macro) or shared.get(macro) or [Dataset()]
            for keyword in keywords:
                if keyword in items[0]:
                    plane.add(items[0][keyword])
        plane.ImageType = plane.get("FrameType") or plane.get("ImageType")
        planes.append(plane)
    return planes


def name_of(header: FileDataset) -> str:
    """The file, and the frame of it, that a header is from, for messages."""
    frame = header.get("ReferencedFrameNumber")
    return str(file_of(header)) if frame is None else f"{file_of(header)}, frame {frame}"


def text_of(header: FileDataset, keyword: str) -> str:
    """A header value as text; empty if it is not there.

    Raises:
        Unreadable: the element is damaged.
    """
    with refusing_damage(name_of(header)):
        return str(header.get(keyword, ""))


def _thicknesses(planes: Sequence[FileDataset]) -> list[float] | None:
    """SliceThickness of each plane, if all of them say it."""
    try:
        thick = [numbers_of(plane, "SliceThickness", 1)[0] for plane in planes]
    except GeometryRefused:
        return None
    return thick if min(thick) > 0 else None


def _choose(found: dict[str, list[FileDataset]], path: Path, series: str | None) -> list[FileDataset]:
    if not found:
        raise SeriesRefused(f"{path}: no DICOM image found; name a folder with a CT or MR series")
    chosen = [uid for uid in found if series is None or uid.endswith(series)]
    if len(chosen) == 1:
        return found[chosen[0]]
    rows = [_row(uid, headers) for uid, headers in found.items()]
    choices = [f"...{tail} ({modality}, {count} images)" for tail, modality, count, _ in rows[:_CHOICES]]
    choices += ["..."] if len(rows) > _CHOICES else []
    what = f"{len(found)} series" if series is None else f"{len(chosen)} series ending in {series}"
    refusal = SeriesRefused(
        f"{path}: holds {what}: {'; '.join(choices)}; choose one with --series and the end of its UID"
        " (`medtranslate batch` translates them all)"
    )
    refusal.rows = [("--series", "modality", "images", "description"), *rows]
    raise refusal


def _row(uid: str, headers: Sequence[FileDataset]) -> tuple[str, str, str, str]:
    """What is known of a series, for people to choose by."""
    first = headers[0]
    description = text_of(first, "SeriesDescription")[:_DESCRIPTION]
    return uid[-_TAIL:], text_of(first, "Modality") or "no modality", str(len(headers)), description


def _check_image(header: FileDataset) -> None:
    """Refuse what is not an image of CT or MR planes, each with a place of its own."""
    name, modality = name_of(header), header.get("Modality")
    colour = str(header.get("PhotometricInterpretation", "unknown"))
    frames = int(header.get("NumberOfFrames") or 1)
    lacking = [keyword for keyword in _UIDS if not header.get(keyword)]
    check_size((frames, int(header.Rows), int(header.Columns)), name)
    if modality not in MODALITIES:
        raise SeriesRefused(f"{name}: Modality is {modality or 'missing'}; give a CT or MR series")
    if header.get("SamplesPerPixel", 1) != 1 or not colour.startswith("MONOCHROME"):
        raise SeriesRefused(f"{name}: colour image ({colour}); give the grey series")
    if lacking:
        raise SeriesRefused(f"{name}: lacks {lacking[0]}; export the series again")
    if frames > 1 and _PER_FRAME not in header:
        raise SeriesRefused(f"{name}: {frames} frames without a position each; export single frames")


def _check_plane(plane: FileDataset) -> None:
    """Refuse what is not one plane of a volume."""
    name, kind = name_of(plane), np.atleast_1d(plane.get("ImageType", [])).tolist()
    if "LOCALIZER" in kind:
        raise SeriesRefused(f"{name}: localizer, not part of a volume; take it out of the folder")
    if "MOSAIC" in kind:
        raise SeriesRefused(f"{name}: mosaic of several slices; export single slices")
    if "ModalityLUTSequence" in plane:
        raise SeriesRefused(
            f"{name}: non-linear modality LUT: not supported; export it with a linear rescale"
        )


def _check_same(header: FileDataset, first: FileDataset) -> None:
    """Refuse two images that cannot be of one volume; identities are compared and never printed."""
    differing = [keyword for keyword in _SAME_IDENTITY if header.get(keyword, "") != first.get(keyword, "")]
    differing += [
        f"{keyword} ({header.get(keyword)}, {first.get(keyword)})"
        for keyword in _SAME_VALUE
        if header.get(keyword) != first.get(keyword)
    ]
    for keyword, count, tolerance in _SAME_NUMBERS:
        here, there = numbers_of(header, keyword, count), numbers_of(first, keyword, count)
        if here != there and not np.allclose(here, there, rtol=0, atol=tolerance):
            differing.append(f"{keyword} ({here}, {there})")
    if differing:
        raise SeriesRefused(f"{name_of(header)} and {name_of(first)} differ in {differing[0]}; separate them")


def numbers_of(header: FileDataset, keyword: str, count: int) -> list[float]:
    """A header value of `count` finite numbers; spacings are positive.

    Decimal strings are parsed from their bytes: pydicom's number types cost more than reading the file.
    """
    value: object = header.get_item(keyword).value if keyword in header else None
    try:
        parts = value.split(b"\\") if isinstance(value, bytes) else np.ravel(np.asarray(value))
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise GeometryRefused(
            f"{name_of(header)}: {keyword} is missing or is not {count} numbers; export the original series"
        )
    if keyword == "PixelSpacing" and min(numbers) <= 0:
        raise GeometryRefused(f"{name_of(header)}: PixelSpacing is {numbers} mm; export the original series")
    return numbers
