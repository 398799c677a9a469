"""Scores of a prepared pair, and what explains them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medtranslate.evaluation.baselines import SourceImage, baselines
from medtranslate.evaluation.beside import beside_head
from medtranslate.evaluation.comparison import Comparison
from medtranslate.evaluation.rules import warn_small, warn_windowed
from medtranslate.geometry import Floats, spacing
from medtranslate.metrics import (
    WHOLE_CT,
    Voxels,
    agreement,
    blank_slices,
    coverage,
    covers,
    histograms,
    seams,
)
from medtranslate.metrics import score as score_arrays
from medtranslate.records import Evaluation, Mask, Scores, SliceScores
from medtranslate.report import Pictures, Projections


def score(pair: Comparison) -> Evaluation:
    """Score the volume, its slices and what needs no translation."""
    rules, prediction, reference, mask = pair.rules, pair.prediction, pair.reference, pair.mask
    whole, planes = _scores(pair, mask)
    everywhere = np.ones_like(mask) if pair.field is None else mask | pair.field
    warnings = [*pair.warnings, *warn_small(whole, mask)]
    if pair.model is None and rules.data_range is None and not pair.picture:
        warnings += warn_windowed(prediction, reference)
    # Where the profile does not fix the mask, blank slices are not in it.
    blank = blank_slices([prediction, reference], pair.ends) & pair.fixed
    windowed = pair.unit == "HU" and pair.limits and not covers(pair.limits, WHOLE_CT)
    source = None
    if pair.source is not None:
        source = SourceImage(pair.source, pair.source_range, pair.shown)
    return Evaluation(
        profile=rules.profile,
        unit=pair.unit,
        volume=whole,
        data_range=pair.ends,
        data_range_rule=pair.ends_rule,
        clipped=pair.limits if windowed else None,
        slices=_slice_scores(planes, None if pair.picture else pair.affine, blank),
        baselines=baselines(
            reference,
            mask,
            pair.ends,
            source=source,
            mean_image=pair.arrays.get("mean_image"),
            profile=rules.profile,
            reversed_axes=pair.reversed_axes,
        ),
        unmasked=_scores(pair, everywhere)[0] if rules.unmasked else None,
        mask=Mask(rule=pair.mask_rule, share=float(mask.mean())),
        reference=pair.notes,
        suspicions=pair.suspicions,
        warnings=warnings,
    )


def explain(pair: Comparison, found: Evaluation, share: float | None = None) -> Evaluation:
    """Add how the prediction errs: agreement, histograms, seams, uncertainty.

    Args:
        share: of the errors that lie within the uncertainty, if its values are error limits.
    """
    prediction, reference, mask = pair.prediction, pair.reference, pair.mask
    images = {"prediction": prediction, "reference": reference}
    jumps = {name: seams(image, mask, pair.ends) for name, image in images.items()}
    known_jumps = {name: value for name, value in jumps.items() if value is not None}
    fit = None
    if "uncertainty" in pair.arrays:
        fit = coverage(pair.arrays["uncertainty"], np.abs(prediction - reference), mask, share)
    return replace(
        found,
        agreement=agreement(prediction, reference, mask),
        histograms=histograms(images, mask),
        seams=None if pair.picture else known_jumps or None,
        coverage=fit,
    )


def stray_ml(pair: Comparison) -> float:
    """Volume in ml of what a prediction shows beside the reference's head; 0 for pictures."""
    if pair.picture:
        return 0.0
    return beside_head(pair.prediction, pair.reference, pair.ends, list(spacing(pair.affine)))


def pictures(pair: Comparison, drawn: Projections | None = None) -> Pictures:
    """Take the arrays as they were scored, and projections of them, for drawing."""
    across, along, up = (float(length) for length in spacing(pair.affine))
    return Pictures(
        pair.prediction,
        pair.reference,
        pair.mask,
        pair.shown,
        (across, along, up),
        pair.source,
        pair.source_range,
        source_unit=pair.source_unit,
        unclipped=None if np.array_equal(pair.reference, pair.unclipped) else pair.unclipped,
        uncertainty=pair.arrays.get("uncertainty"),
        affine=None if pair.picture else pair.affine,
        projections=drawn,
    )


def _scores(pair: Comparison, mask: Voxels) -> tuple[Scores, list[Scores]]:
    return score_arrays(
        pair.prediction, pair.reference, mask, pair.ends, pair.rules.profile, pair.reversed_axes
    )


def _slice_scores(
    planes: list[Scores], affine: Floats | None, blank: npt.NDArray[np.bool_]
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
        if plane and not blank[index]
    ]
