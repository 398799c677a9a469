"""Models that a run keeps beside its last one: at regular steps, and the best by a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from medtranslate.config import TrainSettings
from medtranslate.errors import SettingsError
from medtranslate.training.run_folder import keep_model
from medtranslate.training.state import State

KEPT = "kept"
"""Folder of kept models within a run."""

BEST = f"{KEPT}/best"


@dataclass(frozen=True)
class Score:
    """A score to keep the best model by.

    Attributes:
        columns: of validation.csv; their mean is the score.
        basis: images that it rests on, in words.
        sign: 1 where lower is better, -1 where higher is.
    """

    columns: tuple[str, ...]
    basis: str
    sign: int = 1


_TRUTH = "error against the truth of the validation pairs; lower is better"
_PHANTOM = "error on digital heads, not on patients; lower is better"

SCORES: dict[str, Score] = {
    "truth": Score(("truth_ct", "truth_mr"), _TRUTH),
    "truth_ct": Score(("truth_ct",), _TRUTH),
    "truth_mr": Score(("truth_mr",), _TRUTH),
    "phantom": Score(("phantom_ct", "phantom_mr"), _PHANTOM),
    "phantom_ct": Score(("phantom_ct",), _PHANTOM),
    "phantom_mr": Score(("phantom_mr",), _PHANTOM),
    "cycle": Score(
        ("cycle_ct", "cycle_mr"), "error of the way there and back, without a truth; lower is better"
    ),
    "likeness": Score(
        ("likeness_ct", "likeness_mr"), "likeness of grey values, without a truth; higher is better", sign=-1
    ),
}


def require_keepable(settings: TrainSettings) -> None:
    """Refuse settings by which no model can be kept.

    Raises:
        SettingsError: keep_every falls between validations, or keep_best needs a truth or digital heads
            that are not there.
    """
    if settings.keep_every and settings.keep_every % settings.every:
        raise SettingsError(
            f"train: keep_every is {settings.keep_every}, but models are validated every {settings.every}"
            " images (--every); give a multiple of it"
        )
    if (settings.keep_best or "").startswith("phantom") and settings.anatomy == "other":
        raise SettingsError(
            f"train: keep_best {settings.keep_best} is scored on digital heads, and anatomy is other; take"
            " truth, cycle or likeness"
        )
    if (settings.keep_best or "").startswith("truth") and not settings.val_paired:
        others = ", ".join(name for name in SCORES if not name.startswith("truth"))
        raise SettingsError(
            f"train: keep_best {settings.keep_best} needs a truth: --val-paired with --val-ct and --val-mr of"
            f" the same heads; without pairs take one of {others}"
        )


def keep_models(
    settings: TrainSettings, state: State, scores: Mapping[str, float], step: int, *, doubtful: bool
) -> None:
    """Keep the model of a validation where the settings ask for it.

    A model that shows a sign of failure is kept as the best only while no other is.

    Args:
        scores: of the validation.
        step: images of a step.
        doubtful: the validation shows a sign of failure.
    """
    if settings.keep_every and state.images % settings.keep_every < step:
        keep_model(settings, state, f"{KEPT}/{state.images:08d}", f"every {settings.keep_every} images")
    if settings.keep_best is None:
        return
    score = SCORES[settings.keep_best]
    value = fmean(scores[column] for column in score.columns)
    rank = (doubtful, score.sign * value)
    best = state.best if state.best.get("score") == settings.keep_best else {}
    if not best or rank < (best["doubtful"], best["rank"]):
        state.best = {
            "score": settings.keep_best,
            "doubtful": doubtful,
            "rank": rank[1],
            "images": state.images,
        }
        sign = ", with signs of failure" if doubtful else ""
        keep_model(
            settings, state, BEST, f"best {settings.keep_best} so far: {value:.4g}{sign} ({score.basis})"
        )
