"""From a prediction and its reference in memory to scores.

docs/metrics.md is the user's account of the rules that are applied here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from monai.data import MetaTensor

from medtranslate.evaluation.alignment import align, array
from medtranslate.evaluation.baselines import baselines
from medtranslate.evaluation.beside import beside_head, doubted, say_beside
from medtranslate.evaluation.registered import register_reference, with_registration
from medtranslate.evaluation.rules import (
    PERCENTILES,
    check_kind,
    check_profile,
    check_uncertainty,
    declared_range,
    levels_range,
    on_model_scale,
    scored_voxels,
    seen_range,
    warn_constant,
    warn_outside,
    warn_small,
    warn_windowed,
)
from medtranslate.geometry import spacing
from medtranslate.metrics import (
    PROFILES,
    WHOLE_CT,
    Range,
    Volume,
    Voxels,
    agreement,
    blank_slices,
    coverage,
    covers,
    histograms,
    percentile_range,
    score,
    seams,
    tissue_scores,
)
from medtranslate.modality import UNITS
from medtranslate.records import Evaluation, Mask, ModelInfo, Scores, SliceScores, Translation
from medtranslate.report import Pictures

__all__ = ["align", "compare", "score_pair"]


def score_pair(
    prediction: MetaTensor,
    reference: MetaTensor,
    *,
    profile: str = "image",
    source: MetaTensor | None = None,
    mask: MetaTensor | None = None,
    uncertainty: MetaTensor | None = None,
    mean_image: MetaTensor | None = None,
    data_range: Range | None = None,
    translation: Translation | None = None,
    name: str = "",
    resample_reference: bool = False,
    register: Literal["none", "rigid"] = "none",
    unmasked: bool = False,
) -> Evaluation:
    """Scores of a prediction against the truth on the same grid.

    The arrays may be stored in different orientations; all are turned to LPS (exact flips and swaps
    of axes) before they are compared, and a slice is an axial slice of that layout. The range that
    PSNR and SSIM refer to is that of a profile which fixes one, else the first of: `data_range`; the grey
    levels of pictures; the output range that the model in `translation` declares; the 0.5 to 99.5
    percentile of the reference inside the mask. To a range that was given or declared both volumes are
    clipped: a model with a window can't say what lies outside. The reference of a translated MR is
    brought to the model's scale first.

    Args:
        prediction: [1, X, Y, Z], HU or arbitrary units.
        reference: likewise.
        profile: definition of the scores.
        source: what was translated; adds its baselines and widens the mask.
        mask: voxels above 0 count (default: the profile's rule).
        uncertainty: standard deviation of the prediction in its unit; adds how it fits the errors.
        mean_image: mean of the target modality on this grid; adds a baseline.
        data_range: lowest and highest value that scores refer to.
        translation: how the prediction was made.
        name: of the pair, without patient identity.
        resample_reference: bring reference and mask onto the prediction's grid where theirs differ; what
            the reference does not reach is not scored.
        register: "rigid" finds the reference's place by mutual information and resamples it there.
        unmasked: score every voxel beside those in the mask.

    Raises:
        GeometryRefused: the grids differ; says by how much.
        InputRefused: modalities or grey levels differ, a volume is not finite or has no range, or the
            prediction's model cannot say what the profile scores.
        SettingsError: `data_range` is given and the profile fixes its own.
    """
    given = {
        "prediction": prediction,
        "reference": reference,
        "source": source,
        "mask": mask,
        "uncertainty": uncertainty,
        "mean_image": mean_image,
    }
    volumes = {role: volume for role, volume in given.items() if volume is not None}
    registration = None
    if register == "rigid":
        volumes, registration = register_reference(volumes)
    aligned = align(**volumes, resample_reference=resample_reference or registration is not None)
    result = compare(aligned, profile, data_range, translation, name, unmasked=unmasked)[0]
    return with_registration(result, registration)


def compare(
    volumes: Mapping[str, MetaTensor],
    profile: str,
    data_range: Range | None,
    translation: Translation | None,
    name: str,
    *,
    model: ModelInfo | None = None,
    on_scale: bool = False,
    unmasked: bool = False,
) -> tuple[Evaluation, Pictures]:
    """Score aligned volumes, and hand over the arrays as they were scored.

    `model` made the prediction (default: what the translation says). A reference that is `on_scale` has that
    model's MR scale already.
    """
    model = model or (translation.model if translation else None)
    check_kind(volumes["prediction"], volumes["reference"], model)
    check_profile(profile, volumes, data_range, model)
    check_uncertainty(volumes)
    levels = volumes["reference"].meta.get("levels")
    declared = declared_range(profile, data_range, levels, model)
    fixed = PROFILES[profile].hu_range is not None
    unit = "HU" if fixed else _unit([volumes["reference"], volumes["prediction"]], levels is not None, model)
    warnings = _said(volumes, translation)
    arrays, field, notes = _prepared(volumes, None if on_scale else model)

    own_levels = levels_range(volumes.get("source"))
    ranges = {"reference": declared and declared[0], "source": own_levels}
    mask, mask_rule, odd = scored_voxels(arrays, ranges, field, profile)
    warnings += [*odd, *warn_constant(arrays["prediction"], arrays["reference"], mask)]
    ends, range_rule = declared or (seen_range(arrays["reference"], mask, "reference"), PERCENTILES)
    unclipped = arrays["reference"]
    if declared and not fixed:
        warnings += warn_outside(arrays["reference"], mask, ends)
        for role in {"prediction", "reference", "mean_image"} & set(arrays):
            arrays[role] = arrays[role].clip(*ends)

    prediction, reference, source = arrays["prediction"], arrays["reference"], arrays.get("source")
    source_range = (0.0, 1.0) if source is None else own_levels or seen_range(source, mask, "source")
    # No head fills the whole CT range: stretched to it, the source would look worse than it is.
    shown = percentile_range(reference, mask) if fixed and mask.any() else ends
    order = volumes["reference"].meta.get("reversed_axes", ())
    whole, planes = score(prediction, reference, mask, ends, profile, order)
    warnings += warn_small(whole, mask)
    affine = np.asarray(volumes["reference"].affine, dtype=np.float64)
    if model is None and data_range is None and not levels:
        warnings += warn_windowed(prediction, reference)
    stray = 0.0 if levels else beside_head(prediction, reference, ends, list(spacing(affine)))
    warnings += say_beside(stray)
    sayable = None if fixed else declared and declared[0]
    images = {"prediction": prediction, "reference": reference}
    # Where the profile does not fix the mask, blank slices are not in it.
    blank = blank_slices([prediction, reference], ends) & fixed
    errors = np.abs(prediction - reference) if "uncertainty" in arrays else None
    result = Evaluation(
        profile=profile,
        unit=unit,
        volume=whole,
        name=name,
        data_range=ends,
        data_range_rule=range_rule,
        clipped=sayable if unit == "HU" and sayable and not covers(sayable, WHOLE_CT) else None,
        slices=_slice_scores(planes, None if levels else affine, blank),
        baselines=baselines(
            reference,
            mask,
            ends,
            source=source,
            source_range=source_range,
            copied_range=shown,
            mean_image=arrays.get("mean_image"),
            profile=profile,
            reversed_axes=order,
        ),
        tissues=tissue_scores(prediction, unclipped, mask, sayable) if unit == "HU" else {},
        agreement=agreement(prediction, reference, mask),
        unmasked=score(prediction, reference, mask | field, ends, profile, order)[0] if unmasked else None,
        mask=Mask(rule=mask_rule, share=float(mask.mean())),
        reference=notes,
        histograms=histograms(images, mask),
        seams=None if levels else _seams(images, mask, ends),
        coverage=None if errors is None else coverage(arrays["uncertainty"], errors, mask),
        translation=doubted(translation, stray),
        warnings=warnings,
    )
    across, along, up = (float(length) for length in spacing(affine))
    return result, Pictures(
        prediction,
        reference,
        mask,
        shown,
        (across, along, up),
        source,
        source_range,
        source_unit=_unit([volumes["source"]] if source is not None else [], own_levels is not None),
        unclipped=None if np.array_equal(reference, unclipped) else unclipped,
        spread=arrays.get("uncertainty"),
        affine=None if levels else affine,
    )


def _said(volumes: Mapping[str, MetaTensor], translation: Translation | None) -> list[str]:
    """What reading the volumes and making the translation warned of."""
    said = [f"{role}: {text}" for role, volume in volumes.items() for text in volume.meta.get("warnings", [])]
    told = {text.partition(": ")[2] for text in said}
    made = translation.warnings if translation else []
    return [*said, *(f"translation: {text}" for text in made if text not in told)]


def _prepared(
    volumes: Mapping[str, MetaTensor], model: ModelInfo | None
) -> tuple[dict[str, Volume], npt.NDArray[np.bool_], list[str]]:
    """Arrays by role with the reference on the model's scale, its field of view, and what was done to it."""
    arrays = {role: array(volume) for role, volume in volumes.items()}
    field = arrays.pop("field", np.ones((), np.float32)) > 0
    notes = []
    if field.ndim:
        notes.append(
            "brought onto the prediction's grid (linear; the mask by nearest neighbour); the"
            f" {1 - field.mean():.1%} of the voxels that it does not reach are not scored"
        )
    if model and model.to == "mr" and "levels" not in volumes["reference"].meta:
        arrays["reference"], note = on_model_scale(arrays["reference"], field, model)
        notes.append(note)
    return arrays, field, notes


def _seams(images: Mapping[str, Volume], mask: Voxels, ends: Range) -> dict[str, float] | None:
    found = {name: seams(image, mask, ends) for name, image in images.items()}
    return {name: value for name, value in found.items() if value is not None} or None


def _slice_scores(
    planes: list[Scores], affine: npt.NDArray[np.float64] | None, blank: npt.NDArray[np.bool_]
) -> list[SliceScores]:
    """Scores of the slices that hold voxels of the mask and are not blank; position along their normal."""
    normal = np.zeros(3) if affine is None else np.cross(affine[:3, 0], affine[:3, 1])
    unit = normal / (np.linalg.norm(normal) or 1.0)
    return [
        SliceScores(
            index=index,
            position_mm=None if affine is None else float(unit @ (affine[:3, 2] * index + affine[:3, 3])),
            scores=plane,
        )
        for index, plane in enumerate(planes)
        if "mae" in plane and not blank[index]
    ]


def _unit(volumes: Sequence[MetaTensor], grey: bool, model: ModelInfo | None = None) -> str:
    """Unit of the first volume whose modality is known, else of what the model makes."""
    if grey:
        return "grey levels"
    known = [volume.meta.get("modality") for volume in volumes]
    modality = next((m for m in [*known, model and model.to] if m), None)
    return UNITS[modality] if modality else "units as stored"
