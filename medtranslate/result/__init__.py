"""What a translation and an evaluation produced; every view and later command reads these.

Each is a frozen dataclass written as JSON with a schema name. `None` stands for "not measured" and
is left out of the file.
"""

from __future__ import annotations

from medtranslate.result.batch import Batch, Outcome
from medtranslate.result.files import Record, from_json, read_result, to_json, write_result
from medtranslate.result.pair import (
    Agreement,
    Coverage,
    Histograms,
    Mask,
    Provenance,
    Registration,
    Result,
    Scores,
    SliceScores,
    Tissue,
    worst_slices,
)
from medtranslate.result.several import Cohort, Cycle, Summary
from medtranslate.result.translation import (
    CALIBRATED,
    UNCALIBRATED,
    WINDOWED,
    Conversion,
    Derivation,
    Finished,
    Gate,
    ModelInfo,
    Plausibility,
    Source,
    Translation,
    Uncertainty,
)

__all__ = [
    "CALIBRATED",
    "UNCALIBRATED",
    "WINDOWED",
    "Agreement",
    "Batch",
    "Cohort",
    "Conversion",
    "Coverage",
    "Cycle",
    "Derivation",
    "Finished",
    "Gate",
    "Histograms",
    "Mask",
    "ModelInfo",
    "Outcome",
    "Plausibility",
    "Provenance",
    "Record",
    "Registration",
    "Result",
    "Scores",
    "SliceScores",
    "Source",
    "Summary",
    "Tissue",
    "Translation",
    "Uncertainty",
    "from_json",
    "read_result",
    "to_json",
    "worst_slices",
    "write_result",
]
