"""Chooses the planes of a preview, which shows failures without a viewer."""

from __future__ import annotations

import numpy as np

from medtranslate.io import Volume
from medtranslate.io.layout import to_axial
from medtranslate.metrics import shown_range
from medtranslate.modality import OTHER, UNITS
from medtranslate.records import Translation
from medtranslate.report import Sheet, own_slices, three_planes
from medtranslate.translation.framed import GREY_LEVELS, Framed

_SHARES = (0.25, 0.5, 0.75)
"""Places, from the head's first slice to its last, of the slices shown of an irregular series."""


def preview(framed: Framed, translation: Volume, record: Translation) -> Sheet:
    """Cut planes through the middle of the head, in the ranges of the model's input and output.

    Of tilted or uneven slices and of pictures, the slices themselves are shown.

    Args:
        framed: the source with its frame.
        translation: on the source's grid.
        record: of the translation.
    """
    source, model = framed.source, record.model
    grey = source.is_picture
    ranges = framed.ends, (0.0, float(GREY_LEVELS)) if grey else model.output_range
    if not grey:
        ranges = shown_range(ranges[0], UNITS[OTHER[model.to]]), shown_range(ranges[1], model.unit)
    depth = source.shape[2]
    if source.meta.slices is not None or depth == 1:
        views = own_slices(
            (source.values, translation.values), ranges, source.spacing, _places(framed, depth)
        )
    else:
        before, after = to_axial(source), to_axial(translation)
        views = three_planes((before.values, after.values), ranges, before.spacing, _middle(framed, before))
    kind = "CT" if model.to == "mr" else "MR"
    units = ["grey levels"] * 2 if grey else ["HU" if kind == "CT" else "arbitrary units", model.unit]
    (low, high), (lower, upper) = ranges
    doubtful = "DOUBTFUL, see its record; " if record.doubts else ""
    return Sheet(
        views,
        f"{kind}, shown from {low:.4g} to {high:.4g} {units[0]}",
        f"SYNTHETIC {model.to.upper()}, shown from {lower:.4g} to {upper:.4g} {units[1]}",
        f"{doubtful}not for diagnosis; model {model.name}",
    )


def _places(framed: Framed, depth: int) -> list[int]:
    """Choose slices at `_SHARES` of the head, or of the whole series if it was resampled for the model."""
    known = framed.axial.shape[2] == depth and len(framed.shown)
    visible = framed.shown.tolist() if known else list(range(depth))
    return sorted({visible[round(share * (len(visible) - 1))] for share in _SHARES})


def _middle(framed: Framed, volume: Volume) -> tuple[int, ...]:
    """Find the voxel of a volume in the middle of the head, which is known in `framed.axial`."""
    rows, columns = (sum(ends) / 2 for ends in (framed.head.rows, framed.head.columns))
    places = framed.shown.tolist() or [framed.axial.shape[2] // 2]
    world = framed.axial.affine @ [columns, rows, places[len(places) // 2], 1.0]
    voxel = (np.linalg.inv(volume.affine) @ world)[:3].round().astype(int)
    return tuple(int(index) for index in voxel.clip(0, np.array(volume.shape) - 1))
