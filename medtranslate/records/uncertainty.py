"""The uncertainty of a translation."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from medtranslate.records.frozen import FROZEN

UNCALIBRATED = (
    "spread of the model's own posterior for this input; not the error of the translation, which can be"
    " large where the spread is small, and not calibrated"
)

ESTIMATED = (
    "error limit as the model estimates it, learnt on heads whose truth is known; not calibrated, and on"
    " other heads errors can be larger"
)

CALIBRATED = (
    "root mean square error of voxels with the same spread of samples, on heads whose truth is known; on"
    " other heads errors can be larger"
)

LIMITED = (
    "{share:.0%} of the errors of such voxels are at most as large as their limit, on heads whose truth is"
    " known; on other heads errors can be larger"
)
"""Meaning of an error limit; the others can be far larger, because errors have heavy tails."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Uncertainty:
    """Uncertainty of a translation.

    Attributes:
        samples: draws of z ~ q(z|x), each decoded; 0 for error limits that the network estimates.
        mean_std: mean of the map over the head, in `unit`: of the standard deviations of the draws, or
            calibrated to the errors on known heads.
        calibrated_on: those heads, in words; None without calibration.
        share: of the errors on these heads that lie within the map's values, which are error limits; without
            calibration the share that the network aims at; None for standard deviations.
        output: file of the map, if one was written.
        within: share of the scored voxels whose absolute error is at most the map's value; needs a reference.
        coverage: share with at most twice the map's value; needs a reference.
        correlation: Spearman's, of the map and the absolute error over the scored voxels; needs a reference.
    """

    samples: int
    seed: int
    unit: str
    mean_std: float | None = None
    calibrated_on: str | None = None
    share: float | None = None
    output: str | None = None
    within: float | None = None
    coverage: float | None = None
    correlation: float | None = None
    meaning: str = UNCALIBRATED

    @property
    def title(self) -> str:
        """Name of the map's values."""
        return f"{self.share:.0%} error limit" if self.share else "Standard deviation"

    @property
    def quantity(self) -> str:
        """Name of the quantity, for a map of it."""
        root_mean_square = self.calibrated_on and not self.share
        kind = "Calibrated standard deviation" if root_mean_square else self.title
        return f"{kind}, {self.samples} samples" if self.samples else kind
