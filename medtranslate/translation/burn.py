"""Burns words into the pixels of a translation, for viewers that show no header."""

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
"""Formats whose stored slices viewers show; of other formats they show axial slices."""

SHARE = 24
"""Height of a slice divided by the height of the words, which is at least `LEAST` pixels."""
LEAST = 10
_SMALLEST = 6

Mask = NDArray[np.bool_]


def burn_in(volume: Volume, words: str, range: Range, *, as_stored: bool) -> None:
    """Write words into a corner of each slice, white on black; the darkest corner is chosen.

    Args:
        volume: its values are changed in place.
        words: such as "SYNTHETIC CT".
        range: values of black and white.
        as_stored: write into the slices along the array's last axis, else into axial slices.
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
    """Write "SYNTHETIC" and the modality into a translation, and add a warning to its record.

    Args:
        volume: in the record's unit, or in grey values 0 to 255; changed in place.
        format: of the output.
    """
    words = f"SYNTHETIC {record.model.to.upper()}"
    range = (0.0, float(GREY_LEVELS)) if volume.is_picture else record.model.output_range
    burn_in(volume, words, range, as_stored=format in AS_STORED)
    note = f"the words {words} are burnt into a corner of each slice, where its voxels are not the model's"
    return replace(record, warnings=[*record.warnings, note])


def _letters(words: str, rows: int, columns: int) -> Mask:
    """Draw the words in one line, or each in its own, within half of a slice's width, or all of it.

    They are squeezed into a slice that is too small for letters.
    """
    for width in (columns // 2, columns):
        for size in range(max(LEAST, rows // SHARE), _SMALLEST - 1, -1):
            for text in (words, words.replace(" ", "\n")):
                letters = _drawn(text, size)
                if letters.shape[1] <= width and letters.shape[0] <= rows // 2:
                    return letters
    return np.asarray(Image.fromarray(letters).resize((columns, max(1, rows // 2))))


def _drawn(text: str, size: int) -> Mask:
    font = ImageFont.load_default(size)
    pen = ImageDraw.Draw(Image.new("1", (1, 1)))
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font, spacing=1)
    sheet = Image.new("1", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(sheet).multiline_text((2 - left, 2 - top), text, 1, font, spacing=1)
    return np.asarray(sheet)
