"""Images of a DICOM series that are no slices of it: they show in another plane where its slices lie.

Consoles put one before the slices of a volume that they reformat, and scanners put scouts before a scan. They
are told by their plane alone: their headers often call them slices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

from pydicom.dataset import FileDataset
from pydicom.tag import Tag

from medtranslate.errors import GeometryRefused
from medtranslate.geometry import Floats, slice_normal
from medtranslate.io.dicom_files import raw_of
from medtranslate.io.dicom_series import name_of, numbers_of

MOST, TIMES = 2, 5
"""Most images that are left out of a series, and least slices of one plane for each."""

STEEP = 0.7
"""Cosine between normals below which planes are others: that of 45 degrees."""

_ORIENTATION = Tag("ImageOrientationPatient")


def without_others(planes: Sequence[FileDataset]) -> tuple[list[FileDataset], list[str]]:
    """Leave out an image or two of other planes than the many slices beside them.

    More of them may be a second stack, and frames belong to their file, so these stay. That the slices are a
    whole stack without them is checked later.

    Returns:
        The slices, and a sentence for each image that is left out.
    """
    groups = defaultdict[object, list[int]](list)
    for index, plane in enumerate(planes):
        groups[raw_of(plane, _ORIENTATION)].append(index)
    if len(groups) == 1 or "ReferencedFrameNumber" in planes[0]:
        return [*planes], []
    main, *others = sorted(groups.values(), key=len, reverse=True)
    try:
        normal = normal_of(planes[main[0]])
        beside = [group for group in others if abs(normal_of(planes[group[0]]) @ normal) < STEEP]
    except GeometryRefused:  # which is told when the planes are stacked
        return [*planes], []
    out = sorted(chain(*beside))
    kept = [plane for index, plane in enumerate(planes) if index not in out]
    if len(out) > MOST or len(kept) < TIMES * len(out):
        return [*planes], []
    return kept, [
        f"{name_of(planes[index])}: shows another plane than the {len(kept)} slices of its series; left out"
        for index in out
    ]


def normal_of(plane: FileDataset) -> Floats:
    """Compute the normal [3] of a plane.

    Raises:
        GeometryRefused: its orientation is missing or is none.
    """
    return slice_normal(numbers_of(plane, "ImageOrientationPatient", 6), name_of(plane))
