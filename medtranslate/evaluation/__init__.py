"""Scores of pairs, in memory (`score_pair`) and from files (`evaluate`), and views of records (`render`).

These need no torch. `mean_image`, `cycle` and `translate_and_score` run networks, and are imported from the
modules of their names.
"""

from __future__ import annotations

from medtranslate.evaluation.baselines import SourceImage, baselines
from medtranslate.evaluation.evaluate import evaluate, evaluate_into
from medtranslate.evaluation.pair import score_pair
from medtranslate.evaluation.rerender import Rendered, render
from medtranslate.evaluation.rules import ScoringRules

__all__ = [
    "Rendered",
    "ScoringRules",
    "SourceImage",
    "baselines",
    "evaluate",
    "evaluate_into",
    "render",
    "score_pair",
]
