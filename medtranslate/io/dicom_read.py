"""A DICOM series of CT or MR images as one volume."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from medtranslate.geometry import Stack
from medtranslate.io.dicom_files import file_of, refusing_damage, without_comment
from medtranslate.io.dicom_pixels import stored_values, used_bits
from medtranslate.io.dicom_series import MODALITIES, name_of, text_of
from medtranslate.io.dicom_stack import read_headers
from medtranslate.io.dicom_texts import notes_of, why_no_source
from medtranslate.io.dicom_values import Values, check_values, is_padding
from medtranslate.io.series_terms import plain_description
from medtranslate.io.volume import Meta, Volume
from medtranslate.modality import PADDING, Modality

LEAST_PART = 0.25
"""Least share of the images of a series that `--select` takes without a word: echoes and phases are few."""


@without_comment()
def read(
    path: Path, series: str | None = None, volume: int | None = None, select: str | None = None
) -> Volume:
    """Read a folder of one series, at any depth, a .zip of one, or one file: a slice, or an enhanced image.

    The array is [columns, rows, slices] with the slices along their normal (row direction cross column
    direction), whatever their file names and InstanceNumbers. Stored values are rescaled slice by slice:
    CT to HU, MR to whatever its scanner means. MONOCHROME1 says how to show a value, not what it is, so
    values are kept. What the header calls padding becomes background: air (`modality.PADDING`) in CT, the
    lowest real value in MR. Tilted or uneven slices come with their own geometry in meta (`slices`); the
    affine is then nominal (`geometry.Stack`).

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
    headers, stack, notes, images = read_headers(path, series, select)
    if select and len(headers) < LEAST_PART * images:
        notes = [f"--select {select} takes {len(headers)} of {images} images", *notes]
    first, checked = headers[0], check_values(headers)
    modality = MODALITIES[first.Modality]
    values = np.empty((len(headers), int(first.Rows), int(first.Columns)), np.float32)
    padded = 0
    planes = zip(headers, checked.values, values, strict=True)
    for _, group in groupby(planes, key=lambda item: str(file_of(item[0]))):
        of_file = list(group)
        decoded = stored_values([header for header, _, _ in of_file])
        for (header, scale, plane), pixels in zip(of_file, decoded, strict=True):
            with refusing_damage(name_of(header)):
                padded += _fill(plane, pixels, header, scale)
    meta = Meta(
        modality=modality,
        series=str(first.SeriesInstanceUID),
        description=plain_description(text_of(first, "SeriesDescription")),
        select=select,
        measures=checked.measures or None,
        identity=tuple(notes_of(first)),
        no_source=why_no_source(headers) or None,
        slices=stack.slices,
        synthetic=first.get("SyntheticData") == "YES" and "DERIVED" in (first.get("ImageType") or ()),
        warnings=(*notes, *_notes(headers, stack), *checked.notes, *_blank(values, padded, modality)),
    )
    return Volume(values.T, stack.affine, meta)


def _fill(plane: NDArray[np.float32], pixels: NDArray[np.integer], header: FileDataset, scale: Values) -> int:
    """Fill a plane with the values of its pixels, padding with air in CT and NaN in MR.

    Returns:
        How many pixels are padding. That of an MR that is 0 counts for none: it is background already.
    """
    stored = used_bits(pixels, header)
    plane[:] = stored
    if scale.slope != 1:
        plane *= np.float32(scale.slope)
    if scale.intercept != 0:
        plane += np.float32(scale.intercept)
    if scale.padding is None:
        return 0
    padding = is_padding(pixels, stored, scale.padding)
    if header.Modality == "MR" and not plane[padding].any():
        return 0
    plane[padding] = PADDING["ct"] if header.Modality == "CT" else np.nan
    return int(np.count_nonzero(padding))


def _blank(values: NDArray[np.float32], padded: int, modality: Modality) -> list[str]:
    """Put the lowest value of an MR in the place of its padding; says what all padding became."""
    if padded == 0:
        return []
    became = f"air of {PADDING['ct']:g} HU"
    if modality == "mr":
        real = (plane for plane in values if not np.isnan(plane).all())
        background = min((float(np.nanmin(plane)) for plane in real), default=0.0)
        for plane in values:
            plane[np.isnan(plane)] = background
        became = f"{background:g}, the lowest value beside it"
    return [f"padding ({padded / values.size:.1%} of the voxels) became {became}"]


def _notes(headers: Sequence[FileDataset], stack: Stack) -> list[str]:
    notes = []
    if len(headers) == 1:
        notes.append("one slice: its distance to a next one is nominal")
    if stack.slices is not None:
        notes.append(f"no regular grid ({stack.slices}): each slice keeps its own place")
    return notes
