"""Records of a translation and of a conversion."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from medtranslate.config import Contrast, Planes
from medtranslate.records.frozen import FROZEN
from medtranslate.records.uncertainty import Uncertainty


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Source:
    """Origin of a volume, without a patient's identity.

    Attributes:
        digest: SHA-256 of the pixel values and the geometry as read; None for a volume made in memory.
        shape: voxels along the array's axes.
        spacing_mm: voxel size along the array's axes.
        affine: array index to RAS+ millimetres, 4 x 4, row by row.
        description: SeriesDescription of a DICOM source, if all its words are terms of acquisitions.
    """

    digest: str | None = None
    format: str | None = None
    modality: Literal["ct", "mr"] | None = None
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: tuple[tuple[float, float, float, float], ...]
    description: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ModelInfo:
    """Model of a translation, and the range of its output.

    Attributes:
        output_range: lowest and highest possible value of a translation, in `unit`.
        mr_percentile: percentile of a volume's foreground at the upper end of an MR's output range; None for
            CT.
        summary: one line of its card, such as its training data and limits of use.
        anatomy: shown by its training images.
        contrast: of the MR, as it was asked for; None for CT, for a model that has no choice, and for the
            contrast of another MR.
        brightness: of the tissues in that other MR, as `SeenContrast` has it.
    """

    name: str
    sha256: str
    to: Literal["ct", "mr"]
    output_range: tuple[float, float]
    unit: str
    mr_percentile: float | None = None
    summary: str | None = None
    # Not in the repr, from which the UIDs of derived series follow.
    anatomy: Literal["head", "other"] = field(default="head", repr=False)
    contrast: Literal["t1", "t1c", "t2", "flair", "pd"] | None = field(default=None, repr=False)
    brightness: dict[str, float] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Derivation:
    """Origin of a derived image, which its header declares, and options of writing.

    Attributes:
        source: modality of the translated image.
        seed: of a random sample; None for the posterior mean.
        deidentify: copy nothing that identifies the patient (DICOM).
        compress: keep the pixels with lossless compression (DICOM).
        burned_in: the pixels contain words, which DICOM has to declare.
        uncertainty: the values are the uncertainty of the translation, not the translation.
        doubts: reasons to doubt the translation, for headers.
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
    """Verdict of the input gate on a source; none for a model without a gate.

    Attributes:
        looks_like: most likely kind of its slices: ct, mr (axial heads), turned, view (a head cut in another
            plane), other.
        scores: medians over the judged slices. For each other kind, ln(p(declared) / p(kind)). For `turned`,
            that ratio minus its best value over rotations by 90, 180 and 270 degrees. `distance` is the
            Mahalanobis distance of the latent from those of the training slices, divided by the root of its
            length.
        limits: of warning and of refusal for each score; lower ones for the kinds, upper for `distance`.
        slices: number of judged slices.
        reasons: of a warning or a refusal, with numbers.
        forced: --force overrode a refusal.
    """

    verdict: Literal["pass", "warn", "refuse", "none"]
    looks_like: str | None = None
    scores: dict[str, float] | None = None
    limits: dict[str, tuple[float, float]] | None = None
    slices: int | None = None
    reasons: list[str] = field(default_factory=list)
    forced: bool = False


NO_HEAD = (
    "the model is not of heads: nothing outside the body was set to air, and the plausibility of the"
    " translation was not measured"
)
"""Warning of every translation by a model of another anatomy."""

SYNTHETIC = (
    "the source is synthetic itself, so the translation shows what a model has made, not what was measured"
)
"""Warning of a translation of a file that says so."""

OTHER_WINDOW = (
    "the CT picture seems to have another window: with black at {:g} HU and white at {:g} HU, its brain and"
    " fluid are not those of a head; give --window LEVEL WIDTH, often 40 80"
)
"""Warning of an MR that is made of a CT picture."""

WINDOWED = "windowed, not for dose"
"""Warning of every CT of a model whose range does not reach from air to bone."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Plausibility:
    """Measures of implausible anatomy in a translation, without a reference.

    Measures of CT are None for an MR; measures of volumes are None for a picture.

    Attributes:
        air_ml: visible volume outside the source's head that was set to air.
        bone_outside_ml: bone outside the source's head and its rim.
        bone_inside_ml: bone within the skull that is not connected to it; bone_inside_cm2 is its area in a
            picture.
        fluid: mean HU of the fluid within the skull; it is found in the source.
        brain: median HU of the rest of the brain.
        black: share of the brain's voxels at the lower end of the model's range.
        closed: share of the directions with a skull, over the slices through the brain.
        doubts: a sentence for each value beyond its limit, with number and limit.
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
class SeenContrast:
    """Contrast of an MR, measured in the tissues that its translated CT shows.

    Attributes:
        nearest: the most likely sequence.
        second: sequence that is nearly as likely; None if the nearest is sure enough.
        likelihood: of the nearest, where T1 and FLAIR are compared.
        brightness: of each tissue, from -1 (black) to 1 (as the brightest one). Brain and fat are as bright
            as their voxels, if there are enough; the others are in proportion, as the model sees them.
    """

    nearest: Contrast
    second: Contrast | None = None
    likelihood: float | None = None
    brightness: dict[str, float]

    @property
    def words(self) -> str:
        """Name of the contrast, or of the two that it may be."""
        names = {"t1c": "T1 after contrast agent"}
        known = [self.nearest, *([self.second] if self.second else [])]
        return " or ".join(names.get(name, name.upper()) for name in known)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Finished:
    """Digests that identify a finished output, so that a batch does not repeat it.

    Attributes:
        key: SHA-256 of the input's files, the model and the settings.
        sha256: of the output's files.
    """

    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Translation:
    """Record of a translation.

    Attributes:
        gate: verdict of the model's input gate on the source; None if not recorded.
        plausibility: measures of implausible anatomy; None if not recorded, or if the model is not of heads.
        saturated: share of source voxels in the frame outside the model's input window.
        window: HU that are black and white in the CT picture that was read or written; None for volumes.
        seams: mean absolute second difference along the axis, {"source": ..., "output": ...}, each relative
            to its own range, and "unsmoothed", that of an output before its slices were smoothed along the
            axis; None for pictures.
        contrast: of an MR that was translated; None for a CT, and for a model that does not see it.
        uncertainty: None without samples.
        planes: in which slices were translated: 1, axial ones alone, or 3; None if not recorded.
        precision: arithmetic of the network's convolutions.
        seconds: of network and framing, without reading and writing.
        finished: of an item of a batch.
    """

    schema: Literal["medtranslate/translation/1"] = "medtranslate/translation/1"
    source: Source
    model: ModelInfo
    output: str
    gate: GateVerdict | None = None
    plausibility: Plausibility | None = None
    saturated: float | None = None
    window: tuple[float, float] | None = None
    seams: dict[str, float] | None = None
    contrast: SeenContrast | None = None
    uncertainty: Uncertainty | None = None
    planes: Planes | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    finished: Finished | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def way(self) -> str:
        """How the slices were translated, in words."""
        return "slice by slice in three planes" if self.planes == 3 else "slice by slice"

    @property
    def doubts(self) -> list[str]:
        """Reasons to doubt the translation: those of the gate, then implausible anatomy; empty if none."""
        gate = self.gate.reasons if self.gate and self.gate.verdict in ("warn", "refuse") else []
        return [*gate, *(self.plausibility.doubts if self.plausibility else [])]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Conversion:
    """Record of a conversion.

    Attributes:
        range: values of black and white, if pictures were written of a volume.
    """

    schema: Literal["medtranslate/conversion/1"] = "medtranslate/conversion/1"
    source: Source
    output: str
    format: str
    range: tuple[float, float] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
