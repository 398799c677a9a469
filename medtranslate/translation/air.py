"""Sets a translation to air outside the source's head, and checks its plausibility inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medtranslate.config import Modality, ScaleSettings
from medtranslate.metrics import Values, Voxels, bone_from, doubts, look_at_brain, outline, with_rim
from medtranslate.metrics.outline import REACH_MM
from medtranslate.records import Plausibility
from medtranslate.transforms import AIR, SCALP, VISIBLE, denormalise
from medtranslate.translation.framed import Floats, Framed
from medtranslate.translation.seams import steady
from medtranslate.translation.softness import soften

SKIN_HU = -300.0
"""Threshold between air and the fat of the skin."""

GRID_MM = 1.0
"""Largest pixel of the grid for the outline, unless the source's pixels are larger."""

HEAD_MM = 200.0
"""Length of a head, which gives the pixel size of a picture."""

FAINT = 0.06
"""Share of the range above the background from which a voxel may be scalp; it is faint in some sequences."""

BACKGROUND = 0.2
"""Largest share of the range of a grey background; brighter edges of slices are tissue."""

LEVELS_MM = 80.0
"""Height below the vertex, or the uppermost slice, with the ventricles and without the skull base."""

LOOKED_AT = 40
"""Most slices of a volume in which the brain is examined."""


@dataclass(frozen=True)
class Outline:
    """Head of a source, with the rim in which a translation keeps its values.

    Attributes:
        head: voxels [Z, Y, X] of the source's head on the grid of `step`.
        allowed: voxels [Z, Y, X] of the head with its rim, on the same grid.
        step: rows and columns of the slices per row and column of the grid.
        spacing_mm: of the grid, between slices, rows and columns.
    """

    head: Voxels
    allowed: Voxels
    step: tuple[int, int]
    spacing_mm: tuple[float, float, float]

    @property
    def ml(self) -> float:
        """Volume of one voxel of the grid."""
        return float(np.prod(self.spacing_mm)) / 1000


def find_outline(framed: Framed) -> Outline:
    """Find the head in a source, by the HU of skin in a CT, else by its contrast to the background.

    A windowed CT picture hides the scalp, so its rim is wider by `SCALP`.
    """
    columns_mm, rows_mm, slices_mm = framed.axial.spacing
    (top, bottom), (left, right) = framed.head.rows, framed.head.columns
    is_picture = framed.axial.is_picture
    if is_picture and framed.shape[0] == 1:
        rows_mm = columns_mm = HEAD_MM / max(bottom - top, right - left)
    step = max(1, int(GRID_MM / rows_mm)), max(1, int(GRID_MM / columns_mm))
    spacing = slices_mm, rows_mm * step[0], columns_mm * step[1]
    values = framed.slices[:, :: step[0], :: step[1]]
    near = framed.head.mask
    for axis, (extent, by, coarse) in enumerate(
        zip(framed.shape, (1, *step), framed.head.steps, strict=True)
    ):
        near = near.take(np.arange(0, extent, by) // coarse, axis)
    in_hu = framed.modality == "ct" and not is_picture
    head = outline((values > (SKIN_HU if in_hu else _least(values, framed))) & near, spacing)
    reach = REACH_MM
    if framed.modality == "ct" and is_picture:
        reach += SCALP * max((bottom - top) * rows_mm, (right - left) * columns_mm)
    return Outline(head, with_rim(head, spacing, reach), step, spacing)


def clear(slices: Floats, region: Outline, value: float = AIR) -> float:
    """Set slices [Z, Y, X] to `value` outside the head.

    Returns:
        The visible volume set to `value`, in ml; valid only for slices in [-1, 1].
    """
    _, height, width = slices.shape
    gone = 0
    for plane, allowed in zip(slices, region.allowed, strict=True):
        outside = ~allowed.repeat(region.step[0], 0)[:height].repeat(region.step[1], 1)[:, :width]
        gone += int(np.count_nonzero(plane[outside] > 2 * VISIBLE - 1))
        plane[outside] = value
    return gone * region.ml / (region.step[0] * region.step[1])


def settle(
    framed: Framed, slices: Floats, region: Outline | None, source_seams: float, scale: ScaleSettings
) -> tuple[float, dict[str, float] | None]:
    """Clear the air of a translation [Z, Y, X] in [-1, 1], soften pictures, and steady slices, in place.

    Slices with empty ones between them are neither compared nor smoothed.

    Args:
        region: head of the source; None clears nothing.

    Returns:
        The result of `clear`, and seams for the record; None with fewer than three slices.
    """
    inside = slices[:, *framed.box]
    soften(framed, inside, scale)
    air_ml = clear(slices, region) if region else 0.0
    if len(slices) < 3:
        return air_ml, None
    return air_ml, steady(inside, source_seams, framed.slice_mm, lambda: region and clear(slices, region))


def examine(
    framed: Framed, translation: Floats, region: Outline, to: Modality, scale: ScaleSettings, air_ml: float
) -> Plausibility:
    """Measure the plausibility of a translation [Z, Y, X] in [-1, 1]; of an MR only the air.

    Args:
        air_ml: the result of `clear`.
    """
    if to == "mr":
        return Plausibility(air_ml=air_ml)
    rows, columns = (slice(None, None, by) for by in region.step)
    ct = denormalise(translation[:, rows, columns], "ct", scale)
    outside = np.count_nonzero((ct > bone_from(scale.ct_window)) & ~region.allowed) * region.ml
    filled = np.flatnonzero(region.head.any(axis=(1, 2)))[-max(1, round(LEVELS_MM / region.spacing_mm[0])) :]
    every = max(1, -(-len(filled) // LOOKED_AT))
    chosen = filled[::every]
    source = framed.slices[chosen, rows, columns]
    lower, upper = framed.ends
    brain = look_at_brain(
        ((source - lower) / (upper - lower)).clip(0, 1),
        ct[chosen],
        region.head[chosen],
        (region.spacing_mm[0] * every, *region.spacing_mm[1:]),
        scale.ct_window,
    )
    if brain is None:
        return Plausibility(air_ml=air_ml, bone_outside_ml=outside)
    return Plausibility(
        air_ml=air_ml,
        bone_outside_ml=outside,
        bone_inside_ml=None if brain.picture else brain.bone,
        bone_inside_cm2=brain.bone if brain.picture else None,
        fluid=brain.fluid,
        brain=brain.brain,
        black=brain.black,
        closed=brain.closed,
        doubts=doubts(brain),
    )


def _least(values: Values, framed: Framed) -> float:
    """Return the value above which a voxel may be of the head: `FAINT` of the range above the background.

    It is less where the head is dark but for what lies near the coils (`Head.least`).
    """
    lower, upper = framed.ends
    faint = FAINT * framed.head.least / VISIBLE
    edges = values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1]
    median = float(np.median(np.concatenate([edge.ravel() for edge in edges])))
    background = (median - lower) / (upper - lower)
    return lower + (faint + min(max(background, 0.0), BACKGROUND)) * (upper - lower)
