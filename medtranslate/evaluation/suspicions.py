"""Sentences on predictions whose scores would flatter or mean nothing."""

from __future__ import annotations

from medtranslate.evaluation.coverage import MOST
from medtranslate.metrics import Values, Voxels
from medtranslate.metrics.units import suspect_unit


def say_unit(prediction: Values, reference: Values, mask: Voxels) -> list[str]:
    """Describe a prediction of CT that seems to be in another unit than HU; nothing if it does not."""
    found = suspect_unit(prediction, reference, mask)
    if found is None:
        return []
    return [
        f"The prediction may not be in HU: {found.text}. If so, give"
        f" --prediction-scale {found.slope:.4g} {found.offset:.4g}."
    ]


def say_uncovered(share: float) -> list[str]:
    """Describe a prediction that leaves out more than `MOST` of the reference's body."""
    if share <= MOST:
        return []
    return [
        f"The prediction does not cover {share:.0%} of the reference's body (limit {MOST:.0%}), which is not"
        " scored; --missing-is-air scores it as air."
    ]


def warn_uncovered(share: float) -> list[str]:
    """State the share of the body that is scored, for the list of warnings."""
    return [f"{1 - share:.0%} of the reference's body are scored"] if share > MOST else []
