"""Settings of `train`, and of the parts that a model remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from medtranslate.config.types import (
    FROZEN,
    Device,
    DiscriminatorName,
    Ends,
    Fraction,
    FrameName,
    GeneratorName,
    ModelName,
    Positive,
    Precision,
    StreamContrast,
    Weight,
    Width,
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ScaleSettings:
    """How physical units map to the networks' [-1, 1] and back; a model declares these."""

    ct_window: Ends = (-20.0, 100.0)
    """Lower and upper CT value in HU; values outside saturate. (-20, 100) is the brain window 40/120."""
    mr_percentile: Annotated[float, Field(gt=50.0, le=100.0)] = 99.5
    """Percentile of a volume's foreground that becomes +1 on the MR side (zero becomes -1)."""
    mr_range: Ends = (0.0, 1000.0)
    """Arbitrary units that [-1, 1] becomes in a translated MR."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class NetworkSettings:
    """Shapes of the two generators and the two discriminators."""

    size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)] = 128
    """Side of the square slices that the networks see, in pixels."""
    margin: Fraction = 0.06
    """Air around the head in the frame, as a fraction of the frame's side."""
    frame: FrameName = "head"
    """What is seen: the head, framed alike in both modalities, or the whole slice as it comes. The latter
    teaches that heads change their size and is there to show it (docs/method.md)."""
    generator: GeneratorName = "vae"
    """Network that translates."""
    fold: Literal[1, 2, 4] = 4
    """Side of the pixel blocks that are folded into channels before the first layer."""
    channels: Annotated[
        tuple[Annotated[int, Field(gt=0, le=4096, multiple_of=8)], ...], Field(min_length=1, max_length=8)
    ] = (48, 64)
    """Generator channels: at the folded resolution, then at each halving of it inside the hourglasses."""
    blocks: Annotated[int, Field(gt=0, le=64)] = 1
    """Residual blocks on each side of a level."""
    latent_channels: Width = 8
    """Channels of the posterior q(z|x), which lies at the folded resolution."""
    coordinates: bool = True
    """Give the generators each pixel's position in the frame, which alone tells bone from bright CSF."""
    attention: bool = True
    """Self-attention at the coarsest level, so that the bottleneck sees the whole head."""
    discriminator: DiscriminatorName = "multiscale"
    """Network that judges."""
    discriminator_channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (16, 32, 64, 64)
    """Discriminator channels per stage; each stage halves the resolution and has a head of its own."""
    heads: Literal["all", "last"] = "all"
    """Judge at every stage, or at the last alone."""
    adjustment: bool = True
    """Let the deepest features scale and shift the earlier ones before these are judged."""
    independent: bool = True
    """Stop each earlier head's derivatives from reaching the stages deeper than its own."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class LossSettings:
    """Weights of the terms of the objective (`medtranslate.losses`); zero takes a term away."""

    adversarial: Weight = 0.1
    """Least-squares adversarial term, mean over the heads."""
    cycle: Weight = 0.5
    """L1 between a slice and its way there and back."""
    identity: Weight = 0.0
    """L1 between a target-domain slice and its translation into its own domain."""
    kl: Weight = 0.01
    """KL(q(z|x) || N(0, I)) per latent element."""
    structure: Weight = 0.0
    """Modality-independent structure of source and translation (MIND descriptors)."""
    anchor: Weight = 10.0
    """L1 on phantom slices, whose truth is known."""
    warmup: Fraction = 0.1
    """Share of the run over which cycle, identity and KL grow from zero to their weight."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class AugmentSettings:
    """The additional copy of each sample, and what is varied in it."""

    copy_each: bool = True
    """A batch holds every sample as it is and once augmented."""
    degrees: float = 10.0
    """Largest rotation in plane."""
    scale: Fraction = 0.1
    """Largest relative change of size."""
    shift: Fraction = 0.04
    """Largest shift, as a fraction of the frame."""
    distant: Fraction = 0.1
    """Share of the copies that are shown 1.5 to 5 times smaller. A volume's frame fits its largest slice, so
    slices near the vertex leave it nearly empty, and a network that never saw that fills it with things."""
    mr_gamma: Fraction = 0.3
    """Largest |log gamma| of the MR contrast."""
    ct_window: Fraction = 0.0
    """Largest |log| change of the width of the window in which the anchor's CT is shown to be translated, and
    change of its level as a share of the width: pictures come in windows that nobody knows."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class TrainSettings:
    """Settings of `train`."""

    ct: str
    """Training CT: a file; a folder of pictures, volumes or DICOM; a CSV; or `phantom:FIRST-LAST` (seeds)."""
    mr: str
    """Training MR, likewise; no pairing is used."""
    out: Path
    """Folder of the run: settings, log.csv, pictures, checkpoint, model."""
    val_ct: str | None = None
    """Unseen CT for validation (default: none)."""
    val_mr: str | None = None
    """Unseen MR for validation (default: none)."""
    val_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training images to hold back, by whole groups, where no val_ct or val_mr is given."""
    groups: Path | None = None
    """CSV `file,group` that tells whose each image is (default: a CSV's subject, DICOM's patient)."""
    cache: Path | None = None
    """Folder that keeps the framed slices for later runs and other processes (default: none)."""
    name: ModelName = "unnamed"
    """Name that the model carries in its card and in every result."""
    notes: str = ""
    """What the model is meant for and trained on, printed in its card."""
    images: Positive = 40_000
    """Length of the run: images shown per modality, augmented copies counted."""
    batch: Positive = 8
    """Images per modality and step in each process, augmented copies counted."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Peak learning rate of the generators; constant, then linear to zero over the last part."""
    discriminator_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate of the discriminators."""
    decay: Fraction = 0.5
    """Share of the run, at its end, over which the learning rates fall to zero."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay of the exponential moving average of the generators' weights, which is what is kept; lower in a
    run's first steps."""
    pool: Annotated[int, Field(ge=0)] = 50
    """Past translations that the discriminators are shown again; 0 for none."""
    cycle_noise: Weight = 0.02
    """Noise on the intermediate image of a cycle, so that the source can't be hidden in it."""
    anchor_share: Weight = 1.0
    """Slices whose truth is known, per unpaired slice in a step (where the anchor's weight is not 0)."""
    anchor_contrast: StreamContrast = "both"
    """Contrast of the phantom MR that is translated: a sequence, any of them, random, or both."""
    anchor_rendered: Fraction = 0.5
    """Share of the anchor's slices that are training CT with an MR rendered from it, instead of phantoms."""
    anchor_kept: Annotated[int, Field(ge=0)] = 0
    """Slices of the anchor that are made once, when first drawn, and shown again, each time moved and bent
    otherwise; 0 makes new ones for each step. They take 6 bytes a pixel of temporary disk or memory."""
    anchor_lesions: bool = True
    """Show the anchor's phantom heads with their lesions."""
    anchor_skull_base: bool = True
    """Show the anchor's phantom heads with the base of the skull, the orbits and the sinuses."""
    phantom_contrast: StreamContrast = "t1"
    """Contrast of the phantom MR that is asked for, and of MR slices that come from `phantom:`."""
    unpaired: bool = True
    """Use the unpaired images; without them only the phantom anchor trains."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    devices: Positive = 1
    """Processes on this machine, each on a device of its own (or a share of the CPU's cores)."""
    nodes: Positive = 1
    """Machines that train together, each with as many devices."""
    workers: Annotated[int, Field(ge=0, le=64)] | None = None
    """Processes beside each device that draw batches ahead; 0 draws them within the step (default: 1 on a
    CPU, several on a GPU)."""
    capture: bool = True
    """On one GPU, record a step's work once and replay it (CUDA graphs): the host starts it in a fraction of
    the time, and the step is the same. `compile` takes its place."""
    compile: bool = False
    """Compile the networks with torch.compile."""
    precision: Precision = "auto"
    """Arithmetic of the networks; auto takes bfloat16 where the device is fast at it."""
    gate: Annotated[int, Field(ge=0)] = 5_000
    """Steps in which the model's input gate is fitted when the run is over; 0 for a model without one."""
    every: Positive = 2_000
    """Images between checkpoints, validation scores and pictures."""
    tensorboard: bool = False
    """Log scalars and validation pictures for TensorBoard too (needs `medtranslate[tensorboard]`)."""
    resume: bool = False
    """Go on from the checkpoint in `out`."""
    overwrite: bool = False
    """Replace an existing run."""
    scale: ScaleSettings = ScaleSettings()
    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = LossSettings()
    augment: AugmentSettings = AugmentSettings()
