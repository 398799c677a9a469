"""Record of the evaluation of one pair: scores, and the measures that explain them."""

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

from medtranslate.records.anatomy import Anatomy, Beam, Densities, PathLength
from medtranslate.records.frozen import FROZEN
from medtranslate.records.translation import Source, Translation


def _without_none(values: object) -> object:
    """Leave out null values."""
    return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


ScoreName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""Key of `medtranslate.metrics.SCORES`; a package that was installed at the time may have added it."""

Scores = Annotated[dict[ScoreName, float], BeforeValidator(_without_none)]
"""Scores of a volume or a slice by name; undefined ones, as of an empty mask, are absent."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class SliceScores:
    """Scores of one axial slice; in JSON they are beside the other fields.

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
    """Mask of the scores: `rule` in words, and the share of voxels inside."""

    rule: str
    share: float


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Tissue:
    """Scores of the voxels whose reference lies in one range of HU.

    Attributes:
        range_hu: lower and upper HU; None for an open end.
        share: of the scored voxels that are of this tissue.
        mae: mean absolute error in HU; None without such voxels, or if it is not representable.
        me: mean error, prediction minus reference, in HU.
        rmse: root mean square error in HU.
        dice: overlap of prediction and reference (bone only), between 0 and 1.
        representable: the prediction can have every value of the tissue.
        saturated: values beyond the model's range count as its end, in prediction and reference.
    """

    range_hu: tuple[float | None, float | None]
    share: float
    mae: float | None = None
    me: float | None = None
    rmse: float | None = None
    dice: float | None = None
    representable: bool = True
    saturated: bool = False


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Agreement:
    """Differences over the scored voxels, prediction minus reference, in the result's unit.

    Attributes:
        bias: their mean.
        limits: limits of agreement, bias -+ 1.96 standard deviations.
        wasserstein: first Wasserstein distance of the two histograms.
        reference_mean: mean of the reference.
    """

    bias: float
    limits: tuple[float, float]
    wasserstein: float
    reference_mean: float | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Histograms:
    """Histograms of the scored voxels.

    Attributes:
        edges: of the bins, ascending, in the result's unit; the last bin holds both its ends.
        counts: voxels in each bin, of `prediction` and `reference`.
        below: voxels below the first edge.
        above: voxels above the last edge.
    """

    edges: list[float]
    counts: dict[str, list[int]]
    below: dict[str, int]
    above: dict[str, int]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Coverage:
    """Comparison of a map of standard deviations, or of error limits, with the errors of the scored voxels.

    Attributes:
        share: of the errors that lie within error limits, if they are right; None for standard deviations.
        within_1_sd: share of the voxels whose absolute error is at most the map's value.
        within_2_sd: share with at most twice the map's value.
        expected: both shares for normal errors, if the map is right.
        mean_sd: mean of the map, in the result's unit.
        rms_ratio: root mean square of the errors over that of the map; 1 is right for standard deviations.
        correlation: Spearman's, of the map and the absolute error; None if one of them is constant.
    """

    share: float | None = None

    within_1_sd: float
    within_2_sd: float
    expected: tuple[float, float] = (0.6827, 0.9545)
    mean_sd: float
    rms_ratio: float | None = None
    correlation: float | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Registration:
    """Rigid motion of a reference to the place of the source or the prediction.

    Attributes:
        target: image to which the reference was moved: the source if given, else the prediction.
        matrix: 4 x 4, row by row: from a point of the target in RAS+ millimetres to the same anatomy in the
            reference, at the place of its header.
        rotation_degrees: angle of the rotation about its own axis.
        translation_mm: motion of the centre of the target's grid.
        mutual_information: of target and reference in nats over the same samples: `before`, by the headers
            (absent without overlap), and `after`.
        overlap: share of the target's voxels inside the moved reference.
        applied: False without a gain in mutual information; the reference then keeps its place.
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
    """Inputs and software of an evaluation.

    Attributes:
        inputs: the files by role (`prediction`, `reference`, ...), with digest and geometry.
        versions: of medtranslate and of the libraries that affect the numbers.
    """

    inputs: dict[str, Source]
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Evaluation:
    """Scores of one prediction against its reference.

    Attributes:
        data_range: range of PSNR and SSIM, and `data_range_rule` its origin.
        clipped: range to which both images were clipped before all scores; None without clipping, or for the
            whole range of CT.
        baselines: scores without a translation, on the same voxels, by name.
        tissues: errors by tissue; only for CT in HU.
        anatomy: structures of the head in both images; only for CT in HU.
        paths: water-equivalent path lengths by beam; only where the prediction has HU from air to bone.
        densities: table of the path lengths.
        unmeasured: reason for each measure of CT that is missing, by its name.
        unmasked: scores over every voxel, on request.
        reference: preparation of the reference before the scores, in sentences.
        histograms: of prediction and reference.
        seams: mean jump between neighbouring slices, |v(z-1) - 2 v(z) + v(z+1)| over the scored voxels as a
            share of `data_range`, of prediction and reference; None for pictures and fewer than 3 slices.
        coverage: comparison of a given uncertainty map with the errors.
        registration: rigid motion of the reference, on request.
        provenance: of a result computed from files.
        suspicions: sentences on a prediction that may have another unit, or lacks a part of the body.
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
    anatomy: Anatomy | None = None
    paths: dict[Beam, PathLength] = field(default_factory=dict)
    densities: Densities | None = None
    unmeasured: dict[str, str] = field(default_factory=dict)
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
