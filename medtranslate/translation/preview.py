"""What is drawn of a translation, so that nobody has to open a viewer to see that it went wrong."""

from __future__ import annotations

import numpy as np

from medtranslate.io import Volume
from medtranslate.io.layout import to_axial
from medtranslate.records import Translation
from medtranslate.report import Sheet, own_slices, three_planes
from medtranslate.translation.framed import GREY_LEVELS, Framed

_SHARES = (0.25, 0.5, 0.75)
"""Of the head's slices, from the first to the last, those that are shown of an irregular series."""


def preview(seen: Framed, made: Volume, record: Translation) -> Sheet:
    """The planes through the middle of the head, in the ranges that the model sees and says.

    Slices that are tilted or uneven are shown as they are, and so are pictures.

    Args:
        seen: the source as the model sees it.
        made: its translation, on the source's grid.
        record: of the translation.
    """
    source, model = seen.source, record.model
    grey = source.is_picture
    ranges = seen.ends, (0.0, float(GREY_LEVELS)) if grey else model.output_range
    depth = source.shape[2]
    if source.meta.slices is not None or depth == 1:
        views = own_slices((source.values, made.values), ranges, source.spacing, _places(seen, depth))
    else:
        before, after = to_axial(source), to_axial(made)
        views = three_planes((before.values, after.values), ranges, before.spacing, _middle(seen, before))
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


def _places(seen: Framed, depth: int) -> list[int]:
    """Slices at some shares of the head; of the whole series where its own slices were not looked at."""
    known = seen.axial.shape[2] == depth and len(seen.shown)
    shown = seen.shown.tolist() if known else list(range(depth))
    return sorted({shown[round(share * (len(shown) - 1))] for share in _SHARES})


def _middle(seen: Framed, volume: Volume) -> tuple[int, ...]:
    """The voxel of a volume in the middle of the head, which was found in `seen.axial`."""
    rows, columns = (sum(ends) / 2 for ends in (seen.head.rows, seen.head.columns))
    places = seen.shown.tolist() or [seen.axial.shape[2] // 2]
    world = seen.axial.affine @ [columns, rows, places[len(places) // 2], 1.0]
    voxel = (np.linalg.inv(volume.affine) @ world)[:3].round().astype(int)
    return tuple(int(index) for index in voxel.clip(0, np.array(volume.shape) - 1))
