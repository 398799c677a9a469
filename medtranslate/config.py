"""The settings of every command: frozen, validated, unknown keys refused, kept as YAML.

A command's options are the fields of its settings class (`medtranslate.cli.options` makes them), a
pipeline file holds the same names, and the settings that a command ran with are written beside its
output. The string under a field is its help text. Names of networks, profiles and views are
`Literal`s here so that `--help` needs no torch; a test holds them against the dicts they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from medtranslate.errors import SettingsError

Modality = Annotated[Literal["ct", "mr"], BeforeValidator(lambda name: "mr" if name == "mri" else name)]
"""`mri` is accepted and becomes `mr`."""

Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
Precision = Literal["auto", "float32", "bfloat16"]
GeneratorName = Literal["vae"]
DiscriminatorName = Literal["multiscale"]
ProfileName = Literal["image", "synthrad2023", "synthrad2025"]
FormatName = Literal["dicom", "nifti", "mha", "nrrd", "png"]
PhantomContrast = Literal["t1", "t2", "flair", "random"]
StreamContrast = Literal["t1", "t2", "flair", "physics", "random", "both"]

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}$")]
"""Plain letters and signs: the name goes into headers, pages and terminals."""


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if not -math.inf < ends[0] < ends[1] < math.inf:
        raise ValueError("the lower end comes first, the upper second, both finite")
    return ends


Ends = Annotated[tuple[float, float], AfterValidator(_ascending)]
Positive = Annotated[int, Field(gt=0)]
Width = Annotated[int, Field(gt=0, le=4096)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Millimetres = Annotated[float, Field(ge=0.01, le=100.0)]
Spacing = tuple[Millimetres, Millimetres, Millimetres]

_FROZEN = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ScaleSettings:
    """How physical units map to the networks' [-1, 1] and back; a model declares these."""

    ct_window: Ends = (-20.0, 100.0)
    """Lower and upper CT value in HU; values outside saturate. (-20, 100) is the brain window 40/120."""
    mr_percentile: Annotated[float, Field(gt=50.0, le=100.0)] = 99.5
    """Percentile of a volume's foreground that becomes +1 on the MR side (zero becomes -1)."""
    mr_range: Ends = (0.0, 1000.0)
    """Arbitrary units that [-1, 1] becomes in a translated MR."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class NetworkSettings:
    """Shapes of the two generators and the two discriminators."""

    size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)] = 128
    """Side of the square slices that the networks see, in pixels."""
    margin: Fraction = 0.06
    """Air around the head in the frame, as a fraction of the frame's side."""
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


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class LossSettings:
    """Weights of the terms of the objective (`medtranslate.losses`); zero takes a term away."""

    adversarial: Weight = 1.0
    """Least-squares adversarial term, mean over the heads."""
    cycle: Weight = 4.0
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


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
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
    mr_gamma: Fraction = 0.3
    """Largest |log gamma| of the MR contrast."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
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
    name: ModelName = "unnamed"
    """Name that the model carries in its card and in every result."""
    notes: str = ""
    """What the model is meant for and trained on, printed in its card."""
    images: Positive = 40_000
    """Length of the run: images shown per modality, augmented copies counted."""
    batch: Positive = 8
    """Images per modality and step, augmented copies counted."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Peak learning rate of the generators; constant, then linear to zero over the last part."""
    discriminator_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate of the discriminators."""
    decay: Fraction = 0.5
    """Share of the run, at its end, over which the learning rates fall to zero."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay of the exponential moving average of the generators' weights, which is what is kept."""
    pool: Annotated[int, Field(ge=0)] = 50
    """Past translations that the discriminators are shown again; 0 for none."""
    cycle_noise: Weight = 0.02
    """Noise on the intermediate image of a cycle, so that the source can't be hidden in it."""
    anchor_share: Weight = 1.0
    """Phantom slices per unpaired slice in a step (used where the anchor's weight is not 0)."""
    anchor_contrast: StreamContrast = "both"
    """Contrast of the phantom MR that is translated: a sequence, any of them, random, or both."""
    phantom_contrast: StreamContrast = "t1"
    """Contrast of the phantom MR that is asked for, and of MR slices that come from `phantom:`."""
    unpaired: bool = True
    """Use the unpaired images; without them only the phantom anchor trains."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """Arithmetic of the networks; auto takes bfloat16 where the device is fast at it."""
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


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class TranslateSettings:
    """Settings of `translate`."""

    input: Path
    """Pictures (one, a folder), a volume (NIfTI, MetaImage, NRRD), or one DICOM series (folder, .zip)."""
    output: Path
    """File or folder to write."""
    to: Modality
    """Target modality: ct or mr."""
    model: str
    """Name of a model at hand, or the folder of one."""
    series: str | None = None
    """SeriesInstanceUID to take where a folder holds several."""
    format: FormatName | None = None
    """Format to write (default: the input's, or what the output's suffix says)."""
    regrid: bool = False
    """Resample tilted or uneven DICOM slices onto a regular grid, which a file such as NIfTI needs."""
    stack: bool = False
    """Take a folder of pictures as the slices of one volume, in natural order, from feet to head."""
    spacing: Spacing | None = None
    """With --stack: mm between columns, between rows and between pictures."""
    batch: Positive = 16
    """Slices per pass through the network."""
    samples: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Draws of the posterior whose spread is measured (default: 16 with --uncertainty, else none)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of these draws."""
    uncertainty: Path | None = None
    """File for the standard deviation over the draws, in the output's unit (a folder for pictures)."""
    reference: Path | None = None
    """The truth on the source's grid: score the translation at once (default: none)."""
    report: Path | None = None
    """Folder for report.html, and result.json and slices.csv where there is a reference."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    deidentify: bool = False
    """Write no identity of the patient, by PS3.15's basic profile; faces and burned-in text remain."""
    compress: bool = False
    """Keep the pixels of a DICOM output with lossless compression (JPEG-LS)."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ConvertSettings:
    """Settings of `convert`."""

    input: Path
    """A file, a folder with one DICOM series, or with --stack a folder of pictures."""
    output: Path
    """File or folder to write; without a suffix a folder, of DICOM or of pictures (--format)."""
    series: str | None = None
    """SeriesInstanceUID to take where a folder holds several."""
    format: FormatName | None = None
    """Format to write (default: what the output's suffix says)."""
    stack: bool = False
    """Take a folder of pictures as the slices of one volume, in natural order, from feet to head."""
    spacing: Spacing | None = None
    """With --stack: mm between columns, between rows and between pictures."""
    regrid: bool = False
    """Resample tilted or uneven DICOM slices onto a regular grid, which a file such as NIfTI needs."""
    window: tuple[float, Annotated[float, Field(gt=0)]] | None = None
    """Level and width that pictures show from black to white, such as 40 80 for brain in CT."""
    range: tuple[float, float] | None = None
    """Lowest and highest value that pictures show, in place of --window."""
    modality: Modality | None = None
    """Modality of the input, ct or mr, which DICOM output has to say and only DICOM input does."""
    deidentify: bool = False
    """Write no identity of the patient, by PS3.15's basic profile; faces and burned-in text remain."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class EvaluateSettings:
    """Settings of `evaluate`."""

    prediction: Path
    """The translation: a file or folder of any readable format, or a folder of them paired by name."""
    reference: Path
    """The truth, on the same grid unless it is to be resampled."""
    out: Path
    """Folder for result.json, slices.csv and report.html."""
    profile: ProfileName = "image"
    """Definition of the scores (docs/metrics.md)."""
    source: Path | None = None
    """What was translated; adds the scores of doing nothing with it."""
    mask: Path | None = None
    """Where to score (default: the profile's rule)."""
    range: tuple[float, float] | None = None
    """Output range that scores refer to (default: the profile's rule)."""
    modality: Modality | None = None
    """What prediction and reference are, ct or mr (default: what the files or translation.json say)."""
    model: str | None = None
    """Name or folder of the model that made the prediction (default: what translation.json says)."""
    resample_reference: bool = False
    """Bring reference and mask onto the prediction's grid; what they do not reach is not scored."""
    unmasked: bool = False
    """Also score every voxel, background included."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(**_FROZEN, populate_by_name=True))
class CycleSettings:
    """Settings of `cycle`."""

    input: Path
    """Pictures (one, a folder), a volume (NIfTI, MetaImage, NRRD), or one DICOM series (folder, .zip)."""
    from_: Modality = Field(alias="from")
    """Modality of the input, to which it comes back: ct or mr."""
    out: Path
    """Folder for result.json, slices.csv, report.html and differences/*.png."""
    model: str
    """Name of a model at hand, or the folder of one."""
    noise: Fraction = 0.0
    """Noise on the image between, as a share of its range; it blurs what is hidden there."""
    series: str | None = None
    """SeriesInstanceUID to take where a folder holds several."""
    batch: Positive = 16
    """Slices per pass through the network."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the noise."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class InfoSettings:
    """Settings of `info`."""

    input: Path
    """A file, a folder of anything, or a .zip of DICOM."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class PhantomSettings:
    """Settings of `phantom`."""

    out: Path
    """Folder for `ct` and `mr` in the chosen format, and `labels.nii.gz`."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the head: shape, pose, size, tissue, lesions, noise."""
    size: Annotated[int, Field(ge=32, le=512)] = 256
    """Voxels along each axis of the cube."""
    spacing: Annotated[float, Field(gt=0.1, le=10.0)] = 1.0
    """Voxel size in mm."""
    contrast: PhantomContrast = "t1"
    """MR contrast: a sequence, or random per tissue."""
    format: Literal["dicom", "nifti"] = "nifti"
    """Format of the two volumes."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class PrepareSettings:
    """Settings of `prepare`."""

    source: Path
    """Folder that holds the folders of CT and of MR pictures."""
    out: Path
    """Folder for train/ct, train/mr, val/ct, val/mr, groups.csv and prepared.json."""
    ct: tuple[str, ...] = ("trainA", "testA")
    """Folders of CT pictures in it."""
    mr: tuple[str, ...] = ("trainB", "testB")
    """Folders of MR pictures in it."""
    val_share: Annotated[float, Field(gt=0, lt=1)] = 0.13
    """Share of the pictures to hold back for validation, by whole groups."""
    alike: Fraction = 0.96
    """Correlation of two pictures' thumbnails from which they are look-alikes and share a group."""
    copies: Fraction = 0.995
    """Correlation from which they are copies, of which one is kept."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the split."""
    link: bool = False
    """Link to the pictures instead of copying them."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class DemoSettings:
    """Settings of `demo`."""

    out: Path
    """Folder for the study, its translation, the evaluation and report.html."""
    model: str = "phantom"
    """Name of a model at hand, or the folder of one."""
    seed: Annotated[int, Field(ge=0)] = 900_000
    """Seed of the phantom head; those of 900000 and above are never trained on."""
    size: Annotated[int, Field(ge=64, le=512)] = 192
    """Voxels along each axis of the head's cube."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    overwrite: bool = False
    """Replace an existing output."""


Settings = TypeVar("Settings")

COMMANDS: dict[str, type] = {
    "convert": ConvertSettings,
    "cycle": CycleSettings,
    "demo": DemoSettings,
    "evaluate": EvaluateSettings,
    "info": InfoSettings,
    "phantom": PhantomSettings,
    "prepare": PrepareSettings,
    "train": TrainSettings,
    "translate": TranslateSettings,
}
"""Commands that `run` can take from a pipeline file, with their settings."""


def stack_spacing(settings: TranslateSettings | ConvertSettings) -> Spacing | None:
    """The spacing of the stack of pictures that is asked for; None where none is.

    Raises:
        SettingsError: one of `stack` and `spacing` is given without the other.
    """
    if settings.stack != (settings.spacing is not None):
        raise SettingsError(f"{settings.input}: --stack and --spacing X Y Z (in mm) go together; give both")
    return settings.spacing


def build(kind: type[Settings], values: Mapping[str, object], origin: str = "settings") -> Settings:
    """Settings of `kind` from plain values.

    Raises:
        SettingsError: a key is unknown, a value is missing or out of range; names each of them.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        problems = "; ".join(_problem(item) for item in error.errors())
        raise SettingsError(f"{origin}: {problems}") from None


def _problem(item: ErrorDetails) -> str:
    name = ".".join(map(str, item["loc"])) or "value"
    if item["type"] == "unexpected_keyword_argument":
        return f"{name}: no setting of this name"
    if item["type"] == "missing":
        return f"{name}: missing"
    return f"{name}: {item['msg'].lower()} (got {item['input']!r})"


def plain(settings: object) -> dict[str, Any]:
    """Settings as JSON-like values, in the order of the fields.

    What a de-identified output was made from is left out: names of files may name a patient.
    """
    values: dict[str, Any] = TypeAdapter(type(settings)).dump_python(settings, mode="json", by_alias=True)
    hidden = ("input", "series", "reference") if values.get("deidentify") else ()
    return {name: value for name, value in values.items() if name not in hidden}


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, by `safe_load`.

    Raises:
        SettingsError: the file is missing, is no YAML or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); name an existing YAML file") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path}: not plain YAML ({reason})") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path}: holds no `key: value` settings")
    return values


def write_yaml(settings: object, path: Path) -> None:
    """Write the effective settings."""
    path.write_text(yaml.safe_dump(plain(settings), sort_keys=False), encoding="utf-8")
