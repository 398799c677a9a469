"""Volumes from three sides: their coronal and sagittal slices are translated, too.

A network makes each slice by itself, so it errs differently from slice to slice and from side to side. Of
three translations of a voxel, the middle one errs less on average than each of them, and in MR their mean
errs least. Vertex, palate and the roofs of the orbits lie along axial slices, and other planes cut across
them. A network that is unsure of the place of thin bone makes it too faint: where two sides of CT show bone,
the denser ones are nearer. And it seldom makes air that is not there: where one side shows air, and no two
show bone, it is air.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.io import Volume
from medtranslate.io.layout import pixel_mm, to_slices
from medtranslate.transforms import Head, frame_around, scale_ct
from medtranslate.translation.framed import Floats, Framed
from medtranslate.translation.seams import THIN_MM, without_lone

SIDES_MM = 6.5
"""Longest side of the voxels of a volume that is translated from three sides. In slices of 8 mm of a label
map that was left out, bone has a lower Dice so, from T1 and FLAIR, though errors are smaller."""

FINE_MM = 2.0
"""Longest distance of slices whose bone is the mean of the two densest translations. Bone is less faint
there, and errors are smaller so than by the densest one alone, which thicker slices have: in heads unlike
those of the training their bone is fainter still."""

STEP_MM = 1.0
"""Least distance of the slices of a side, about a pixel of the networks; finer ones show nothing new."""

DENSE_HU = 100.0
"""Value from which on a voxel of CT that two sides share is bone, above fresh blood (at most 80 HU)."""

AIR_HU = -700.0
"""Value below which a voxel of CT is air if one side alone shows it. With -500 more air is found, from FLAIR
above all, and twice as much soft tissue becomes air."""

HIGH_MM = 80.0
"""Least height of the part of a head that is seen from the side, about half of a head's width."""

_SIDES = ((1, 0, 2), (2, 0, 1))
"""Axes of axial slices [Z, Y, X] that lie through, down and across coronal slices, and sagittal ones."""


def has_sides(seen: Framed, model: Model) -> bool:
    """Tell if a volume is translated from three sides.

    The model has to know the planes, thicker slices are too coarse from the side, and enough of the head has
    to be seen.
    """
    axial = seen.axial
    if axial.is_picture or axial.meta.slices is not None or model.planes == 1:
        return False
    high = len(seen.shown) * seen.slice_mm >= HIGH_MM
    return high and round(max(*axial.spacing, seen.slice_mm), 2) <= SIDES_MM


def slices_of(seen: Framed, model: Model) -> int:
    """Count the slices of a volume, from all of its sides."""
    return seen.shape[0] + sum(len(side.shown) for side in sides(seen, model))


def sides(seen: Framed, model: Model) -> list[Framed]:
    """Frame the coronal and the sagittal slices of a volume; none if it has no sides.

    They run from front to back and from right to left, and their rows from top to bottom. Those that are
    shown lie `STEP_MM` apart, or a voxel if that is more.
    """
    return [_from(seen, order, model) for order in _SIDES] if has_sides(seen, model) else []


def _from(seen: Framed, order: tuple[int, int, int], model: Model) -> Framed:
    known, head, (through, _, across) = model.description, seen.head, order
    # It has the voxels' size, and not the patient's place: nothing is written of it.
    sizes = [seen.axial.spacing[2 - axis] for axis in reversed(order)]
    slices = seen.slices.transpose(order)[:, ::-1]
    turned = Volume(to_slices(slices), np.diag([*sizes, 1.0]), seen.axial.meta)
    first, past = int(seen.shown[0]), int(seen.shown[-1]) + 1
    ends = (first, past), head.rows, head.columns
    place = Head(
        mask=head.mask.transpose(order)[:, ::-1],
        steps=(head.steps[through], head.steps[0], head.steps[across]),
        rows=(seen.shape[0] - past, seen.shape[0] - first),
        columns=ends[across],
        least=head.least,
    )
    margin = known.network.margin if known.network.frame == "head" else 0.0
    frame = frame_around(place, seen.modality, margin, pixel_mm(turned), known.scale)
    step = max(1, int(STEP_MM / sizes[2] + 1e-3))
    return replace(seen, axial=turned, frame=frame, head=place, shown=np.arange(*ends[through], step))


def agree(
    seen: Framed,
    made: Floats,
    around: Sequence[tuple[Framed, Floats]] = (),
    ends: tuple[float, float] | None = None,
) -> None:
    """Replace each voxel of axial slices by what its three translations agree on, in place.

    In MR that is their mean. In CT it is the middle one; where that is bone, it is the densest one, or the
    mean of both in slices of up to `FINE_MM`, and elsewhere the least dense one if that is air. From one side
    alone, a voxel of a thin CT becomes the middle one of three slices: of its own and the two beside it.

    Args:
        made: axial slices [Z, Y, X].
        around: sides of `seen`, and their slices as the network made them.
        ends: of CT, where air ends and bone begins, in the units of the slices (`air_and_bone`).
    """
    if not around:
        if seen.modality == "mr" and seen.slice_mm <= THIN_MM:
            without_lone(made[:, *seen.box])
        return
    first, second = (
        np.transpose(_filled(side, slices)[:, ::-1], np.argsort(order))
        for (side, slices), order in zip(around, _SIDES, strict=True)
    )
    for three in zip(made, first, second, strict=True):
        three[0][...] = _of_ct(three, *ends, seen.slice_mm <= FINE_MM) if ends else sum(three) / 3


def _of_ct(three: Sequence[Floats], air: float, bone: float, fine: bool) -> Floats:
    lower, upper = np.minimum(*three[1:]), np.maximum(*three[1:])
    middle, least = three[0].clip(lower, upper), np.minimum(three[0], lower)
    densest = np.maximum(three[0], upper)
    dense = (middle + densest) / 2 if fine else densest
    return np.where(middle >= bone, dense, np.where(least < air, least, middle))


def air_and_bone(to: Modality, model: Model) -> tuple[float, float] | None:
    """Find where air ends and bone begins in a translation in [-1, 1]; None for MR, which has no HU."""
    if to == "mr":
        return None
    air, bone = scale_ct(np.array([AIR_HU, DENSE_HU]), model.description.scale.ct_curve)
    return float(air), float(bone)


def _filled(side: Framed, slices: Floats) -> Floats:
    """Give slices between those that were made the values of the nearest one, in place."""
    made = side.shown
    past = min(made[-1] + np.diff(made).max(initial=1), len(slices))
    for place in np.setdiff1d(np.arange(made[0], past), made):
        slices[place] = slices[made[np.abs(made - place).argmin()]]
    return slices
