"""Folders with images of one SeriesInstanceUID: one series shared out, or stacks of their own.

Archives share a series out over folders. But the UID is not always unique: copies keep it, and anonymisers
give one to all their subjects. Two whole stacks are never joined.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.tag import Tag

from medtranslate.errors import InputRefused, SeriesRefused
from medtranslate.geometry import COSINE, POSITION_MM, slice_normal
from medtranslate.io.dicom_files import file_of, raw_of, refusing_damage, without_comment
from medtranslate.io.dicom_identity import Person, difference, person_of
from medtranslate.io.dicom_series import name_of, numbers_of, planes_of

_SAME = ("StudyInstanceUID", "FrameOfReferenceUID", "Modality", "Rows", "Columns")
_NUMBER = Tag("InstanceNumber")
_HOLE = 1.9
"""Gap, in usual gaps, from which slices are missing between two."""


class Slice(NamedTuple):
    """Facts that assign an image to a series: hash of UID, InstanceNumber, height in mm; NaN if unknown."""

    uid: int
    number: float
    height: float


@dataclass
class Share:
    """Part of a series in one folder.

    Attributes:
        slices: of its images, a frame of an enhanced one each.
        person: whose the first image is.
        same: what all images of a series have in common, of the first one.
        normal: of the first slice that has one.
    """

    slices: list[Slice] = field(default_factory=list)
    person: Person = ()
    same: tuple[str, ...] = ()
    normal: NDArray[np.float64] | None = None

    @without_comment()
    def add(self, header: FileDataset) -> None:
        """Take up the slices of an image; one that can't be placed counts as being anywhere."""
        # Whoever reads a damaged image meets the refusal.
        with suppress(InputRefused), refusing_damage(name_of(header)):
            for plane in planes_of(header):
                self._add(plane)

    def _add(self, plane: FileDataset) -> None:
        if not self.slices:
            self.person = person_of(plane)
            self.same = tuple(str(plane.get(keyword, "")) for keyword in _SAME)
        # Frames share the number of their file.
        number = _number_of(plane) if plane.get("ReferencedFrameNumber", 1) == 1 else np.nan
        self.slices.append(Slice(hash(str(plane.get("SOPInstanceUID"))), number, self._height(plane)))

    def _height(self, plane: FileDataset) -> float:
        try:
            normal = slice_normal(numbers_of(plane, "ImageOrientationPatient", 6), name_of(plane))
            place = numbers_of(plane, "ImagePositionPatient", 3)
        except InputRefused:
            return float("nan")
        if self.normal is None:
            self.normal = normal
        return float(self.normal @ place)

    def joined(self, other: Share) -> Share:
        """Both as one."""
        normal = other.normal if self.normal is None else self.normal
        return Share([*self.slices, *other.slices], self.person, self.same, normal)

    @cached_property
    def uids(self) -> set[int]:
        """UIDs of the images."""
        return {item.uid for item in self.slices}

    @cached_property
    def numbers(self) -> set[float]:
        """InstanceNumbers that are there; none if all are the same, which says nothing."""
        given = [item.number for item in self.slices if not np.isnan(item.number)]
        return set(given) if len(given) == 1 or len(set(given)) > 1 else set()


Key = TypeVar("Key")


def share_of(headers: Iterable[FileDataset]) -> Share:
    """Summarise the images of a series that lie in one folder."""
    share = Share()
    for header in headers:
        share.add(header)
    return share


def join_shares(shares: Mapping[Key, Share]) -> list[list[Key]]:
    """Group folders that hold one series together.

    If nothing separates them, they count as one, which `require_one_series` then refuses.
    """
    found: list[tuple[list[Key], Share]] = []
    for key, share in shares.items():
        for index, (keys, whole) in enumerate(found):
            if fit(whole, share) is not False:
                found[index] = ([*keys, key], whole.joined(share))
                break
        else:
            found.append(([key], share))
    return [keys for keys, _ in found]


def require_one_series(planes: Iterable[FileDataset]) -> None:
    """Refuse slices of several folders that are no series shared out.

    Raises:
        SeriesRefused: names two of the folders.
    """
    folders: dict[str, list[FileDataset]] = defaultdict(list)
    for plane in planes:
        folders[os.path.dirname(str(file_of(plane)))].append(plane)  # noqa: PTH120  # Much faster than a Path.
    if len(folders) == 1:
        return
    shares = {folder: share_of(members) for folder, members in folders.items()}
    (first, whole), *others = shares.items()
    for folder, share in others:
        fits = fit(whole, share)
        if fits is False:
            raise SeriesRefused(
                f"{first} and {folder} share a SeriesInstanceUID and are not one stack of slices;"
                " name one of the folders"
            )
        if fits is None:
            raise SeriesRefused(
                f"{first} and {folder} share a SeriesInstanceUID, each is a whole stack, and InstanceNumber"
                " does not tell whether they are one; name one of them, or put one series into one folder"
            )
        whole = whole.joined(share)


def check_numbers(planes: Sequence[FileDataset]) -> None:
    """Refuse slices, in the order of their places, whose InstanceNumbers repeat or jump, and alternate.

    They are of two stacks that lie between each other. Blocks of one scan may count anew, or go on far away,
    too, but follow each other.

    Raises:
        SeriesRefused: names two slices.
    """
    if len({raw_of(plane, _NUMBER) for plane in planes}) == len(planes):
        _check_runs(planes)
        return
    seen: dict[float, int] = defaultdict(int)
    numbers = [_number_of(plane) for plane in planes if "ReferencedFrameNumber" not in plane]
    times = []
    for number in numbers:
        seen[number] += 1
        times.append(seen[number])
    back = np.flatnonzero(np.diff(times) < 0)
    if len(seen) > 1 and not np.isnan(numbers).any() and len(back) >= max(2, len(planes) / 8):
        first, second = (name_of(planes[int(back[0]) + shift]) for shift in (0, 1))
        raise SeriesRefused(
            f"{first} and {second}: InstanceNumbers repeat and alternate, so {max(times)} series share one"
            " SeriesInstanceUID; separate them"
        )


def _check_runs(planes: Sequence[FileDataset]) -> None:
    """Refuse slices that are numbered in two runs far apart which alternate along their places.

    Scanners count on from one half of their slices to the other, so a jump that is longer than a run is none
    of missing slices.
    """
    numbers = np.array([_number_of(plane) for plane in planes])
    if len(planes) < 4 or np.isnan(numbers).any():
        return
    ordered = np.sort(numbers)
    jumps = np.flatnonzero(np.diff(ordered) > 1)
    if len(jumps) != 1:
        return
    last, first = ordered[jumps[0]], ordered[jumps[0] + 1]
    shorter = min(jumps[0] + 1, len(planes) - jumps[0] - 1)
    turns = np.count_nonzero(np.diff(numbers > last))
    if first - last > shorter + 1 and turns >= max(3, len(planes) / 8):
        raise SeriesRefused(
            f"{name_of(planes[0])} and {name_of(planes[1])}: InstanceNumbers run from {ordered[0]:g} to"
            f" {last:g} and from {first:g} to {ordered[-1]:g}, and alternate, so 2 series share one"
            " SeriesInstanceUID; separate them"
        )


def fit(one: Share, other: Share) -> bool | None:
    """Return True if two folders hold parts of one series; None if it is unknown.

    They do not if an image's UID, its InstanceNumber or its place is in both, or if anything differs that a
    series has in common. They do if InstanceNumbers go up, or down, with the places of all slices, if their
    places join end to end, or if a folder lacks slices.
    """
    if not one.uids.isdisjoint(other.uids) or not one.numbers.isdisjoint(other.numbers):
        return False
    if one.same != other.same or difference(one.person, other.person) or _turned(one, other):
        return False
    both = [*one.slices, *other.slices]
    heights = [np.sort([item.height for item in share.slices]) for share in (one, other)]
    if np.isnan([item.height for item in both]).any():
        return True
    if _nearest(*heights) < POSITION_MM:
        return False
    low, high = sorted(heights, key=lambda group: float(group[0]))
    if _in_order(both) or low[-1] < high[0]:
        return True
    return None if all(map(_is_whole, heights)) else True


def _turned(one: Share, other: Share) -> bool:
    if one.normal is None or other.normal is None:
        return False
    return bool(np.abs(one.normal - other.normal).max() > COSINE)


def _in_order(slices: Sequence[Slice]) -> bool:
    """Return True if InstanceNumbers rise, or fall, with the heights."""
    steps = np.diff([item.number for item in sorted(slices, key=lambda item: item.height)])
    return bool((steps > 0).all() or (steps < 0).all())


def _nearest(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Least distance between a height of one and a height of the other, both sorted."""
    after = np.searchsorted(other, one)
    gaps = [np.abs(other[np.clip(after + shift, 0, len(other) - 1)] - one).min() for shift in (-1, 0)]
    return float(min(gaps))


def _is_whole(heights: NDArray[np.float64]) -> bool:
    """Return True for a stack without a hole."""
    gaps = np.diff(heights)
    return len(gaps) > 1 and bool(gaps.max() < _HOLE * np.median(gaps))


def _number_of(plane: FileDataset) -> float:
    try:
        return numbers_of(plane, "InstanceNumber", 1)[0]
    except InputRefused:
        return float("nan")
