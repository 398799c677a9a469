"""Pictures of a validation: labelled rows of slices on one grey sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn import functional

from medtranslate.report.training_page import ROWS, describe_rows

COLUMNS = 12
"""Slices of a row; a row of fewer ends in black."""

_TEXT = 12
"""Least height of the labels in pixels; on large slices they are a ninth of the side."""

_EDGE = 6
"""Pixels around a label."""


@dataclass(frozen=True)
class Row:
    """Slices [N, 1, S, S] in [-1, 1], and the words before them."""

    label: str
    slices: Tensor


def draw_sheet(rows: Sequence[Row], title: str) -> Image.Image:
    """Draw rows of slices below each other, each with its label on the left, under a title."""
    strips = [_strip(row.slices) for row in rows]
    side, width = strips[0].shape
    height = max(_TEXT, side // 9)
    font = ImageFont.load_default(height)
    widest = max(font.getlength(row.label) for row in rows)
    left, top = round(widest) + 2 * _EDGE, height + 2 * _EDGE
    step = max(side, top)  # slices may be smaller than a label
    sheet = Image.new("L", (left + width, top + step * len(rows)))
    draw = ImageDraw.Draw(sheet)
    draw.text((_EDGE, _EDGE), title, fill=255, font=font)
    for index, (row, strip) in enumerate(zip(rows, strips, strict=True)):
        place = top + index * step
        sheet.paste(Image.fromarray(strip), (left, place))
        draw.text((_EDGE, place + step / 2), row.label, fill=255, font=font, anchor="lm")
    sheet.info[ROWS] = describe_rows([row.label for row in rows], left, top, step, side)
    return sheet


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet as PNG, with the places of its rows, by which the page of a run cuts it."""
    text = PngInfo()
    text.add_text(ROWS, sheet.info[ROWS])
    sheet.save(path, format="png", pnginfo=text)


def _strip(slices: Tensor) -> NDArray[np.uint8]:
    """Put slices side by side, [S, COLUMNS * S]."""
    shown = slices[:COLUMNS, 0].cpu().float()
    filled = functional.pad(shown, (0, 0, 0, 0, 0, COLUMNS - len(shown)), value=-1)
    joined = torch.cat(list(filled), dim=1)
    return ((joined.numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)
