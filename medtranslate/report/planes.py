"""Preview sheet: source above translation, in three planes through the head or in their own slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from medtranslate.metrics import Range, Values

LONGEST = 288
"""Pixels of the longest side of a plane in a sheet."""
THUMBNAIL = 112
"""Pixels of the longer side of a plane in a thumbnail."""
_LINE, _GAP, _FONT = 18, 6, 12
_TEXT, _GROUND = 200, 0

Grey = npt.NDArray[np.uint8]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """Plane of source and translation, as grey values [rows, columns].

    Attributes:
        name: of the plane.
        size_mm: height and width.
        left: side of the patient at the left edge; empty if unknown.
    """

    name: str
    source: Grey
    translation: Grey
    size_mm: tuple[float, float]
    left: str = ""


@dataclass(frozen=True)
class Sheet:
    """Content of a preview, small enough to be kept without the volumes.

    Attributes:
        above, below: captions over the rows of source and translation.
        remark: text at the bottom.
    """

    views: tuple[View, ...]
    above: str
    below: str
    remark: str


def three_planes(
    volumes: tuple[Values, Values], ranges: tuple[Range, Range], spacing_mm: Point, at: Sequence[int]
) -> tuple[View, ...]:
    """Cut axial, coronal and sagittal planes through a voxel, in radiological view.

    Args:
        volumes: source and translation [X, Y, Z] in the layout LPS (x to the left, y back, z up).
        ranges: values shown as black and white, of each.
        spacing_mm: along x, y and z.
        at: the voxel.
    """
    x, y, z = at
    wide, deep, high = (length * mm for length, mm in zip(volumes[0].shape, spacing_mm, strict=True))
    pairs = list(zip(volumes, ranges, strict=True))
    axial = [_grey(volume[:, :, z].T, ends) for volume, ends in pairs]
    coronal = [_grey(volume[:, y, ::-1].T, ends) for volume, ends in pairs]
    sagittal = [_grey(volume[x, :, ::-1].T, ends) for volume, ends in pairs]
    return (
        View("axial", axial[0], axial[1], (deep, wide), "R"),
        View("coronal", coronal[0], coronal[1], (high, wide), "R"),
        View("sagittal", sagittal[0], sagittal[1], (high, deep), "A"),
    )


def own_slices(
    volumes: tuple[Values, Values], ranges: tuple[Range, Range], spacing_mm: Point, places: Sequence[int]
) -> tuple[View, ...]:
    """Show slices as acquired: tilted or uneven ones cannot be cut in other planes.

    Args:
        volumes, ranges: as of `three_planes`, in any layout; slices along the last axis.
        spacing_mm: along the array's axes.
        places: indices of the slices.
    """
    columns, rows, depth = volumes[0].shape
    size = rows * spacing_mm[1], columns * spacing_mm[0]
    drawn = (
        [_grey(volume[:, :, place].T, ends) for volume, ends in zip(volumes, ranges, strict=True)]
        for place in places
    )
    return tuple(
        View(f"slice {place + 1} of {depth}" if depth > 1 else "", source, translation, size)
        for place, (source, translation) in zip(places, drawn, strict=True)
    )


def draw(sheet: Sheet) -> Image.Image:
    """Draw the views side by side on one scale of millimetres, source above translation, with captions."""
    per_mm = LONGEST / max(side for view in sheet.views for side in view.size_mm)
    rows = [[_scaled(view.source, view.size_mm, per_mm) for view in sheet.views]]
    rows.append([_scaled(view.translation, view.size_mm, per_mm) for view in sheet.views])
    font = ImageFont.load_default(_FONT)
    lines = (sheet.above, sheet.below, sheet.remark)
    width = max(
        sum(picture.width + _GAP for picture in rows[0]) + _GAP,
        *(int(font.getlength(line)) + 2 * _GAP for line in lines),
    )
    tall = max(picture.height for picture in rows[0])
    image = Image.new("L", (width, 2 * (tall + _LINE + _GAP) + 2 * _LINE), _GROUND)
    pen = ImageDraw.Draw(image)
    top = 0
    for line, row in zip(lines, rows, strict=False):
        pen.text((_GAP, top + 2), line, _TEXT, font)
        left, top = _GAP, top + _LINE
        for view, picture in zip(sheet.views, row, strict=True):
            image.paste(picture, (left, top))
            _mark(pen, view, (left, top), picture.height, font)
            left += picture.width + _GAP
        top += tall + _GAP
    pen.text((_GAP, top + 2), sheet.remark, _TEXT, font)
    return image


def thumbnail(sheet: Sheet) -> Image.Image:
    """Draw the axial plane, or the middle slice: source beside translation, without words."""
    named = [view for view in sheet.views if view.name == "axial"]
    view = named[0] if named else sheet.views[len(sheet.views) // 2]
    per_mm = THUMBNAIL / max(view.size_mm)
    before, after = (_scaled(grey, view.size_mm, per_mm) for grey in (view.source, view.translation))
    image = Image.new("L", (before.width + after.width, before.height))
    image.paste(before)
    image.paste(after, (before.width, 0))
    return image


def _mark(
    pen: ImageDraw.ImageDraw,
    view: View,
    corner: tuple[int, int],
    height: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Name a plane in its corner, and the side of the patient at its left edge."""
    middle = corner[1] + (height - _FONT) // 2
    for text, top in ((view.name, corner[1] + 1), (view.left, middle)):
        pen.text((corner[0] + 3, top), text, _TEXT, font, stroke_width=1, stroke_fill=_GROUND)


def _grey(plane: npt.NDArray[np.float32], ends: Range) -> Grey:
    return np.interp(plane, ends, (0, 255)).round().astype(np.uint8)


def _scaled(grey: Grey, size_mm: tuple[float, float], per_mm: float) -> Image.Image:
    """Scale a plane to square pixels."""
    high, wide = (max(1, round(length * per_mm)) for length in size_mm)
    return Image.fromarray(np.ascontiguousarray(grey)).resize((wide, high))
