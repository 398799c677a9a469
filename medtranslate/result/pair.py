"""What the evaluation of one pair produced: scores, and the views that explain them."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from medtranslate.result.translation import FROZEN, Translation


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Scores:
    """Scores of one volume or slice; `None` where a score is not defined (empty mask, say).

    Attributes:
        mae: in the result's unit.
        psnr: in dB; infinite for equal images.
        ssim: between -1 and 1.
        ms_ssim: between 0 and 1, in the place of `ssim` where a profile has several scales.
    """

    mae: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    ms_ssim: float | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class SliceScores(Scores):
    """Scores of one axial slice.

    Attributes:
        index: from the first slice of the axial stack.
        position_mm: along the stack's normal in RAS+ (None for pictures).
    """

    index: int
    position_mm: float | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Mask:
    """Where scores were taken: `rule` in words, and the share of voxels inside."""

    rule: str
    share: float


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Tissue:
    """Scores of the voxels whose reference lies in one range of HU.

    Attributes:
        range_hu: lower and upper HU; None for an open end.
        share: of the scored voxels that are of this tissue.
        mae: in HU; None where there is no such voxel, or it is not representable.
        dice: overlap of prediction and reference (bone only), between 0 and 1.
        representable: whether the prediction can hold every value of the tissue.
    """

    range_hu: tuple[float | None, float | None]
    share: float
    mae: float | None = None
    dice: float | None = None
    representable: bool = True


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Agreement:
    """Differences over the scored voxels, prediction minus reference, in the result's unit.

    Attributes:
        bias: their mean.
        limits: limits of agreement, bias -+ 1.96 standard deviations.
        wasserstein: first Wasserstein distance of the two histograms.
    """

    bias: float
    limits: tuple[float, float]
    wasserstein: float


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Result:
    """Scores of one prediction against its reference.

    Attributes:
        data_range: the range that PSNR and SSIM refer to, and `data_range_rule` where it is from.
        baselines: scores of doing nothing on the same voxels, by name.
        tissues: errors by tissue; only for CT in HU.
        unmasked: scores over every voxel, where these were asked for.
        reference: what was done to the reference before it was scored.
    """

    schema: Literal["medtranslate/result/1"] = "medtranslate/result/1"
    profile: str
    unit: str
    volume: Scores
    name: str = ""
    data_range: tuple[float, float] | None = None
    data_range_rule: str | None = None
    slices: list[SliceScores] = field(default_factory=list)
    baselines: dict[str, Scores] = field(default_factory=dict)
    tissues: dict[str, Tissue] = field(default_factory=dict)
    agreement: Agreement | None = None
    unmasked: Scores | None = None
    mask: Mask | None = None
    reference: list[str] = field(default_factory=list)
    translation: Translation | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def worst_slices(result: Result, count: int = 3) -> list[SliceScores]:
    """The slices with the highest MAE, worst first; none where there is nothing to choose from."""
    ranked = sorted(result.slices, key=lambda plane: plane.mae or 0.0, reverse=True)
    return ranked[:count] if len(ranked) > count else []
