"""Record of the scores of a cohort over its patients."""

from __future__ import annotations

from dataclasses import field

from pydantic.dataclasses import dataclass

from medtranslate.records.frozen import FROZEN


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Estimate:
    """Mean of a score over patients.

    Attributes:
        patients: number of patients that have the score.
        sd: standard deviation between patients (n - 1); None for one patient.
        interval: 95 % bootstrap interval of the mean; None for one patient.
    """

    patients: int
    mean: float
    sd: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Patients:
    """Scores over patients. A patient's value is the mean of the patient's pairs.

    Attributes:
        rule: how the patient of a pair is found; if this is unknown, what to do.
        subjects: patient of each pair, by the name of the pair; empty if unknown.
        scores: of the translations.
        baselines: likewise, by the name of the baseline.
        bias: mean difference, prediction minus reference, over patients.
        limits: limits of agreement between patients, bias -+ 1.96 standard deviations; None for one patient.
        columns: facts of the pairs, such as age or slice thickness, by column and pair. Missing values are
            absent.
        notes: columns and patients that are left out, and why.
    """

    rule: str
    subjects: dict[str, str] = field(default_factory=dict)
    scores: dict[str, Estimate] = field(default_factory=dict)
    baselines: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    bias: Estimate | None = None
    limits: tuple[float, float] | None = None
    columns: dict[str, dict[str, float | str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of patients."""
        return len(set(self.subjects.values()))
