"""DICOM series found among files, from headers alone, and their planes.

What a plane is: PS3.3 C.7.6.2 (Image Plane), C.7.6.3 (Image Pixel), C.11.1 (Modality LUT), and for the
frames of enhanced images C.7.6.16.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, RawDataStorage, SecondaryCaptureImageStorage

from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused, Unreadable
from medtranslate.io.bounds import check_size
from medtranslate.io.dicom_acquisitions import ACQUISITION_TAGS
from medtranslate.io.dicom_files import (
    File,
    file_of,
    is_dicom,
    list_files,
    read_dicom,
    refusing_damage,
    without_comment,
)
from medtranslate.io.dicom_identity import PERSON
from medtranslate.modality import Modality

MODALITIES: dict[str, Modality] = {"CT": "ct", "MR": "mr"}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
PIXEL_TAGS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"),
    *("HighBit", "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames"),
)
_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
HEADER_TAGS = (
    *("Modality", "FrameOfReferenceUID", *_UIDS),
    *PERSON,
    *PIXEL_TAGS,
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("InstanceNumber", "SliceThickness", "SpacingBetweenSlices"),
    *ACQUISITION_TAGS,
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("ComplexImageComponent", "SyntheticData"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *(_SHARED, _PER_FRAME),
)
_MACROS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "FrameContentSequence": ("StackID", "TemporalPositionIndex", "FrameAcquisitionNumber"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRModifierSequence": ("InversionTimes",),
    "MRDiffusionSequence": ("DiffusionBValue",),
    "MRTimingAndRelatedParametersSequence": ("FlipAngle",),
    "CardiacSynchronizationSequence": ("NominalCardiacTriggerDelayTime",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "CTXRayDetailsSequence": ("KVP",),
    "UnassignedPerFrameConvertedAttributesSequence": ACQUISITION_TAGS,
}
"""Functional group macros (PS3.3 C.7.6.16.2), and what is read from each."""
_MACRO_TAGS = {Tag(macro): {Tag(keyword) for keyword in keywords} for macro, keywords in _MACROS.items()}


@dataclass(frozen=True)
class Findings:
    """Contents of a folder or an archive.

    Attributes:
        series: headers of images by SeriesInstanceUID.
        refused: reasons why DICOM files could not be read.
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
    """Read the header of an image; None for other DICOM files.

    Raw data beside the images of a series may have Rows and Columns, too, and has no pixels.
    """
    header = read_dicom(file, [*HEADER_TAGS, *tags])
    if text_of(header, "SOPClassUID") == RawDataStorage:
        return None
    if "Rows" in header and "Columns" in header:
        return header
    with refusing_damage(file):
        kind = UID(header.file_meta.get("MediaStorageSOPClassUID", "")).name
    if kind.endswith("Image Storage"):
        raise Unreadable(f"{file}: an image without Rows and Columns (truncated?); copy or export it again")
    return None


def planes_of(header: FileDataset) -> list[FileDataset]:
    """List the frames of an enhanced image, with position and scale where single-frame images have them.

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
    common = header[:]
    del common[_PER_FRAME]
    planes = []
    for number, own in enumerate(groups, start=1):
        plane = FileDataset("", common[:], file_meta=header.file_meta)
        implicit, little = header.original_encoding
        plane.set_original_encoding(implicit, little, header.original_character_set)
        plane.file, plane.pixel_element = header.file, header.pixel_element
        plane.ReferencedFrameNumber = number
        for macro, tags in _MACRO_TAGS.items():
            item = _group(own, macro) or _group(shared, macro)
            if item is not None:
                for tag in item.keys() & tags:
                    plane.add(item[tag])
        plane.ImageType = plane.get("FrameType") or plane.get("ImageType")
        planes.append(plane)
    return planes


def _group(groups: Dataset, macro: BaseTag) -> Dataset | None:
    """Find a functional group; None if it is absent."""
    if macro not in groups.keys():  # noqa: SIM118  # As in `raw_of`.
        return None
    return next(iter(groups[macro].value or []), None)


def name_of(header: FileDataset) -> str:
    """Name the file, and the frame in it, of a header, for messages."""
    frame = header.get("ReferencedFrameNumber")
    return str(file_of(header)) if frame is None else f"{file_of(header)}, frame {frame}"


def text_of(header: FileDataset, keyword: str) -> str:
    """Read a header value as text; empty if it is absent.

    Raises:
        Unreadable: the element is damaged.
    """
    with refusing_damage(name_of(header)):
        return str(header.get(keyword, ""))


def check_image(header: FileDataset) -> None:
    """Refuse what is not an image of CT or MR planes, each with a place of its own."""
    name, modality = name_of(header), header.get("Modality")
    colour = str(header.get("PhotometricInterpretation"))
    frames = int(header.get("NumberOfFrames") or 1)
    check_size((frames, int(header.Rows), int(header.Columns)), name)
    if modality not in MODALITIES:
        raise SeriesRefused(f"{name}: Modality is {modality or 'missing'}; give a CT or MR series")
    if not header.get("PhotometricInterpretation"):
        raise SeriesRefused(f"{name}: lacks PhotometricInterpretation; export the series again")
    if header.get("SamplesPerPixel", 1) != 1 or not colour.startswith("MONOCHROME"):
        raise SeriesRefused(f"{name}: colour image ({colour}); give the grey series")
    if not header.get("SeriesInstanceUID"):
        raise SeriesRefused(f"{name}: lacks SeriesInstanceUID; export the series again")
    if frames > 1 and _PER_FRAME not in header:
        raise SeriesRefused(f"{name}: {frames} frames without a position each; export single frames")


def check_plane(plane: FileDataset) -> None:
    """Refuse what is not one plane of a volume."""
    name, kind = name_of(plane), np.atleast_1d(plane.get("ImageType", [])).tolist()
    if "LOCALIZER" in kind:
        raise SeriesRefused(f"{name}: localizer, not part of a volume; take it out of the folder")
    if text_of(plane, "SOPClassUID") == SecondaryCaptureImageStorage:
        raise SeriesRefused(f"{name}: screen capture, not part of a volume; take it out of the folder")
    if {"MOSAIC", "VFRAME"} & {*kind}:  # as Siemens and as United Imaging say it
        raise SeriesRefused(f"{name}: mosaic of several slices; export single slices")
    if plane.get("ModalityLUTSequence"):
        raise SeriesRefused(f"{name}: non-linear modality LUT: not supported; export a linear rescale")


def numbers_of(header: FileDataset, keyword: str, count: int) -> list[float]:
    """Read a header value of `count` finite numbers; spacings have to be positive.

    Decimal strings are parsed from their bytes: pydicom's number types cost more than reading the file.
    """
    value: object = header.get_item(keyword).value if keyword in header else None
    try:
        parts = value.split(b"\\") if isinstance(value, bytes) else np.ravel(np.asarray(value))
        # Devices pad with NUL as well as with blanks.
        numbers = [float(part.strip(b" \0") if isinstance(part, bytes) else part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise GeometryRefused(
            f"{name_of(header)}: {keyword} is missing or is not {count} numbers; export the original series"
        )
    if keyword == "PixelSpacing" and min(numbers) <= 0:
        raise GeometryRefused(f"{name_of(header)}: PixelSpacing is {numbers} mm; export the original series")
    return numbers
