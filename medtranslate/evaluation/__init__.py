"""Pairs of a prediction and its reference to scores, in memory (`score_pair`) and as files (`evaluate`)."""

from __future__ import annotations

from medtranslate.evaluation.baselines import baselines, mean_image
from medtranslate.evaluation.files import evaluate
from medtranslate.evaluation.pair import score_pair

__all__ = ["baselines", "evaluate", "mean_image", "score_pair"]
