"""Where and how a prediction errs, after its scores; and the arrays, to be drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medtranslate.evaluation.beside import beside_head
from medtranslate.evaluation.comparison import Comparison
from medtranslate.geometry import spacing
from medtranslate.metrics import agreement, coverage, histograms, seams, tissue_scores
from medtranslate.records import Evaluation
from medtranslate.report import Pictures


def explain(pair: Comparison, found: Evaluation) -> Evaluation:
    """Add where and how the prediction errs: tissues, agreement, histograms, seams, uncertainty."""
    prediction, reference, mask = pair.prediction, pair.reference, pair.mask
    images = {"prediction": prediction, "reference": reference}
    jumps = {name: seams(image, mask, pair.ends) for name, image in images.items()}
    known_jumps = {name: value for name, value in jumps.items() if value is not None}
    fit = None
    if "uncertainty" in pair.arrays:
        fit = coverage(pair.arrays["uncertainty"], np.abs(prediction - reference), mask)
    return replace(
        found,
        tissues=tissue_scores(prediction, pair.unclipped, mask, pair.limits) if pair.unit == "HU" else {},
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


def pictures(pair: Comparison) -> Pictures:
    """The arrays as they were scored, for drawing."""
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
        spread=pair.arrays.get("uncertainty"),
        affine=None if pair.picture else pair.affine,
    )
