"""Contact sheets: slices of each case as source, translations and truth, set below set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from medtranslate.metrics import Values

SHOWN = 3
"""Slices of a case."""

HEADER = 14
"""Height of a line of text in pixels."""


@dataclass(frozen=True)
class Strip:
    """Rows of slices under one title.

    Attributes:
        title: names set, direction and the images of a slice.
        rows: for each case its name, and the images [rows, columns] of its slices from left to right.
    """

    title: str
    rows: list[tuple[str, list[NDArray[np.uint8]]]]


def strip_of(title: str, cases: Sequence[str], images: Mapping[str, Sequence[Values]]) -> Strip:
    """Choose slices of each case, evenly spaced.

    Args:
        cases: of the slices.
        images: slices [X, Y, 1] in grey values by what they are, in the order of `cases`.
    """
    rows = []
    for case in dict.fromkeys(cases):
        places = [index for index, name in enumerate(cases) if name == case]
        # The outermost slices show little.
        chosen = [places[round(share * (len(places) - 1))] for share in np.linspace(0.2, 0.8, SHOWN)]
        rows.append((case, [as_picture(kind[index]) for index in chosen for kind in images.values()]))
    return Strip(f"{title}: {', '.join(images)}", rows)


def planes_of(values: Values, spacing: Sequence[float]) -> NDArray[np.uint8]:
    """Draw the middle axial, coronal and sagittal plane of a head side by side, with pixels of 1 mm.

    Args:
        values: [X, Y, Z] in grey values, in axial layout (LPS).
        spacing: in mm along X, Y and Z.
    """
    top_down = values[:, :, ::-1]
    drawn = []
    for axis, image in ((2, values), (1, top_down), (0, top_down)):
        plane = np.take(image, values.shape[axis] // 2, axis)
        mm = [round(length * spacing[other]) for other, length in enumerate(values.shape) if other != axis]
        drawn.append(np.asarray(Image.fromarray(as_picture(plane[:, :, None])).resize((mm[0], mm[1]))))
    return beside(drawn)


def beside(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures in a row, black below the lower ones."""
    height = max(len(picture) for picture in pictures)
    return np.concatenate([np.pad(one, ((0, height - len(one)), (0, 0))) for one in pictures], axis=1)


def as_picture(values: Values) -> NDArray[np.uint8]:
    """Turn a slice [X, Y, 1] of grey values into rows and columns."""
    picture: NDArray[np.uint8] = values[:, :, 0].T.round().clip(0, 255).astype(np.uint8)
    return picture


def write_sheet(strips: Sequence[Strip], path: Path) -> None:
    """Write the strips below each other, each row under its name."""
    lines = [
        (f"{strip.title} - {label}" if label == strip.rows[0][0] else label, beside(images))
        for strip in strips
        for label, images in strip.rows
    ]
    width = max(line.shape[1] for _, line in lines)
    sheet = Image.new("L", (width, sum(line.shape[0] + HEADER for _, line in lines)))
    top = 0
    for label, line in lines:
        ImageDraw.Draw(sheet).text((2, top + 1), label, fill=255)
        sheet.paste(Image.fromarray(line), (0, top + HEADER))
        top += HEADER + line.shape[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
