"""What the evaluation of one pair produced: scores, and the views that explain them."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.dataclasses import dataclass

from medtranslate.records.translation import FROZEN, Source, Translation


def _without_none(values: object) -> object:
    """Leave out what older records hold as null."""
    return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


ScoreName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A key of `medtranslate.metrics.SCORES`, or of a package that was there when the record was written."""

Scores = Annotated[dict[ScoreName, float], BeforeValidator(_without_none)]
"""Scores of a volume or a slice by name; one that is not defined (empty mask, say) is absent."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class SliceScores:
    """Scores of one axial slice; in JSON they stand beside the other fields.

    Attributes:
        index: from the first slice of the axial stack.
        position_mm: along the stack's normal in RAS+ (None for pictures).
        scores: by name.
    """

    index: int
    position_mm: float | None = None
    scores: Scores = field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, values: Any) -> Any:
        """Gather the scores of a slice in JSON."""
        if not isinstance(values, dict) or "scores" in values:
            return values
        own = {key: values[key] for key in ("index", "position_mm") if key in values}
        return {**own, "scores": {key: value for key, value in values.items() if key not in own}}

    @model_serializer(mode="wrap")
    def _spread(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Put the scores beside the other fields."""
        plain: dict[str, Any] = dump(self)
        return {**plain.pop("scores"), **plain}


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
class Histograms:
    """How often values occur among the scored voxels.

    Attributes:
        edges: of the bins, ascending, in the result's unit; the last bin holds both its ends.
        counts: voxels in each bin, of `prediction` and `reference`.
        below: voxels under the first edge, of the same.
        above: voxels over the last edge.
    """

    edges: list[float]
    counts: dict[str, list[int]]
    below: dict[str, int]
    above: dict[str, int]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Coverage:
    """How a map of standard deviations fits the errors of the scored voxels.

    Attributes:
        within_1_sd: share of the voxels whose absolute error is at most one standard deviation.
        within_2_sd: likewise, two.
        expected: what both are for normal errors of just these deviations.
        mean_sd: mean of the map, in the result's unit.
        rms_ratio: root mean square of the errors over that of the deviations; 1 where their size is right.
        correlation: Spearman's, of deviation and absolute error; None where one of them does not vary.
    """

    within_1_sd: float
    within_2_sd: float
    expected: tuple[float, float] = (0.6827, 0.9545)
    mean_sd: float
    rms_ratio: float | None = None
    correlation: float | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Registration:
    """The rigid motion that brought a reference to the place of what was translated.

    Attributes:
        target: what the reference was moved to: the source where there is one, else the prediction.
        matrix: 4 x 4, row by row: a point of the target in RAS+ millimetres to the place in the
            reference, as its header has it, where the same anatomy was found.
        rotation_degrees: angle of the rotation about its own axis.
        translation_mm: how far the centre of the target's grid is moved.
        mutual_information: of target and reference in nats over the same samples: `before`, as the headers
            say (absent where nothing overlaps), and `after`.
        overlap: share of the target's voxels that the moved reference reaches.
        applied: whether the motion was used; without a gain in mutual information it is not, and the
            reference lies as its header says.
    """

    target: Literal["source", "prediction"]
    matrix: tuple[tuple[float, float, float, float], ...]
    rotation_degrees: float
    translation_mm: float
    mutual_information: dict[str, float]
    overlap: float
    applied: bool


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Provenance:
    """What was compared, and with what.

    Attributes:
        inputs: the files by role (`prediction`, `reference`, ...), with digest and geometry.
        versions: of medtranslate and the libraries that the numbers depend on.
    """

    inputs: dict[str, Source]
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Evaluation:
    """Scores of one prediction against its reference.

    Attributes:
        data_range: the range that PSNR and SSIM refer to, and `data_range_rule` where it is from.
        clipped: values of a CT that both images were clipped to before the MAE, too, was taken; None where
            they were not, or that is the whole range of CT.
        baselines: scores of doing nothing on the same voxels, by name.
        tissues: errors by tissue; only for CT in HU.
        unmasked: scores over every voxel, where these were asked for.
        reference: what was done to the reference before it was scored.
        histograms: of prediction and reference.
        seams: mean jump between neighbouring slices, |v(z-1) - 2 v(z) + v(z+1)| over the scored voxels as a
            share of `data_range`, of prediction and reference; None for pictures and fewer than 3 slices.
        coverage: how the uncertainty map that was given fits the errors.
        registration: the rigid motion of the reference, where one was asked for.
        provenance: of a result that was computed from files.
        suspicions: sentences on a prediction that may be in another unit, or leaves out part of the body.
    """

    schema: Literal["medtranslate/result/1"] = "medtranslate/result/1"
    profile: str
    unit: str
    volume: Scores
    name: str = ""
    data_range: tuple[float, float] | None = None
    data_range_rule: str | None = None
    clipped: tuple[float, float] | None = None
    slices: list[SliceScores] = field(default_factory=list)
    baselines: dict[str, Scores] = field(default_factory=dict)
    tissues: dict[str, Tissue] = field(default_factory=dict)
    agreement: Agreement | None = None
    unmasked: Scores | None = None
    mask: Mask | None = None
    reference: list[str] = field(default_factory=list)
    histograms: Histograms | None = None
    seams: dict[str, float] | None = None
    coverage: Coverage | None = None
    registration: Registration | None = None
    provenance: Provenance | None = None
    translation: Translation | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    suspicions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def worst_slices(result: Evaluation, count: int = 3) -> list[SliceScores]:
    """Find the slices with the highest MAE, worst first; none if there is nothing to choose from."""
    scored = [plane for plane in result.slices if "mae" in plane.scores]
    ranked = sorted(scored, key=lambda plane: plane.scores["mae"], reverse=True)
    return ranked[:count] if len(ranked) > count else []
