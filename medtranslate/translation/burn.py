"""Words in the pixels of a translation, for viewers that show no header."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from monai.data import MetaTensor
from nibabel.orientations import io_orientation
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medtranslate.metrics import Range
from medtranslate.records import Translation
from medtranslate.translation.framed import GREY_LEVELS

AS_STORED = ("dicom", "png")
"""Formats whose slices are shown as they are stored; of others axial slices are."""

SHARE = 24
"""The words are as high as this part of a slice, or `LEAST` pixels."""
LEAST = 10
_SMALLEST = 6
_LPS = (-1, -1, 1)

Mask = NDArray[np.bool_]


def burn_in(volume: MetaTensor, words: str, range: Range, *, as_stored: bool) -> None:
    """Write words into a corner of each slice, white on black, where the least of the head is.

    Args:
        volume: [1, X, Y, Z]; changed in place.
        words: such as "SYNTHETIC CT".
        range: values that are black and white.
        as_stored: write into the slices along the array's last axis, else into axial ones.
    """
    values = volume.numpy(force=True)[0]
    slices = values.transpose(2, 1, 0) if as_stored else _axial(values, np.asarray(volume.affine))
    letters = _letters(words, slices.shape[1], slices.shape[2])
    rows, columns = letters.shape
    corners = [
        slices[:, top, left]
        for top in (slice(None, rows), slice(-rows, None))
        for left in (slice(None, columns), slice(-columns, None))
    ]
    emptiest = min(corners, key=lambda corner: float(corner.mean()))
    emptiest[...] = np.where(letters, range[1], range[0])


def burned_in(volume: MetaTensor, record: Translation, format: str | None) -> Translation:
    """Write into a translation what it is; the record says so.

    Args:
        volume: in the record's unit, or in grey values 0 to 255; changed in place.
        format: in which it is to be written.
    """
    words = f"SYNTHETIC {record.model.to.upper()}"
    range = (0.0, float(GREY_LEVELS)) if "levels" in volume.meta else record.model.output_range
    burn_in(volume, words, range, as_stored=format in AS_STORED)
    note = f"the words {words} are burnt into a corner of each slice, where its voxels are not the model's"
    return replace(record, warnings=[*record.warnings, note])


def _axial(values: NDArray[np.float32], affine: NDArray[np.float64]) -> NDArray[np.float32]:
    """The same memory as axial slices [Z, Y, X]: rows from front to back, columns from right to left."""
    found = {int(world): (axis, sign) for axis, (world, sign) in enumerate(io_orientation(affine))}
    step = [slice(None)] * 3
    for world, wanted in enumerate(_LPS):
        axis, sign = found[world]
        step[axis] = slice(None, None, 1 if sign == wanted else -1)
    return values[tuple(step)].transpose([found[world][0] for world in (2, 1, 0)])


def _letters(words: str, rows: int, columns: int) -> Mask:
    """The words in one line, or a word in each, in half of a slice's width, or in all of it.

    In a slice that is too small for letters they are squeezed.
    """
    for width in (columns // 2, columns):
        for size in range(max(LEAST, rows // SHARE), _SMALLEST - 1, -1):
            for text in (words, words.replace(" ", "\n")):
                drawn = _drawn(text, size)
                if drawn.shape[1] <= width and drawn.shape[0] <= rows // 2:
                    return drawn
    return np.asarray(Image.fromarray(drawn).resize((columns, max(1, rows // 2))))


def _drawn(text: str, size: int) -> Mask:
    font = ImageFont.load_default(size)
    pen = ImageDraw.Draw(Image.new("1", (1, 1)))
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font, spacing=1)
    sheet = Image.new("1", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(sheet).multiline_text((2 - left, 2 - top), text, 1, font, spacing=1)
    return np.asarray(sheet)
