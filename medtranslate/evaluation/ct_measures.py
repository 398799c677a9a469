"""Measures of a translated CT in HU: tissues, structures of the head, path lengths and radiographs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medtranslate.evaluation.comparison import Comparison
from medtranslate.evaluation.rules import warn_windowed
from medtranslate.geometry import spacing
from medtranslate.metrics import (
    AIR_REACH,
    BEAMS,
    BONE_REACH,
    WHOLE_CT,
    Spacing,
    Voxels,
    body_outline,
    bone_limit,
    bone_of,
    compare_vaults,
    covers,
    find_middle,
    hausdorff_95,
    path_length,
    path_maps,
    radiographs,
    tissue_scores,
    vault,
    ventricles,
)
from medtranslate.records import Anatomy, Evaluation
from medtranslate.report import Projections

PATHS = "water-equivalent path length, radiograph"
"""Name of the projections in `Evaluation.unmeasured`."""


def with_measures(pair: Comparison, found: Evaluation) -> tuple[Evaluation, Projections | None]:
    """Add the measures of a CT, and a reason for each that is missing.

    Returns:
        The result, and the projections for drawing.
    """
    if pair.unit != "HU":
        reason = _no_ct(pair)
        return replace(found, unmeasured={"measures of CT": reason} if reason else {}), None
    body = body_outline(pair.unclipped)
    tissues = tissue_scores(pair.prediction, pair.unclipped, pair.mask, body, pair.limits)
    anatomy, missing = _anatomy(pair, body)
    reason = _no_paths(pair)
    found = replace(
        found, tissues=tissues, anatomy=anatomy, unmeasured={**missing, **({PATHS: reason} if reason else {})}
    )
    if reason:
        return found, None
    drawn = _projections(pair)
    lengths = {
        beam: path_length(*drawn.paths[beam], crossing=np.asarray((body & pair.mask).any(axis=axis)))
        for beam, axis in BEAMS.items()
    }
    return replace(
        found,
        paths={beam: length for beam, length in lengths.items() if length},
        densities=pair.rules.densities,
    ), drawn


def projections(pair: Comparison) -> Projections | None:
    """Compute the projections of a pair alone, for drawing; None where they are not measured."""
    return None if pair.unit != "HU" or _no_paths(pair) else _projections(pair)


def _projections(pair: Comparison) -> Projections:
    """Project prediction and reference along each beam."""
    images, size = (pair.prediction, pair.unclipped), _spacing(pair)
    paths = [path_maps(image, pair.mask, size, pair.rules.densities) for image in images]
    drawn = [radiographs(image, size) for image in images]
    return Projections(
        paths={beam: (paths[0][beam], paths[1][beam]) for beam in BEAMS},
        radiographs={beam: (drawn[0][beam], drawn[1][beam]) for beam in BEAMS},
    )


def _no_ct(pair: Comparison) -> str:
    """Say why a pair has no measures of CT; nothing of an MR."""
    if pair.picture:
        return "a picture has neither HU nor millimetres"
    if pair.unit == "units as stored":
        return "it is not known that the values are HU; give --modality ct"
    return ""


def _no_paths(pair: Comparison) -> str:
    """Say why projections are missing: they need HU from air to bone."""
    needs = f"needs HU from {AIR_REACH:g} to {BONE_REACH:g}"
    if pair.limits and not covers(pair.limits, (AIR_REACH, BONE_REACH)):
        low, high = pair.limits
        return f"{needs}, and the prediction represents {low:g} to {high:g} HU"
    if pair.model is None and warn_windowed(pair.prediction, pair.reference):
        return f"{needs}, and the prediction ends at a window"
    return "" if pair.mask.any() else "no voxel lies in the mask"


def _anatomy(pair: Comparison, body: Voxels) -> tuple[Anatomy | None, dict[str, str]]:
    """Measure bone, vault and ventricles in both images, and collect the reasons for what is missing."""
    limit, size = bone_limit(pair.limits), _spacing(pair)
    if limit is None:
        low, high = pair.limits or WHOLE_CT
        return None, {"structures": f"bone does not differ from brain within {low:g} to {high:g} HU"}
    images = {"prediction": pair.prediction, "reference": pair.reference}
    bone = {name: bone_of(image, pair.mask, limit) for name, image in images.items()}
    found = Anatomy(bone_hu=limit, bone_hd95_mm=hausdorff_95(bone["prediction"], bone["reference"], size))
    missing = {}
    if empty := [name for name, voxels in bone.items() if not voxels.any()]:
        missing["Hausdorff distance of bone"] = f"no bone in the mask of the {' and the '.join(empty)}"
    middle = find_middle(bone_of(pair.reference, body, limit), body, size)
    if isinstance(middle, str):
        return found, {**missing, "thickness of the vault, ventricles": middle}
    skull = compare_vaults(*(vault(image, body, middle, size, limit) for image in images.values()))
    if isinstance(skull, str):
        missing["thickness of the vault"] = skull
    else:
        found = replace(found, skull_mm=skull)
    fluid = {name: ventricles(image, body, middle, size) for name, image in images.items()}
    if fluid["reference"]:
        return replace(found, ventricles_ml=fluid), missing
    return found, {**missing, "ventricles": "none are found in the reference"}


def _spacing(pair: Comparison) -> Spacing:
    across, along, up = (float(length) for length in spacing(pair.affine))
    return across, along, up
