"""Settings of `train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from medtranslate.config.names import OtherLossName
from medtranslate.config.network import NetworkSettings, ScaleSettings
from medtranslate.config.types import (
    FROZEN,
    Anatomy,
    Device,
    Fraction,
    Modality,
    ModelName,
    NanTo,
    PictureHU,
    Positive,
    Precision,
    Rare,
    Seed,
    StreamContrast,
    Weight,
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class LossSettings:
    """Weights of the terms of the objective (`medtranslate.losses`); a term of weight 0 is left out."""

    adversarial: Rare[Weight] = 0.1
    """Least-squares adversarial loss, mean over the heads."""
    cycle: Rare[Weight] = 0.5
    """L1 between a slice and its translation there and back."""
    identity: Rare[Weight] = 0.0
    """L1 between a slice and its translation into its own modality."""
    kl: Rare[Weight] = 0.01
    """KL(q(z|x) || N(0, I)) per latent element."""
    structure: Rare[Weight] = 0.0
    """Difference of the MIND descriptors of source and translation."""
    anchor: Weight = 10.0
    """L1 on slices whose true translation is known; 0 trains without them."""
    edges: Rare[Weight] = 0.0
    """L1 between the differences of neighbouring pixels, on the same slices."""
    contrast: Rare[Weight] = 0.0
    """L1 between the tissues' brightness and what the generator of CT sees of it (`network.seen`)."""
    agreement: Rare[Weight] = 0.0
    """L1 between the CT of an unpaired MR and of the same MR as other scanners show it."""
    limit: Rare[Weight] = 0.0
    """Error limits (`network.limits`) against the errors on the same slices; it changes no translation."""
    warmup: Rare[Fraction] = 0.1
    """Share of the run over which cycle, identity and KL grow from zero to their weight."""
    others: dict[OtherLossName, Weight] = field(default_factory=dict)
    """Weights of losses that other packages add, by name."""

    @property
    def needs_truth(self) -> bool:
        """True if slices are needed whose true translation is known."""
        return self.anchor > 0 or self.limit > 0

    def weight(self, name: str) -> float:
        """Return the weight of a loss, 0 for one that is left out."""
        return float(self.others.get(name, getattr(self, name, 0.0)))


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class AugmentSettings:
    """Augmentation: the copy that is added to each sample, and what is varied in it."""

    copy_each: Rare[bool] = True
    """Show every sample twice: as it is, and augmented."""
    degrees: Rare[float] = 10.0
    """Largest rotation in plane, in degrees."""
    scale: Rare[Fraction] = 0.1
    """Largest relative change of size."""
    shift: Rare[Fraction] = 0.04
    """Largest shift, as a fraction of the frame."""
    distant: Rare[Fraction] = 0.1
    """Share of the copies that are shown 1.5 to 5 times smaller, as slices near the vertex are in the frame
    of a whole volume; a network that never saw these fills the empty frame."""
    mr_gamma: Rare[Fraction] = 0.3
    """Largest |log gamma| of the MR contrast."""
    mr_look: Rare[Fraction] = 0.0
    """How differently coils and screens show the anchor's MR: shading, window, gamma and resolution; 1 for
    all that pictures of patients have."""
    ct_blur: Rare[Annotated[float, Field(ge=0, le=8)]] = 0.0
    """Largest sigma, in pixels of 256, of the blur of half of the anchor's CT when it is translated."""
    ct_noise: Rare[Annotated[float, Field(ge=0, le=100)]] = 0.0
    """Largest standard deviation in HU of noise that is added to the anchor's CT when it is translated."""
    ct_shading: Rare[Annotated[float, Field(ge=0, le=100)]] = 0.0
    """Largest error in HU of the anchor's CT when it is translated: of a slice, and once more of its places,
    as beam hardening and calibration cause."""
    ct_narrow: Rare[Fraction] = 0.0
    """Largest |log| by which the known window of half of the pictures is narrower than the scale's."""
    ct_window: Rare[Fraction] = 0.0
    """Largest |log| change of the width of the anchor's CT window, and largest change of its level as a
    share of the width; for pictures, whose window is often unknown."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class AnchorWeights:
    """What an error of the anchor counts, by tissue: what fills few pixels is learnt late or never."""

    bone: Rare[Weight] = 1.0
    """Times that an error in bone counts, from 91 HU on."""
    fluid: Rare[Weight] = 1.0
    """Times that an error in fluid counts, from -5 to 18 HU."""
    air: Rare[Weight] = 1.0
    """Times that an error counts in air within the head, which looks like bone in MR."""
    lesion: Rare[Weight] = 1.0
    """Times that an error counts in the lesions of phantoms, and in deep nuclei, which look like blood."""


ScoreName = Literal[
    "truth", "truth_ct", "truth_mr", "phantom", "phantom_ct", "phantom_mr", "cycle", "likeness"
]
"""Scores of a validation that the best model may be kept by (`medtranslate.training.keep.SCORES`)."""

_NAMED = ConfigDict(**FROZEN, validate_by_name=True, validate_by_alias=True)


@dataclass(frozen=True, kw_only=True, config=_NAMED)
class TrainSettings:
    """Settings of `train`."""

    ct: str
    """Training CT: a file; a folder of pictures, volumes or DICOM; a CSV; or `phantom:FIRST-LAST` (seeds)."""
    mr: str
    """Training MR, likewise; pairs are not needed."""
    out: Path
    """Folder of the run: settings, log.csv, pictures, checkpoint, model."""
    val_ct: str | None = None
    """CT for validation, of other subjects (default: none)."""
    val_mr: str | None = None
    """MR for validation, of other subjects (default: none)."""
    anatomy: Anatomy = "head"
    """Anatomy of the images: head, or other. With other no digital heads are used, and whole slices are
    framed (docs/anatomy.md)."""
    val_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training images to hold back for validation, by whole groups, without val_ct or val_mr."""
    groups: Path | None = None
    """CSV `file,group` with the subject of each image (default: a CSV's subject, DICOM's patient)."""
    nan_to: Rare[NanTo | None] = None
    """Value for voxels that are NaN, as SPM and ANTs leave outside the field of view: a number, or air
    (-1024 HU in CT, 0 in MR); without it such images are refused."""
    picture_hu: Rare[PictureHU | None] = None
    """Slope and offset from grey values of CT pictures to HU, such as 1 -1024 for pictures of HU + 1024
    (default: black to white is `scale.ct_window`)."""
    cache: Path | None = None
    """Folder that keeps the framed slices for later runs and other processes (default: none)."""
    name: ModelName = "unnamed"
    """Name of the model, in its card and in every result."""
    notes: str = ""
    """Purpose and data of the model, for its card."""
    images: Positive = 40_000
    """Length of the run: images shown per modality, augmented copies counted."""
    batch: Positive = 8
    """Images per modality and step in each process, augmented copies counted."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Peak learning rate of the generators; constant, then linear to zero over the last part."""
    discriminator_rate: Rare[Annotated[float, Field(gt=0)]] = 2e-4
    """Peak learning rate of the discriminators."""
    decay: Rare[Fraction] = 0.5
    """Share of the run, at its end, over which the learning rates fall to zero."""
    ema: Rare[Annotated[float, Field(ge=0, lt=1)]] = 0.998
    """Decay of the moving average of the generators' weights, which becomes the model; lower in the first
    steps of a run."""
    pool: Rare[Annotated[int, Field(ge=0)]] = 50
    """Number of past translations that the discriminators see again."""
    cycle_noise: Rare[Weight] = 0.02
    """Noise on the intermediate image of a cycle, so that the source can't be hidden in it."""
    anchor_share: Rare[Weight] = 1.0
    """Anchor slices (those whose true translation is known) per unpaired slice in a step."""
    anchor_contrast: Rare[StreamContrast] = "both"
    """Contrast of the phantom MR that is translated: a sequence, any of them, random, or both."""
    anchor_rendered: Rare[Fraction] = 0.5
    """Share of the anchor slices that are training CT with an MR rendered from it; the rest are phantoms."""
    anchor_kept: Rare[Annotated[int, Field(ge=0)]] = 0
    """Number of anchor slices to make once and show again, moved and bent each time; 0 makes new ones for
    each step. They take 6 bytes a pixel of temporary disk or memory."""
    anchor_lesions: Rare[bool] = True
    """Draw lesions in the anchor's phantom heads."""
    anchor_skull_base: Rare[bool] = True
    """Draw the skull base, orbits and sinuses of the anchor's phantom heads."""
    anchor_labels: Rare[Path | None] = None
    """Folder of label maps of heads; anchor slices are cut from them too (docs/data.md; default: none)."""
    anchor_labelled: Rare[Fraction] = 0.5
    """Share of the anchor's phantoms that are cut from label maps, where there are some."""
    smaller: Rare[tuple[Annotated[int, Field(ge=32, multiple_of=16)], ...]] = ()
    """Sides of the slices in the first nine tenths of the run, in equal parts, as 64 128, which cost a
    fraction of the work; what was learnt fits the next larger size in part (default: none)."""
    phantom_contrast: StreamContrast = "t1"
    """Contrast of the translated phantom MR, and of MR slices that come from `phantom:`."""
    unpaired: Rare[bool] = True
    """Train on the unpaired images; without them only the anchor trains."""
    only: Rare[Modality | None] = None
    """Train the translation to this modality alone (ct or mr), by the anchor; the other stays as it is."""
    seed: Seed = 0
    """Seed of everything random."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    devices: Positive = 1
    """Processes on this machine, each on a device of its own (or a share of the CPU's cores)."""
    nodes: Rare[Positive] = 1
    """Machines that train together, each with as many devices."""
    workers: Annotated[int, Field(ge=0, le=64)] | None = None
    """Processes for each device that prepare batches ahead; 0 for none (default: 1 on a CPU, several on a
    GPU)."""
    capture: Rare[bool] = True
    """On one GPU, record the work of a step once and replay it (CUDA graphs), which is faster."""
    precision: Precision = "auto"
    """Arithmetic of the networks; auto takes bfloat16 where the device is fast at it."""
    gate: Rare[Annotated[int, Field(ge=0)]] = 5_000
    """Steps to fit the model's input gate at the end of the run; 0 for a model without one."""
    every: Positive = 2_000
    """Images between checkpoints, validation scores and pictures."""
    tensorboard: bool = False
    """Log scalars and validation pictures for TensorBoard too (needs `medtranslate[tensorboard]`)."""
    resume: bool = False
    """Continue from the checkpoint in `out`."""
    overwrite: bool = False
    """Replace an existing run."""
    scale: ScaleSettings = ScaleSettings()
    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = LossSettings()
    anchor_weights: AnchorWeights = AnchorWeights()
    augment: AugmentSettings = AugmentSettings()
    parent: str | None = Field(default=None, alias="from")
    """Model to start from: a name at hand, or the folder of a model or a run. Its network and scale are taken
    over, so leave theirs out; discriminators too, from a run (default: start from noise)."""
    val_paired: Rare[bool] = False
    """val_ct and val_mr show the same heads on the same voxels, paired by subject or name: score against this
    truth."""
    keep_every: Rare[Positive | None] = None
    """Images between models to keep in `kept/`; a multiple of `every` (default: keep the last alone)."""
    keep_best: ScoreName | None = None
    """Score by which to keep the best model in `kept/best`: truth needs val_paired, the others no pairs
    (default: none)."""

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, values: Any) -> Any:
        """Accept a removed setting in an older file if it has the value that is always used."""
        if isinstance(values, Mapping):
            return {key: value for key, value in values.items() if _REMOVED.get(key, _UNKNOWN) != value}
        return values

    @model_validator(mode="before")
    @classmethod
    def _for_the_anatomy(cls, values: Any) -> Any:
        """Choose what has another default where the images show no heads."""
        given = values.kwargs if isinstance(values, ArgsKwargs) else values
        if not isinstance(given, Mapping) or given.get("anatomy") != "other":
            return values
        network = given.get("network", {})
        if isinstance(network, Mapping):
            network = {"frame": "slice", **network}
        return {"anchor_rendered": 1.0, **given, "network": network}

    @model_validator(mode="after")
    def _planes_are_learnt(self) -> Self:
        if self.network.planes == 3 and self.anchor_labels is None:
            raise ValueError("network.planes: 3 are learnt from label maps; give anchor_labels, or 1 plane")
        return self


_REMOVED = {"compile": False}
_UNKNOWN = object()
