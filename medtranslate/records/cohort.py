"""Records of the evaluation of several pairs, and of a cycle test."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from medtranslate.records.evaluation import Evaluation, Scores, Tissue
from medtranslate.records.frozen import FROZEN
from medtranslate.records.patients import Patients
from medtranslate.records.translation import ModelInfo


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Summary:
    """Results of several items, or of one, with their mean.

    Attributes:
        tissues: mean of each tissue's share, error and overlap over the items that have them.
    """

    schema: str
    items: list[Evaluation]
    mean: Scores
    baselines: dict[str, Scores] = field(default_factory=dict)
    unmasked: Scores | None = None
    tissues: dict[str, Tissue] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Cohort(Summary):
    """Results of a folder.

    Attributes:
        failed: reason for each pair that could not be scored, by name.
        patients: scores over patients; None if not computed.
    """

    schema: Literal["medtranslate/cohort/1"] = "medtranslate/cohort/1"
    failed: dict[str, str] = field(default_factory=dict)
    patients: Patients | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Cycle(Summary):
    """Record of a cycle test: from a modality to the other and back, compared with the original.

    Attributes:
        path: modalities on the way, the first and the last the same.
        model: of the way back.
        noise: on the intermediate image, as a share of its range.
        meaning: interpretation of the scores.
    """

    schema: Literal["medtranslate/cycle/1"] = "medtranslate/cycle/1"
    path: tuple[Literal["ct", "mr"], Literal["ct", "mr"], Literal["ct", "mr"]]
    model: ModelInfo
    noise: float = 0.0
    meaning: str = (
        "how much of the source comes back; no evidence that the intermediate image is right: a network that"
        " copies its input, or hides the source in faint patterns of the intermediate image, scores well too"
    )
