"""A DICOM series of CT or MR images as one volume."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from medtranslate.errors import SeriesRefused
from medtranslate.geometry import Stack
from medtranslate.io.dicom_files import file_of, refusing_damage, without_comment
from medtranslate.io.dicom_pixels import stored_values
from medtranslate.io.dicom_series import MODALITIES, name_of, numbers_of, text_of
from medtranslate.io.dicom_stack import read_headers
from medtranslate.io.regrid import PADDING
from medtranslate.io.scan import Scan


@without_comment()
def read(path: Path, series: str | None = None, select: str | None = None) -> Scan:
    """Read a folder of one series, at any depth, a .zip of one, or one file: a slice, or an enhanced image.

    The array is [columns, rows, slices] with the slices along their normal (row direction cross column
    direction), whatever their file names and InstanceNumbers. Stored values are rescaled slice by slice:
    CT to HU, MR to whatever its scanner means. MONOCHROME1 says how to show a value, not what it is, so
    values are kept. CT voxels that the header calls padding become air (`regrid.PADDING`). Tilted or
    uneven slices come with their own geometry in meta (`slices`); the affine is then nominal
    (`geometry.Stack`).

    Args:
        path: folder, archive or file.
        series: SeriesInstanceUID, or the end of one.
        select: one of several acquisitions in the series, such as "echo=2" (`dicom_acquisitions.select`).

    Raises:
        SettingsError: `select` is not NAME=VALUE.
        SeriesRefused: not one clean series.
        GeometryRefused: a slice is missing, or two lie at one place.
        Unreadable: damaged, truncated, too large, or compressed in a way that no decoder is there for.
    """
    headers, stack = read_headers(path, series, select)
    first = headers[0]
    values = np.empty((len(headers), int(first.Rows), int(first.Columns)), np.float32)
    padding = 0
    for _, group in groupby(zip(headers, values, strict=True), key=lambda pair: str(file_of(pair[0]))):
        planes = list(group)
        stored_planes = stored_values([header for header, _ in planes])
        for (header, plane), stored in zip(planes, stored_planes, strict=True):
            with refusing_damage(name_of(header)):
                slope, intercept = _rescale(header)
                plane[:] = stored
                if slope != 1:
                    plane *= slope
                if intercept != 0:
                    plane += intercept
                if first.Modality == "CT" and "PixelPaddingValue" in header:
                    outside = _padding(stored, header)
                    plane[outside] = PADDING["ct"]
                    padding += int(np.count_nonzero(outside))
    meta: dict[str, Any] = {
        "modality": MODALITIES[first.Modality],
        "series": str(first.SeriesInstanceUID),
        "warnings": _notes(headers, stack, padding / values.size),
    }
    if select is not None:
        meta["select"] = select
    if stack.slices is not None:
        meta["slices"] = stack.slices
    return Scan(values.T, stack.affine, meta)


def _rescale(header: FileDataset) -> tuple[np.float32, np.float32]:
    """Slope and intercept (PS3.3 C.11.1.1.2); an MR may lack them, a CT without them is not in HU."""
    if header.Modality == "MR" and "RescaleSlope" not in header and "RescaleIntercept" not in header:
        return np.float32(1), np.float32(0)
    ((slope,), (intercept,)) = (numbers_of(header, key, 1) for key in ("RescaleSlope", "RescaleIntercept"))
    if slope == 0:
        raise SeriesRefused(f"{name_of(header)}: RescaleSlope is 0, all values are lost; export it again")
    return np.float32(slope), np.float32(intercept)


def _padding(stored: NDArray[np.integer], header: FileDataset) -> NDArray[np.bool_]:
    """Where pixels are padding: one value, or the range up to PixelPaddingRangeLimit (PS3.3 C.7.5.1.1.2)."""
    limits = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    given = [int(header[keyword].value) for keyword in limits if keyword in header]
    # Some scanners give a negative padding value as if it had no sign.
    bounds = np.array(given, np.int64).astype(stored.dtype)
    padding: NDArray[np.bool_] = (stored >= bounds.min()) & (stored <= bounds.max())
    return padding


def _notes(headers: Sequence[FileDataset], stack: Stack, padding: float) -> list[str]:
    first, notes = headers[0], []
    if len(headers) == 1:
        notes.append("one slice: its distance to a next one is nominal")
    if stack.slices is not None:
        notes.append(f"no regular grid ({stack.slices}): each slice keeps its own place")
    if first.PhotometricInterpretation == "MONOCHROME1" and first.Modality == "MR":
        notes.append("MONOCHROME1 (meant to be shown inverted): values kept as stored")
    if first.Modality == "CT" and (unit := text_of(first, "RescaleType") or "HU") != "HU":
        notes.append(f"RescaleType is {unit}, not HU: not for dose")
    if padding:
        notes.append(f"padding ({padding:.1%} of the voxels) became air of {PADDING['ct']:g} HU")
    return notes
