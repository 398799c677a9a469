"""Pictures of projections: radiographs of prediction and reference, and maps of path lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medtranslate.metrics import BEAMS
from medtranslate.records import Beam
from medtranslate.report.drawing import MARGIN, as_png, round_ticks, square_pixels
from medtranslate.report.pictures import Pictures, Projected

LONGER, SHORTER = (255, 150, 40), (70, 150, 255)
"""Colours of a path length that is too long, and of one that is too short."""

TITLES: dict[Beam, str] = {
    "front": "From the front, along the grid’s second axis; the patient’s right is on the left",
    "side": "From the side, along the grid’s first axis; the patient’s front is on the left",
}


@dataclass(frozen=True)
class Projection:
    """Pictures of one beam as data URIs.

    Attributes:
        beam: key of the beam.
        title: view in words.
        prediction: radiograph of the prediction.
        reference: radiograph of the reference, on the same scale.
        difference: path length of the prediction minus that of the reference.
        limit: end of the scale of `difference` in mm.
    """

    beam: Beam
    title: str
    prediction: str
    reference: str
    difference: str
    limit: float


def draw_projections(pictures: Pictures | None) -> list[Projection]:
    """Draw radiographs and path lengths of each beam; none where they are not measured."""
    if pictures is None or pictures.projections is None:
        return []
    limit = _limit(pictures.projections.paths)
    drawn = []
    for beam in BEAMS:
        images = {name: as_png(image) for name, image in project(pictures, beam, limit).items()}
        drawn.append(
            Projection(
                beam, TITLES[beam], images["prediction"], images["reference"], images["difference"], limit
            )
        )
    return drawn


def project(pictures: Pictures, beam: Beam, limit: float) -> dict[str, Image.Image]:
    """Draw radiographs of prediction and reference, bone white, and the difference of their path lengths.

    The top of the head is up; from the front the patient's right is on the left, from the side the front is.
    In the difference, black is none, orange too long and blue too short.

    Args:
        pictures: with projections.
        beam: to draw.
        limit: end of the scale of differences in mm.
    """
    assert pictures.projections is not None
    ours, theirs = pictures.projections.radiographs[beam]
    across = 1 - BEAMS[beam]
    spacing = pictures.spacing_mm[across], pictures.spacing_mm[2]
    shadow = np.asarray(pictures.mask.any(axis=BEAMS[beam]))
    frame = _frame(shadow)
    low, high = 0.0, float(np.percentile(theirs[shadow], 99.8)) if shadow.any() else 1.0
    grey = {
        name: np.interp(image[frame][:, ::-1], (low, high), (0, 255)).round().astype(np.uint8)
        for name, image in (("prediction", ours), ("reference", theirs))
    }
    lengths = pictures.projections.paths[beam]
    difference = _signed((lengths[0] - lengths[1])[frame][:, ::-1] / limit)
    return {name: square_pixels(image, spacing) for name, image in {**grey, "difference": difference}.items()}


def _limit(paths: Mapping[Beam, tuple[Projected, Projected]]) -> float:
    """Choose the end of the scale: a round number above 99 % of the differences, at least 1 mm."""
    sizes = [np.abs(ours - theirs)[theirs > 0] for ours, theirs in paths.values()]
    highest = max((float(np.percentile(size, 99)) for size in sizes if size.size), default=0.0)
    return max(1.0, round_ticks(0.0, highest)[-1])


def _frame(shadow: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Find the extent of a shadow, with a margin."""
    if not shadow.any():
        return slice(None), slice(None)
    frame = []
    for axis in (0, 1):
        used = np.flatnonzero(shadow.any(axis=1 - axis))
        air = round(MARGIN * shadow.shape[axis])
        frame.append(slice(max(0, int(used[0]) - air), int(used[-1]) + 1 + air))
    return frame[0], frame[1]


def _signed(shares: Projected) -> NDArray[np.uint8]:
    """Map shares of a scale, -1 to 1, to colours [X, Y, 3]; zero is black."""
    strength = np.abs(shares).clip(0, 1)[..., None]
    colour = np.where((shares > 0)[..., None], LONGER, SHORTER)
    drawn: NDArray[np.uint8] = (strength * colour).round().astype(np.uint8)
    return drawn
