"""What a translation and a conversion produced."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

FROZEN = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


@dataclass(frozen=True, kw_only=True, config=FROZEN)
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


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ModelInfo:
    """Which model made a translation, and what it can say.

    Attributes:
        output_range: lowest and highest value that a translation can hold, in `unit`.
        mr_percentile: percentile of a volume's foreground that stands for the upper end of an MR's output
            range; None for CT.
        summary: what its card says of it in one line, such as what it was trained on and is not fit for.
    """

    name: str
    sha256: str
    to: Literal["ct", "mr"]
    output_range: tuple[float, float]
    unit: str
    mr_percentile: float | None = None
    summary: str | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Derivation:
    """How a derived image came to be, which it has to declare, and how it is to be kept.

    Attributes:
        source: modality of the image that was translated.
        seed: of a random sample; None for the posterior mean.
        deidentify: take nothing over that identifies the patient (DICOM).
        compress: keep the pixels with lossless compression (DICOM).
        burned_in: words that say what the image is stand in its pixels (DICOM has to declare it).
        uncertainty: the values are standard deviations of the translation, not the translation.
        doubts: reasons to doubt the translation, which headers name.
    """

    model: ModelInfo
    source: Literal["ct", "mr"]
    seed: int | None = None
    deidentify: bool = False
    compress: bool = False
    burned_in: bool = False
    uncertainty: bool = False
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class GateVerdict:
    """Whether an input is what the model knows; none where the model has no gate.

    Attributes:
        looks_like: what its slices show most: ct, mr (axial heads of these), turned, view (a head cut in
            another plane), other.
        scores: medians over the slices that were judged. Of each other kind ln(p / p(kind)), p of what it was
            offered as; `turned` is that less the same of the slice turned at best. And `distance`: the
            Mahalanobis distance of the latent from those of training, over the root of its length.
        limits: from where each score is warned of, and refused: lower for the kinds, higher for `distance`.
        slices: that were judged.
        reasons: of a warning or a refusal, with numbers.
        forced: it was refused, and translated all the same because --force was given.
    """

    verdict: Literal["pass", "warn", "refuse", "none"]
    looks_like: str | None = None
    scores: dict[str, float] | None = None
    limits: dict[str, tuple[float, float]] | None = None
    slices: int | None = None
    reasons: list[str] = field(default_factory=list)
    forced: bool = False


UNCALIBRATED = (
    "spread of the model's own posterior for this input; not the error of the translation, which can be"
    " large where the spread is small, and not calibrated"
)

WINDOWED = "windowed, not for dose"
"""What is said of every CT of a model that does not reach from air to bone."""

CALIBRATED = (
    "root mean square error of voxels whose samples lie as far apart, on heads whose truth is known; on heads"
    " unlike those errors can be larger"
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Uncertainty:
    """How far off the model takes its translation to be.

    Attributes:
        samples: draws of z ~ q(z|x), each decoded.
        mean_std: voxelwise standard deviation, averaged over the head, in `unit`: over the draws, or
            brought to the errors of known heads where the model is calibrated.
        calibrated_on: those heads, in words; None for the deviation over the draws as it is.
        output: file of the standard deviations, if one was written.
        coverage: share of the scored voxels whose absolute error is at most two standard deviations;
            needs a reference.
        correlation: Spearman's, of standard deviation and absolute error over the scored voxels; likewise.
    """

    samples: int
    seed: int
    unit: str
    mean_std: float | None = None
    calibrated_on: str | None = None
    output: str | None = None
    coverage: float | None = None
    correlation: float | None = None
    meaning: str = UNCALIBRATED

    @property
    def quantity(self) -> str:
        """What a map of it shows, in a few words."""
        kind = "Calibrated standard deviation" if self.calibrated_on else "Standard deviation"
        return f"{kind}, {self.samples} samples"


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Plausibility:
    """Signs that a translation shows what no head has, measured without a truth.

    What needs a CT is None for an MR; what needs a volume is None for a picture.

    Attributes:
        air_ml: visible volume that the network drew outside the source's head and that became air.
        bone_outside_ml: bone outside the source's head and its rim.
        bone_inside_ml: bone within the skull that joins no skull; of a picture its area, bone_inside_cm2.
        fluid: mean of the fluid within the skull, found where it stands out in the source, in HU.
        brain: median of what else lies there, likewise.
        black: share of the brain's voxels at the lower end of the model's range.
        closed: share of the skull's ring that bone closes, over the slices through the brain.
        doubts: each value past its limit, in a sentence with its number and the limit.
    """

    air_ml: float | None = None
    bone_outside_ml: float | None = None
    bone_inside_ml: float | None = None
    bone_inside_cm2: float | None = None
    fluid: float | None = None
    brain: float | None = None
    black: float | None = None
    closed: float | None = None
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Finished:
    """By what a batch knows an output again, so that it is not made twice.

    Attributes:
        key: SHA-256 of all that the output depends on: the input's files, the model, the settings.
        sha256: of the output's files.
    """

    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Translation:
    """One translated input.

    Attributes:
        gate: what the model's input gate said of the source; None in records without one.
        plausibility: what the translation itself says against it; None in records without one.
        saturated: share of source voxels in the frame that lay outside the model's input window.
        seams: mean absolute second difference along the axis, {"source": ..., "output": ...},
            each relative to its own range; None for pictures.
        uncertainty: None where no samples were drawn.
        precision: arithmetic of the network's convolutions.
        seconds: that the network and what is around it took, without reading and writing.
        finished: of one of a batch.
    """

    schema: Literal["medtranslate/translation/1"] = "medtranslate/translation/1"
    source: Source
    model: ModelInfo
    output: str
    gate: GateVerdict | None = None
    plausibility: Plausibility | None = None
    saturated: float | None = None
    seams: dict[str, float] | None = None
    uncertainty: Uncertainty | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    finished: Finished | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def doubts(self) -> list[str]:
        """Reasons to doubt the translation: the gate's of its source, then its own. It is doubtful if any."""
        gate = self.gate.reasons if self.gate and self.gate.verdict in ("warn", "refuse") else []
        return [*gate, *(self.plausibility.doubts if self.plausibility else [])]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
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
