"""Thin volumes from three sides: their coronal and sagittal slices are translated, too.

A network makes each slice by itself, so it errs differently from slice to slice and from side to side. Of
three translations of a voxel, the middle one is right more often than any of them. Vertex, palate and the
roofs of the orbits lie along axial slices, and other planes cut across them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medtranslate.checkpoint import Model
from medtranslate.io import Volume
from medtranslate.io.layout import to_slices
from medtranslate.translation.framed import Floats, Framed, find
from medtranslate.translation.seams import THIN_MM, without_lone

SIDES_MM = 3.0
"""Longest side of the voxels of a volume that is translated from three sides. In slices of 4 mm, a head from a
label map that was left out has more bone of 300 HU from above alone."""

_SIDES = ((1, 0, 2), (2, 0, 1))
"""Axes of axial slices [Z, Y, X] that lie through, down and across coronal slices, and sagittal ones."""


def has_sides(seen: Framed, model: Model) -> bool:
    """Tell if a volume is translated from three sides.

    The model has to know the planes, and the slices have to be thin: from the side, thick ones are coarse.
    """
    axial = seen.axial
    if axial.is_picture or axial.meta.slices is not None or model.planes == 1:
        return False
    return max(*axial.spacing, seen.slice_mm) <= SIDES_MM


def slices_of(seen: Framed, model: Model) -> int:
    """Count the slices of a volume, from all of its sides."""
    return sum(seen.shape) if has_sides(seen, model) else seen.shape[0]


def sides(seen: Framed, model: Model) -> list[Framed]:
    """Frame the coronal and the sagittal slices of a volume; none if it has no sides.

    They run from front to back and from right to left, and their rows from top to bottom.
    """
    return [_from(seen, order, model) for order in _SIDES] if has_sides(seen, model) else []


def _from(seen: Framed, order: tuple[int, int, int], model: Model) -> Framed:
    slices = seen.slices.transpose(order)[:, ::-1]
    across, down, through = (seen.axial.spacing[2 - axis] for axis in reversed(order))
    # It has the voxels' size, and not the patient's place: nothing is written of it.
    turned = Volume(to_slices(slices), np.diag([across, down, through, 1.0]), seen.axial.meta)
    frame, head, shown, _ = find(turned, seen.curve, seen.modality, model)
    return replace(seen, axial=turned, frame=frame, head=head, shown=shown)


def agree(seen: Framed, made: Floats, others: Sequence[Floats] = ()) -> None:
    """Replace each voxel of axial slices by the middle one of its three translations, in place.

    From one side alone, a voxel of a thin CT becomes the middle one of three slices: of its own and the two
    beside it.

    Args:
        made: axial slices [Z, Y, X].
        others: slices of `sides`.
    """
    if not others:
        if seen.modality == "mr" and seen.slice_mm <= THIN_MM:
            without_lone(made[:, *seen.box])
        return
    first, second = (
        np.transpose(slices[:, ::-1], np.argsort(order)) for slices, order in zip(others, _SIDES, strict=True)
    )
    for plane, one, other in zip(made, first, second, strict=True):
        np.clip(plane, np.minimum(one, other), np.maximum(one, other), out=plane)
