"""One clean DICOM series found in a folder, from headers alone.

Common readers place irregular series wrongly without a word, so whatever is not plainly one regular
stack of single-frame CT or MR planes is refused with a sentence that says why. What a plane is: PS3.3
C.7.6.2 (Image Plane), C.7.6.3 (Image Pixel), C.11.1 (Modality LUT).
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from medtranslate.errors import GeometryRefused, MedtranslateError, SeriesRefused, Unreadable
from medtranslate.geometry import COSINE, Stack, stack_slices
from medtranslate.io.bounds import MAX_BYTES, check_size

MODALITIES = {"CT": "ct", "MR": "mr"}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_SAME_IDENTITY = ("StudyInstanceUID", "PatientID", "FrameOfReferenceUID")
_SAME_VALUE = ("Modality", "PhotometricInterpretation", "Rows", "Columns")
_SAME_NUMBERS = (("PixelSpacing", 2, 1e-3), ("ImageOrientationPatient", 6, COSINE))
PIXEL_TAGS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"),
    *("HighBit", "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames"),
)
HEADER_TAGS = (
    *_SAME_IDENTITY,
    *_SAME_VALUE,
    *PIXEL_TAGS,
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *_UIDS,
    *("ImageType", "SliceThickness", "SpacingBetweenSlices"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
)


def recognise(head: bytes) -> bool:
    """Whether a file that starts with `head` is DICOM with a preamble (PS3.10 7.1)."""
    return head[128:132] == b"DICM"


@contextmanager
def without_comment() -> Iterator[None]:
    """Keep pydicom from validating values (real headers hold over-long numbers) and from quoting them."""
    with warnings.catch_warnings(), pydicom_config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def refusing_damage(file: Path | str) -> Iterator[None]:
    """Refuse where pydicom or a decoder raises, which on a damaged file is nearly any exception."""
    try:
        yield
    except (MedtranslateError, MemoryError):
        raise
    except Exception as error:
        kind = type(error).__name__
        raise Unreadable(f"{file}: damaged DICOM ({kind}); copy or export it again") from error


@without_comment()
def read_headers(
    path: Path, series: str | None = None, tags: Sequence[str] = ()
) -> tuple[list[FileDataset], Stack]:
    """Headers of the slices of one clean series along their normal, with `tags` beside what reading needs.

    Raises:
        SeriesRefused: not one clean series.
        GeometryRefused: not one regular grid.
        Unreadable: a damaged header.
    """
    headers = _choose(find_series(path, tags), path, series)
    first = headers[0]
    for header in headers:
        with refusing_damage(name_of(header)):
            _check_image(header)
            _check_same(header, first)
    with refusing_damage(name_of(first)):
        gap = abs(float(first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 1))
    stack = stack_slices(
        [numbers_of(header, "ImagePositionPatient", 3) for header in headers],
        numbers_of(first, "ImageOrientationPatient", 6),
        numbers_of(first, "PixelSpacing", 2),
        [name_of(header) for header in headers],
        single_gap=gap,
    )
    return [headers[index] for index in stack.order], stack


def find_series(path: Path, tags: Sequence[str] = ()) -> dict[str, list[FileDataset]]:
    """Headers of all images in a folder, at any depth, or of one file, by SeriesInstanceUID.

    Files that are not DICOM, and DICOM that is no image (DICOMDIR, reports, plans), are passed over; a
    file named .dcm that is no DICOM is not.

    Raises:
        Unreadable: a damaged header.
    """
    found: dict[str, list[FileDataset]] = defaultdict(list)
    for file in visible_files(path):
        with refusing_damage(file), file.open("rb") as start:
            is_dicom = recognise(start.read(132)) or file.suffix.lower() == ".dcm"
        if not is_dicom:
            continue
        header = _read_header(file, tags)
        with refusing_damage(file):
            kind = UID(header.file_meta.get("MediaStorageSOPClassUID", "")).name
        if "Rows" in header and "Columns" in header:
            found[str(header.get("SeriesInstanceUID", ""))].append(header)
        elif kind.endswith("Image Storage"):
            raise Unreadable(
                f"{file}: an image without Rows and Columns (truncated?); copy or export it again"
            )
    return found


def visible_files(path: Path) -> Iterator[Path]:
    """The file itself, or all files below a folder that are not hidden, in the order of their paths."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if not hidden and file.is_file():
            yield file


def name_of(header: FileDataset) -> str:
    """The file that a header is from, for messages."""
    return str(header.filename)


def _read_header(file: Path, tags: Sequence[str]) -> FileDataset:
    if file.stat().st_size > MAX_BYTES:
        raise Unreadable(f"{file}: over the bound of {MAX_BYTES / 2**30:.1f} GiB; crop or split it")
    with refusing_damage(file):
        # The syntax first: pydicom inflates a deflated file without a bound.
        syntax = read_file_meta_info(file).get("TransferSyntaxUID")
        if syntax != DeflatedExplicitVRLittleEndian:
            return dcmread(file, stop_before_pixels=True, specific_tags=[*HEADER_TAGS, *tags])
    raise Unreadable(f"{file}: deflated DICOM is not read; export it uncompressed")


def _choose(found: dict[str, list[FileDataset]], path: Path, series: str | None) -> list[FileDataset]:
    if not found:
        raise SeriesRefused(f"{path}: no DICOM image found; name a folder with a CT or MR series")
    chosen = [uid for uid in found if series is None or uid.endswith(series)]
    if len(chosen) == 1:
        return found[chosen[0]]
    choices = "; ".join(
        f"...{uid[-12:]} ({headers[0].get('Modality', 'no modality')}, {len(headers)} images)"
        for uid, headers in found.items()
    )
    what = f"{len(found)} series" if series is None else f"{len(chosen)} series ending in {series}"
    raise SeriesRefused(f"{path}: holds {what}: {choices}; choose one with --series")


def _check_image(header: FileDataset) -> None:
    """Refuse what is not one plane of a CT or MR volume."""
    name, kind = name_of(header), np.atleast_1d(header.get("ImageType", [])).tolist()
    colour = str(header.get("PhotometricInterpretation", "unknown"))
    modality, frames = header.get("Modality"), int(header.get("NumberOfFrames") or 1)
    lacking = [keyword for keyword in _UIDS if not header.get(keyword)]
    check_size((int(header.Rows), int(header.Columns)), name)
    if frames > 1 or "Enhanced" in UID(header.get("SOPClassUID", "")).name:
        raise SeriesRefused(
            f"{name}: enhanced multi-frame image ({frames} frames): not supported yet; export single frames"
        )
    if modality not in MODALITIES:
        raise SeriesRefused(f"{name}: Modality is {modality or 'missing'}; give a CT or MR series")
    if header.get("SamplesPerPixel", 1) != 1 or not colour.startswith("MONOCHROME"):
        raise SeriesRefused(f"{name}: colour image ({colour}); give the grey series")
    if lacking:
        raise SeriesRefused(f"{name}: lacks {lacking[0]}; export the series again")
    if "LOCALIZER" in kind:
        raise SeriesRefused(f"{name}: localizer, not part of a volume; take it out of the folder")
    if "MOSAIC" in kind:
        raise SeriesRefused(f"{name}: mosaic of several slices; export single slices")
    if "ModalityLUTSequence" in header:
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
