"""One stack of slices from the images of a DICOM series, or a sentence that says why not.

Common readers place irregular series wrongly without a word, so whatever is not plainly one stack of CT or
MR planes of one person and one acquisition is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.tag import Tag

from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused
from medtranslate.geometry import COSINE, Floats, Stack, stack_slices
from medtranslate.io import dicom_acquisitions
from medtranslate.io.bounds import check_size
from medtranslate.io.dicom_beside import normal_of, without_others
from medtranslate.io.dicom_copies import without_copies
from medtranslate.io.dicom_files import raw_of, refusing_damage, without_comment
from medtranslate.io.dicom_folders import check_numbers, require_one_series
from medtranslate.io.dicom_identity import difference, persons_of
from medtranslate.io.dicom_series import (
    check_image,
    check_plane,
    find_series,
    name_of,
    numbers_of,
    planes_of,
    text_of,
)
from medtranslate.io.volume import Meta

_SAME_UIDS = ("StudyInstanceUID", "FrameOfReferenceUID")
_SAME_VALUE = ("Modality", "PhotometricInterpretation", "Rows", "Columns")
_SAME_NUMBERS = (("PixelSpacing", 2, 1e-3), ("ImageOrientationPatient", 6, COSINE))
_TAIL, _DESCRIPTION = 12, 40
"""Characters of a UID, and of a description, that a list of series shows."""
_CHOICES = 3
"""Series that a message of one line names; `rows` has them all."""
_MOST_PARTS = 24
"""Most parts of a series that a message lists; a series with more is a film or a diffusion series."""


class Ordered(NamedTuple):
    """Headers of slices along their normal, their geometry, and what the user has to know of them.

    Attributes:
        images: of the series that they were taken of.
    """

    planes: list[FileDataset]
    stack: Stack
    notes: list[str]
    images: int


@without_comment()
def read_headers(
    path: Path, series: str | None = None, select: str | None = None, tags: Sequence[str] = ()
) -> Ordered:
    """Headers of the slices of one clean series along their normal, with `tags` beside what reading needs.

    A frame of an enhanced image has a header of its own, as if it were a file (`planes_of`).

    Args:
        series: SeriesInstanceUID, or the end of one.
        select: one of several acquisitions in the series (`dicom_acquisitions.select`).

    Raises:
        SettingsError: `select` is not NAME=VALUE.
        SeriesRefused: not one clean series.
        GeometryRefused: a slice is missing, or two lie at one place.
        Unreadable: a file is damaged, or too large.
    """
    found = find_series(path, ("SeriesDescription", *tags))
    if found.refused:
        raise found.refused[0]
    return order_planes(_choose(found.series, path, series), select)


def read_again(meta: Meta, tags: Sequence[str] = ()) -> Ordered:
    """Read the headers of a volume's series again; raises as `read_headers`."""
    assert meta.path is not None
    return read_headers(meta.path, meta.series, meta.select, tags)


@without_comment()
def order_planes(headers: Sequence[FileDataset], select: str | None = None) -> Ordered:
    """Order the planes of a series' images along their normal, if they are one clean stack.

    Copies of an image are left out, and so are an image or two of other planes, which show where many slices
    lie.

    Args:
        select: one of several acquisitions in the series (`dicom_acquisitions.select`).

    Raises:
        SettingsError: `select` is not NAME=VALUE.
        SeriesRefused: not one clean series.
        GeometryRefused: a slice is missing, or two lie at one place.
        Unreadable: too large, or damaged.
    """
    planes = _planes(headers)
    count = len(planes)
    if select is not None:
        with refusing_damage(name_of(planes[0])):
            kept = dicom_acquisitions.select(planes, select, name_of(planes[0]))
        planes = [planes[index] for index in kept]
    _check_identity(planes)
    planes, copies = without_copies(planes)
    planes, notes = without_others(planes)
    for plane in planes:
        with refusing_damage(name_of(plane)):
            check_plane(plane)
    _check_acquisitions(planes)
    require_one_series(planes)
    stack = _stack(planes)
    planes = [planes[index] for index in stack.order]
    check_numbers(planes)
    return Ordered(planes, stack, [*copies, *notes], count)


@without_comment()
def list_parts(headers: Sequence[FileDataset]) -> list[str]:
    """List what `select` takes of a series: a text for each acquisition; nothing if it has one.

    Raises:
        InputRefused: its planes cannot be placed.
    """
    parts = list(_parts(without_others(_planes(headers))[0]))
    return parts if 1 < len(parts) <= _MOST_PARTS else []


def _parts(planes: list[FileDataset], chosen: str = "") -> Iterator[str]:
    told = _tell_apart(planes)
    if not told:
        yield chosen
        return
    name, labels = next(iter(told.items()))
    for label in dict.fromkeys(labels):
        part = [plane for plane, own in zip(planes, labels, strict=True) if own == label]
        yield from _parts(part, f"{chosen},{name}={label}".strip(","))


def _planes(headers: Sequence[FileDataset]) -> list[FileDataset]:
    planes = []
    for header in headers:
        with refusing_damage(name_of(header)):
            check_image(header)
            planes += planes_of(header)
    return planes


def _check_identity(planes: Sequence[FileDataset]) -> None:
    """Refuse slices of two studies or persons; what is compared is never printed."""
    first = planes[0]
    for plane in _different(planes, _SAME_UIDS):
        for keyword in _SAME_UIDS:
            if text_of(plane, keyword) != text_of(first, keyword):
                raise _differing(plane, first, keyword)
    with refusing_damage(name_of(first)):
        (known, _), *others = persons_of(planes).items()
    for person, plane in others:
        if keyword := difference(known, person):
            raise _differing(plane, first, keyword)
        known = tuple(here or there for here, there in zip(known, person, strict=True))


def _differing(plane: FileDataset, first: FileDataset, what: str) -> SeriesRefused:
    return SeriesRefused(f"{name_of(plane)} and {name_of(first)} differ in {what}; separate them")


def _check_acquisitions(planes: Sequence[FileDataset]) -> None:
    """Refuse two acquisitions in one series."""
    if not (told := _tell_apart(planes)):
        return
    labels = next(iter(told.values()))
    other, count = next(label for label in labels if label != labels[0]), len(set(labels))
    listed = " (`medtranslate info` lists them)" if count <= _MOST_PARTS else ""
    raise SeriesRefused(
        f"{name_of(planes[0])} and {name_of(planes[labels.index(other)])} are of {count} acquisitions in one"
        f" series, which {dicom_acquisitions.describe(told, planes)}{listed}"
    )


def _tell_apart(planes: Sequence[FileDataset]) -> dict[str, list[str]]:
    """Tell acquisitions apart by attributes; stacks of frames also by their places."""
    with refusing_damage(name_of(planes[0])):
        differing = dicom_acquisitions.differing_values(planes)
        if not differing:
            return {}
        told = dicom_acquisitions.tell_apart(differing, _heights(planes), _thicknesses(planes))
    stacks = differing.get("stack", [])
    if stacks and "stack" not in told and min(Counter(stacks).values()) > 1:
        try:
            _stack(planes)
        except InputRefused:
            told = {"stack": stacks, **told}
    return told


def _heights(planes: Sequence[FileDataset]) -> Floats:
    """Places of planes along the normal of the first, in mm."""
    return np.array([numbers_of(plane, "ImagePositionPatient", 3) for plane in planes]) @ normal_of(planes[0])


def _stack(planes: Sequence[FileDataset]) -> Stack:
    """Compute the geometry of planes that are alike."""
    first = planes[0]
    for plane in _different(planes, (*_SAME_VALUE, *(keyword for keyword, _, _ in _SAME_NUMBERS))):
        with refusing_damage(name_of(plane)):
            _check_same(plane, first)
    check_size((len(planes), int(first.Rows), int(first.Columns)), name_of(first))
    with refusing_damage(name_of(first)):
        gap = abs(float(first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 1))
    row_mm, column_mm = numbers_of(first, "PixelSpacing", 2)
    return stack_slices(
        [numbers_of(plane, "ImagePositionPatient", 3) for plane in planes],
        [numbers_of(plane, "ImageOrientationPatient", 6) for plane in planes],
        (row_mm, column_mm),
        [name_of(plane) for plane in planes],
        single_gap=gap,
        thicknesses=_thicknesses(planes),
    )


def _different(planes: Sequence[FileDataset], keywords: Sequence[str]) -> Iterable[FileDataset]:
    """Keep the first of all planes whose values are the same byte for byte."""
    tags = [Tag(keyword) for keyword in keywords]
    seen: dict[tuple[object, ...], FileDataset] = {}
    for plane in planes:
        seen.setdefault((plane.original_encoding, *(raw_of(plane, tag) for tag in tags)), plane)
    return seen.values()


def _check_same(plane: FileDataset, first: FileDataset) -> None:
    """Refuse two planes that cannot be of one volume."""
    for keyword in _SAME_VALUE:
        if plane.get(keyword) != first.get(keyword):
            raise _differing(plane, first, f"{keyword} ({plane.get(keyword)}, {first.get(keyword)})")
    for keyword, count, tolerance in _SAME_NUMBERS:
        here, there = numbers_of(plane, keyword, count), numbers_of(first, keyword, count)
        if here != there and not np.allclose(here, there, rtol=0, atol=tolerance):
            raise _differing(plane, first, f"{keyword} ({here}, {there})")


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
    """Return what people choose a series by."""
    first = headers[0]
    description = text_of(first, "SeriesDescription")[:_DESCRIPTION]
    return uid[-_TAIL:], text_of(first, "Modality") or "no modality", str(len(headers)), description
