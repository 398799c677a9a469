"""Registers the reference before scoring, and records the motion in the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medtranslate.io import Volume
from medtranslate.io.grids import mismatch
from medtranslate.io.layout import to_axial
from medtranslate.records import Evaluation, Registration
from medtranslate.registration import moved, register


def register_reference(volumes: Mapping[str, Volume]) -> tuple[dict[str, Volume], Registration]:
    """Move the reference rigidly onto the source, or the prediction where there is no source.

    The source is real, so the prediction's own misplacement stays in the scores. A mask on the reference's
    grid moves with it; one on the prediction's grid (if both have that grid, too) stays.

    Raises:
        GeometryRefused: a volume has no place in space, or is too thin.
        InputRefused: no plausible motion is found.
    """
    reference, prediction, mask = volumes["reference"], volumes["prediction"], volumes.get("mask")
    found = (
        register(reference, volumes["source"], "source")
        if "source" in volumes
        else register(reference, prediction, "prediction")
    )
    if not found.applied:
        return dict(volumes), found
    there = {"reference": moved(reference, found)}
    axial = {role: to_axial(volume) for role, volume in volumes.items()}
    own = mask is not None and mismatch(axial["mask"], axial["prediction"])
    if mask is not None and own and not mismatch(axial["mask"], axial["reference"]):
        there["mask"] = moved(mask, found)
    return {**volumes, **there}, found


def with_registration(result: Evaluation, found: Registration | None) -> Evaluation:
    """Record in a result how its reference was moved, if it was."""
    if found is None:
        return result
    note, warnings = _explain(found)
    return replace(
        result,
        registration=found,
        reference=[note, *result.reference],
        warnings=[*result.warnings, *warnings],
    )


def _explain(found: Registration) -> tuple[str, list[str]]:
    """Describe what was done to the reference, and warn where scores cannot see a misplacement."""
    gain = " to ".join(f"{value:.3f}" for _, value in sorted(found.mutual_information.items(), reverse=True))
    if not found.applied:
        note = f"registered rigidly to the {found.target}: left where its header says, for nothing is gained"
        return f"{note} (mutual information {gain})", []
    note = (
        f"moved rigidly to the {found.target}: rotation {found.rotation_degrees:.2f} degrees, translation"
        f" {found.translation_mm:.2f} mm, mutual information {gain}, overlap {found.overlap:.1%}"
    )
    seen = (
        "the reference was moved to the prediction, so scores do not see where the prediction as a whole is"
        " misplaced; give --source to register with that"
    )
    return note, [seen] if found.target == "prediction" else []
