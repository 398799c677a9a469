"""Errors by tissue, in the terms of the literature on synthetic CT."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from medtranslate.metrics.arrays import BONE_HU, Range, Values, Voxels, covers
from medtranslate.metrics.plausibility import bone_from
from medtranslate.metrics.profiles import WHOLE_CT
from medtranslate.records import Tissue

Ends = tuple[float | None, float | None]
"""Lower and upper HU, None for an open end."""

AIR_HU = -200.0
"""Upper end of air, which includes lungs, sinuses and the rim around the body."""

BODY = "body"
TISSUES: dict[str, Ends] = {
    BODY: (None, None),
    "air": (None, AIR_HU),
    "soft tissue": (AIR_HU, BONE_HU),
    "bone": (BONE_HU, None),
}
"""Tissues of a CT with the whole range of HU. The limits belong to soft tissue.

Body, soft tissue, bone and air are the regions that studies report by the review of Spadea et al., "Deep
learning based synthetic-CT generation in radiotherapy and PET: a review", Med Phys 48, 2021. Their limits
differ from study to study.
"""

BRAIN_TISSUES: dict[str, Ends] = {"fluid": (0.0, 20.0), "brain": (20.0, 50.0)}
"""Tissues in place of soft tissue, where a window of HU holds them and not all of soft tissue."""


def tissue_scores(
    prediction: Values,
    reference: Values,
    mask: Voxels,
    body: Voxels,
    sayable: Range | None = None,
) -> dict[str, Tissue]:
    """Compute MAE, mean error and root mean square error of each tissue, and the overlap of bone.

    A voxel belongs to a tissue by the reference's HU. The mean error is prediction minus reference. Where a
    model represents a window of HU, both are clipped to it. Its bone begins where the window is nearly
    saturated (`bone_from`); a tissue that lies outside the window is left out.

    Args:
        prediction: [X, Y, Z] in HU.
        reference: [X, Y, Z] in HU, not clipped.
        mask: [X, Y, Z].
        body: the reference's body [X, Y, Z].
        sayable: HU that the prediction can hold; None for all of them.
    """
    tissues = {}
    for name, ends, saturated in _tissues(sayable):
        inside = mask & (body if name == BODY else _between(reference, *ends))
        tissues[name] = replace(
            _errors(prediction[inside], reference[inside], sayable),
            range_hu=ends,
            share=float(inside.sum() / max(1, mask.sum())),
            saturated=saturated,
        )
        if name == "bone":
            ours = mask & _between(prediction, *ends)
            tissues[name] = replace(tissues[name], dice=_dice(ours, inside))
    return tissues


def bone_limit(sayable: Range | None) -> float | None:
    """Return the HU above which a prediction shows bone; None if its window has no bone beside brain.

    Args:
        sayable: HU that the prediction can hold; None for all of them.
    """
    if sayable is None:
        return BONE_HU
    limit = bone_from(sayable)
    brain = BRAIN_TISSUES["brain"][1]
    assert brain is not None
    return limit if max(sayable[0], brain) < limit < sayable[1] else None


def bone_of(volume: Values, mask: Voxels, limit: float) -> Voxels:
    """Select the voxels of bone in the mask."""
    return mask & (volume > limit)


def _tissues(sayable: Range | None) -> Iterator[tuple[str, Ends, bool]]:
    """Yield name, ends and saturation of the tissues that a range of HU holds."""
    if sayable is None:
        yield from ((name, ends, False) for name, ends in TISSUES.items())
        return
    whole = covers(sayable, WHOLE_CT)
    yield BODY, TISSUES[BODY], not whole
    if sayable[0] < AIR_HU:
        yield "air", TISSUES["air"], sayable[0] > WHOLE_CT[0]
    soft = {"soft tissue": TISSUES["soft tissue"]}
    for name, ends in (soft if covers(sayable, (AIR_HU, BONE_HU)) else BRAIN_TISSUES).items():
        if covers(sayable, _closed(ends)):
            yield name, ends, False
    if (limit := bone_limit(sayable)) is not None:
        yield "bone", (limit, None), sayable[1] < WHOLE_CT[1]


def _closed(ends: Ends) -> Range:
    low, high = ends
    return -math.inf if low is None else low, math.inf if high is None else high


def _errors(prediction: Values, reference: Values, sayable: Range | None) -> Tissue:
    """Compute the errors of the voxels of a tissue; none for no voxels."""
    nothing = Tissue(range_hu=(None, None), share=0.0)
    if not prediction.size:
        return nothing
    errors = prediction.astype(np.float64)
    errors -= reference if sayable is None else reference.clip(*sayable)
    bias, squares = float(errors.mean()), float(np.mean(np.square(errors)))
    return replace(nothing, mae=float(np.mean(np.abs(errors))), me=bias, rmse=math.sqrt(squares))


def _between(volume: Values, low: float | None, high: float | None) -> Voxels:
    """Select the voxels of a tissue; the ends of a closed range belong to it, an open end does not."""
    if low is None:
        return volume < (math.inf if high is None else high)
    return volume > low if high is None else (volume >= low) & (volume <= high)


def _dice(ours: Voxels, theirs: Voxels) -> float | None:
    """Compute 2 |A and B| / (|A| + |B|); None if both are empty."""
    total = int(ours.sum() + theirs.sum())
    return 2 * int((ours & theirs).sum()) / total if total else None
