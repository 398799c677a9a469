"""What a translation and an evaluation produced; every view and later command reads these.

Each is a frozen dataclass written as JSON with a schema name. `None` stands for "not measured" and
is left out of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from medtranslate.errors import Unreadable

_FROZEN = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Source:
    """Where a volume came from; no patient identity.

    Attributes:
        digest: SHA-256 of the pixel values and the geometry as they were read; None for a volume that
            was made in memory.
        shape: voxels along the array's axes.
        spacing_mm: voxel size along the array's axes.
        affine: array index to RAS+ millimetres, 4 x 4, row by row.
    """

    digest: str | None = None
    format: str | None = None
    modality: Literal["ct", "mr"] | None = None
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ModelInfo:
    """Which model made a translation, and what it can say.

    Attributes:
        output_range: lowest and highest value that a translation can hold, in `unit`.
        mr_percentile: percentile of a volume's foreground that stands for the upper end of an MR's output
            range; None for CT.
    """

    name: str
    sha256: str
    to: Literal["ct", "mr"]
    output_range: tuple[float, float]
    unit: str
    mr_percentile: float | None = None


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Derivation:
    """How a derived image came to be, which it has to declare, and how it is to be kept.

    Attributes:
        source: modality of the image that was translated.
        seed: of a random sample; None for the posterior mean.
        deidentify: take nothing over that identifies the patient (DICOM).
        compress: keep the pixels with lossless compression (DICOM).
    """

    model: ModelInfo
    source: Literal["ct", "mr"]
    seed: int | None = None
    deidentify: bool = False
    compress: bool = False


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Uncertainty:
    """How far samples of the model's posterior lie apart.

    Attributes:
        samples: draws of z ~ q(z|x), each decoded.
        mean_std: voxelwise standard deviation over the draws, averaged over the head, in `unit`.
        output: file of the standard deviations, if one was written.
        coverage: share of the scored voxels whose absolute error is at most two standard deviations;
            needs a reference.
        correlation: Spearman's, of standard deviation and absolute error over the scored voxels; likewise.
    """

    samples: int
    seed: int
    unit: str
    mean_std: float | None = None
    output: str | None = None
    coverage: float | None = None
    correlation: float | None = None
    meaning: str = (
        "spread of the model's own posterior for this input; not the error of the translation, which can be"
        " large where the spread is small, and not calibrated"
    )


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Translation:
    """One translated input.

    Attributes:
        saturated: share of source voxels in the frame that lay outside the model's input window.
        seams: mean absolute second difference along the axis, {"source": ..., "output": ...},
            each relative to its own range; None for pictures.
        uncertainty: None where no samples were drawn.
    """

    schema: Literal["medtranslate/translation/1"] = "medtranslate/translation/1"
    source: Source
    model: ModelInfo
    output: str
    saturated: float | None = None
    seams: dict[str, float] | None = None
    uncertainty: Uncertainty | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Conversion:
    """One converted input.

    Attributes:
        range: values that became black and white, where pictures were written of anything else.
    """

    schema: Literal["medtranslate/conversion/1"] = "medtranslate/conversion/1"
    source: Source
    output: str
    format: str
    range: tuple[float, float] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
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


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class SliceScores(Scores):
    """Scores of one axial slice.

    Attributes:
        index: from the first slice of the axial stack.
        position_mm: along the stack's normal in RAS+ (None for pictures).
    """

    index: int
    position_mm: float | None = None


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Mask:
    """Where scores were taken: `rule` in words, and the share of voxels inside."""

    rule: str
    share: float


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
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


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
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


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
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


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Summary:
    """Results of several items, or of one, with their mean."""

    schema: str
    items: list[Result]
    mean: Scores
    baselines: dict[str, Scores] = field(default_factory=dict)
    unmasked: Scores | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def worst_slices(result: Result, count: int = 3) -> list[SliceScores]:
    """The slices with the highest MAE, worst first; none where there is nothing to choose from."""
    ranked = sorted(result.slices, key=lambda plane: plane.mae or 0.0, reverse=True)
    return ranked[:count] if len(ranked) > count else []


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Cohort(Summary):
    """Results of a folder."""

    schema: Literal["medtranslate/cohort/1"] = "medtranslate/cohort/1"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Cycle(Summary):
    """A test of generation: from a modality to the other and back, scored against where it began.

    Attributes:
        path: modalities on the way, the first and the last the same.
        model: of the way back.
        noise: on the image between, as a share of its range.
        meaning: what the scores say and do not say.
    """

    schema: Literal["medtranslate/cycle/1"] = "medtranslate/cycle/1"
    path: tuple[Literal["ct", "mr"], Literal["ct", "mr"], Literal["ct", "mr"]]
    model: ModelInfo
    noise: float = 0.0
    meaning: str = (
        "how much of the source comes back; no evidence that the image between is right: a network that"
        " copies its input, or hides the source in faint patterns of the image between, scores well too"
    )


Record = Translation | Conversion | Result | Cohort | Cycle

R = TypeVar("R", Translation, Conversion, Result, Cohort, Cycle)


def to_json(result: Record) -> dict[str, Any]:
    """JSON-like values with the `None`s left out and infinity as the string "Infinity"."""
    plain: dict[str, Any] = json.loads(TypeAdapter(type(result)).dump_json(result, exclude_none=True))
    return plain


def write_result(result: Record, path: Path) -> None:
    """Write as JSON (UTF-8, two-space indent)."""
    path.write_text(json.dumps(to_json(result), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_result(kind: type[R], path: Path) -> R:
    """Read what `write_result` wrote.

    Raises:
        Unreadable: not JSON, or not of the schema of `kind`.
    """
    try:
        values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(kind).validate_python(values)
    except (OSError, ValueError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise Unreadable(f"{path}: not a {kind.__name__.lower()} of this version ({first})") from None
