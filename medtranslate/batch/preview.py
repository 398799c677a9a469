"""A small picture of each item: what went in beside what came out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from monai.data import MetaTensor
from PIL import Image

from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.transforms import to_axial
from medtranslate.translation.stack import Stack

FOLDER = ".previews"
"""In the output's folder; hidden, so that no source tree can have one of its name."""
SIDE = 112
"""Pixels of a picture's longer side."""

Grey = npt.NDArray[np.uint8]
Planes = tuple[Image.Image, Image.Image]


def preview_of(target: Path) -> Path:
    """Path of an output's picture within the output's folder."""
    return FOLDER / target.with_name(f"{target.name}.jpg")


def planes_of(seen: Stack, made: MetaTensor, model: Model, to: Modality) -> Planes:
    """A slice through the middle of the head, source and translation, in the model's own ranges."""
    source, scale = seen.source, model.description.scale
    grey = (0.0, 255.0) if "levels" in source.meta else None
    uneven = "slices" in source.meta
    before, after = (volume if uneven else to_axial(volume) for volume in (source, made))
    depth, shown = before.shape[3], seen.shown
    known = len(shown) and seen.axial.shape[3] == depth
    middle = int(shown[len(shown) // 2]) if known else depth // 2
    wide, high, _ = (float(length) for length in before.pixdim)
    ends = grey or (scale.ct_window if to == "ct" else scale.mr_range)
    return (
        _picture(before.as_tensor()[0, :, :, middle].numpy(), seen.ends, (wide, high)),
        _picture(after.as_tensor()[0, :, :, middle].numpy(), ends, (wide, high)),
    )


def draw(planes: Planes, path: Path) -> None:
    """Write the two side by side."""
    sheet = Image.new("L", (sum(plane.width for plane in planes), max(plane.height for plane in planes)))
    sheet.paste(planes[0])
    sheet.paste(planes[1], (planes[0].width, 0))
    sheet.save(path, "JPEG", quality=80)


def _picture(
    plane: npt.NDArray[np.float32], ends: tuple[float, float], mm: tuple[float, float]
) -> Image.Image:
    """[X, Y] with square pixels, rows along Y."""
    grey = np.interp(plane.T, ends, (0, 255)).round().astype(np.uint8)
    size = plane.shape[0] * mm[0], plane.shape[1] * mm[1]
    per_mm = SIDE / max(size)
    return Image.fromarray(grey).resize((max(1, round(size[0] * per_mm)), max(1, round(size[1] * per_mm))))
