"""Copies of an image among the files of a DICOM series, as a second or a decompressed export leaves them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from medtranslate.errors import GeometryRefused
from medtranslate.io.dicom_pixels import check_pixels, stored_values, used_bits
from medtranslate.io.dicom_series import name_of, numbers_of, text_of

_SCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_PLACE = (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))


def without_copies(planes: Sequence[FileDataset]) -> tuple[list[FileDataset], list[str]]:
    """Leave out files that hold an image of another file: the same UID, place, pixels and scale of values.

    Pixels are decoded where a UID occurs twice, and nowhere else. Images that share a UID and differ stay,
    and are refused as two slices at one place, or of two acquisitions.

    Returns:
        The images, and a sentence if some were left out.

    Raises:
        Unreadable: pixels are damaged.
    """
    first: dict[str, FileDataset] = {}
    kept, copies = list[FileDataset](), list[str]()
    for plane in planes:
        uid = text_of(plane, "SOPInstanceUID")
        known = first.setdefault(uid, plane) if uid and "ReferencedFrameNumber" not in plane else plane
        if known is not plane and _are_one(known, plane):
            copies.append(f"{name_of(plane)} is {name_of(known)}")
        else:
            kept.append(plane)
    if not copies:
        return kept, []
    more = f", and {len(copies) - 1} more" if len(copies) > 1 else ""
    return kept, [f"{copies[0]} once more{more}: copies are left out"]


def _are_one(known: FileDataset, plane: FileDataset) -> bool:
    if any(text_of(known, keyword) != text_of(plane, keyword) for keyword in _SCALE):
        return False
    try:
        places = [[numbers_of(each, keyword, count) for keyword, count in _PLACE] for each in (known, plane)]
    except GeometryRefused:  # which is told when the planes are stacked
        return False
    return places[0] == places[1] and np.array_equal(_pixels(known), _pixels(plane))


def _pixels(plane: FileDataset) -> NDArray[np.integer]:
    check_pixels(plane)
    (values,) = stored_values([plane])
    return used_bits(values, plane)
