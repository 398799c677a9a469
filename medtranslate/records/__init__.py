"""Records of translations and evaluations, which views and later commands read.

Each is a frozen dataclass, written as JSON with a schema name. `None` means "not measured" and is left out of
the file.
"""

from __future__ import annotations

from medtranslate.records.batch import Batch, Outcome
from medtranslate.records.calibration import Calibration, CalibrationReport, CalibrationTest
from medtranslate.records.cohort import Cohort, Cycle, Summary
from medtranslate.records.evaluation import (
    Agreement,
    Coverage,
    Evaluation,
    Histograms,
    Mask,
    Provenance,
    Registration,
    Scores,
    SliceScores,
    Tissue,
    worst_slices,
)
from medtranslate.records.json_files import Record, from_json, read_result, to_json, write_result
from medtranslate.records.translation import (
    CALIBRATED,
    NO_HEAD,
    UNCALIBRATED,
    WINDOWED,
    Conversion,
    Derivation,
    Finished,
    GateVerdict,
    ModelInfo,
    Plausibility,
    Source,
    Translation,
    Uncertainty,
)

__all__ = [
    "CALIBRATED",
    "NO_HEAD",
    "UNCALIBRATED",
    "WINDOWED",
    "Agreement",
    "Batch",
    "Calibration",
    "CalibrationReport",
    "CalibrationTest",
    "Cohort",
    "Conversion",
    "Coverage",
    "Cycle",
    "Derivation",
    "Evaluation",
    "Finished",
    "GateVerdict",
    "Histograms",
    "Mask",
    "ModelInfo",
    "Outcome",
    "Plausibility",
    "Provenance",
    "Record",
    "Registration",
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
