"""What a prediction shows in the air beside the reference's head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medtranslate.metrics import Range, Values, invented, outline, with_rim
from medtranslate.metrics.masks import shows
from medtranslate.records import Plausibility, Translation

GRID_MM = 2.0
"""Voxels of the grid on which it is looked for are no larger than this, unless the volume's are."""

RIM_MM = 10.0
"""Scalp that a window hides, and what a motion of the head between two scans explains."""

MOST_ML = 1.0
"""More of it makes a prediction doubtful."""


def beside_head(prediction: Values, reference: Values, ends: Range, spacing_mm: Sequence[float]) -> float:
    """Measure what a prediction shows farther than `RIM_MM` from the reference's head, in ml.

    Args:
        prediction: [X, Y, Z].
        reference: likewise.
        ends: lowest and highest value of both.
        spacing_mm: along X, Y and Z.
    """
    steps = [max(1, int(GRID_MM / length)) for length in spacing_mm]
    thin = tuple(slice(None, None, step) for step in steps)
    ours, theirs = (volume[thin].transpose(2, 1, 0) for volume in (prediction, reference))
    across, along, up = (step * length for step, length in zip(steps, spacing_mm, strict=True))
    mm = up, along, across
    far = invented(ours, theirs, ends) & ~with_rim(outline(shows(theirs, ends), mm), mm, RIM_MM)
    return float(far.sum()) * up * along * across / 1000


def say_beside(ml: float) -> list[str]:
    """Say that a prediction shows something beside the head, if it does."""
    if ml <= MOST_ML:
        return []
    return [f"the prediction shows {ml:.1f} ml in the air beside the reference's head (limit {MOST_ML:g} ml)"]


def doubted(translation: Translation | None, ml: float) -> Translation | None:
    """Add what lies beside the head to the doubts of a translation.

    Its record is of the file as it was made; what is scored may have been changed since.
    """
    if translation is None or ml <= MOST_ML:
        return translation
    found = translation.plausibility or Plausibility()
    doubts = [*found.doubts, *say_beside(ml)]
    return replace(translation, plausibility=replace(found, bone_outside_ml=None, doubts=doubts))
