"""Scores of pairs (`score_pair`, `evaluate`), of round trips (`cycle`), of fresh translations.

`translate_and_score` makes and scores a translation at once.
"""

from __future__ import annotations

from medtranslate.evaluation.baselines import baselines, mean_image
from medtranslate.evaluation.cycle import cycle, cycle_volume
from medtranslate.evaluation.evaluate import evaluate, evaluate_into
from medtranslate.evaluation.pair import score_pair
from medtranslate.evaluation.rerender import Rendered, render
from medtranslate.evaluation.translate_and_score import translate_and_score

__all__ = [
    "Rendered",
    "baselines",
    "cycle",
    "cycle_volume",
    "evaluate",
    "evaluate_into",
    "mean_image",
    "render",
    "score_pair",
    "translate_and_score",
]
