"""Words in the pixels of a translation, for viewers that show no header."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medtranslate.io import Volume
from medtranslate.io.layout import to_axial, to_slices
from medtranslate.metrics import Range
from medtranslate.records import Translation
from medtranslate.translation.framed import GREY_LEVELS

AS_STORED = ("dicom", "png")
"""Formats whose slices are shown as they are stored; of others axial slices are."""

SHARE = 24
"""The words are as high as this part of a slice, or `LEAST` pixels."""
LEAST = 10
_SMALLEST = 6

Mask = NDArray[np.bool_]


def burn_in(volume: Volume, words: str, range: Range, *, as_stored: bool) -> None:
    """Write words into a corner of each slice, white on black, where the least of the head is.

    Args:
        volume: its values are changed in place.
        words: such as "SYNTHETIC CT".
        range: values that are black and white.
        as_stored: write into the slices along the array's last axis, else into axial ones.
    """
    slices = volume.values.transpose(2, 1, 0) if as_stored else to_slices(to_axial(volume).values)
    letters = _letters(words, slices.shape[1], slices.shape[2])
    rows, columns = letters.shape
    corners = [
        slices[:, top, left]
        for top in (slice(None, rows), slice(-rows, None))
        for left in (slice(None, columns), slice(-columns, None))
    ]
    emptiest = min(corners, key=lambda corner: float(corner.mean()))
    emptiest[...] = np.where(letters, range[1], range[0])


def burned_in(volume: Volume, record: Translation, format: str | None) -> Translation:
    """Write into a translation what it is; the record says so.

    Args:
        volume: in the record's unit, or in grey values 0 to 255; changed in place.
        format: in which it is to be written.
    """
    words = f"SYNTHETIC {record.model.to.upper()}"
    range = (0.0, float(GREY_LEVELS)) if volume.is_picture else record.model.output_range
    burn_in(volume, words, range, as_stored=format in AS_STORED)
    note = f"the words {words} are burnt into a corner of each slice, where its voxels are not the model's"
    return replace(record, warnings=[*record.warnings, note])


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
