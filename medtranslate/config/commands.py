"""Settings of the commands other than `train`, and which command has which."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from medtranslate.config.batches import BatchSettings
from medtranslate.config.making import DemoSettings, PhantomSettings, PrepareSettings
from medtranslate.config.training import TrainSettings
from medtranslate.config.types import (
    FROZEN,
    PATIENTS,
    Device,
    FormatName,
    Fraction,
    Modality,
    Positive,
    Precision,
    ProfileName,
    Spacing,
    ViewName,
)
from medtranslate.errors import SettingsError


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class TranslateSettings:
    """Settings of `translate`."""

    input: Path
    """Pictures (one, a folder), a volume (NIfTI, MetaImage, NRRD, MGH), or a DICOM series (folder, .zip)."""
    output: Path
    """File or folder to write."""
    to: Modality
    """Target modality: ct or mr."""
    model: str = PATIENTS
    """Name of a model at hand, or the folder of one."""
    series: str | None = None
    """SeriesInstanceUID to take where a folder holds several."""
    select: str | None = None
    """NAME=VALUE of the acquisition to take where a series holds several, such as echo=2 or kernel=H31s."""
    volume: Positive | None = None
    """Number, from 1, of the volume to take where a file holds several."""
    format: FormatName | None = None
    """Format to write (default: the input's, or what the output's suffix says)."""
    regrid: bool = False
    """Resample tilted, uneven or sheared slices onto a regular grid, which most files need."""
    stack: bool = False
    """Take a folder of pictures as the slices of one volume, in natural order, from feet to head."""
    spacing: Spacing | None = None
    """With --stack: mm between columns, between rows and between pictures."""
    batch: Positive | None = None
    """Slices per pass through the network (default: by their size and the free memory)."""
    samples: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Draws of the posterior whose spread is measured (default: 16 with --uncertainty, else none)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of these draws."""
    uncertainty: Path | None = None
    """File for the standard deviation over the draws (a folder for pictures; .dcm: a Parametric Map)."""
    reference: Path | None = None
    """The truth on the source's grid: score the translation at once (default: none)."""
    report: Path | None = None
    """Folder for report.html and report.pdf, and result.json and slices.csv where there is a reference."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """auto, float32 or bfloat16; auto is bfloat16 where the processor computes in it."""
    deidentify: bool = False
    """Write no identity of the patient, by PS3.15's basic profile; faces and burned-in text remain."""
    compress: bool = False
    """Keep the pixels of a DICOM output with lossless compression (JPEG-LS)."""
    burn_in: bool = False
    """Write SYNTHETIC CT or MR into a corner of each slice, for viewers that show no header."""
    preview: bool | None = None
    """A picture of three planes beside the output (default: of volumes, unless --deidentify)."""
    force: bool = False
    """Translate what the model's input gate refuses, too; the record and the report say so."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ConvertSettings:
    """Settings of `convert`."""

    input: Path
    """A file, a folder with one DICOM series, or with --stack a folder of pictures."""
    output: Path
    """File or folder to write; without a suffix a folder, of DICOM or of pictures (--format)."""
    series: str | None = None
    """SeriesInstanceUID to take where a folder holds several."""
    select: str | None = None
    """NAME=VALUE of the acquisition to take where a series holds several, such as echo=2 or kernel=H31s."""
    volume: Positive | None = None
    """Number, from 1, of the volume to take where a file holds several."""
    format: FormatName | None = None
    """Format to write (default: what the output's suffix says)."""
    stack: bool = False
    """Take a folder of pictures as the slices of one volume, in natural order, from feet to head."""
    spacing: Spacing | None = None
    """With --stack: mm between columns, between rows and between pictures."""
    regrid: bool = False
    """Resample tilted, uneven or sheared slices onto a regular grid, which most files need."""
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


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class EvaluateSettings:
    """Settings of `evaluate`."""

    prediction: Path
    """The translation: a file or folder of any readable format, a folder or tree of them paired by name, a
    pattern such as 'OUT/*/ct.nii.gz', or a CSV of prediction,reference,mask,source,subject."""
    reference: Path | None = None
    """The truth, likewise, on the same grid unless it is to be resampled; none beside a CSV."""
    out: Path
    """Folder for result.json, slices.csv, report.html and report.pdf."""
    profile: ProfileName = "image"
    """Definition of the scores (docs/metrics.md)."""
    source: Path | None = None
    """What was translated; adds the scores of doing nothing with it."""
    mask: Path | None = None
    """Where to score (default: the profile's rule)."""
    uncertainty: Path | None = None
    """Standard deviation of the prediction in its unit, on its grid: adds how it fits the errors."""
    range: tuple[float, float] | None = None
    """Output range that scores refer to (default: the profile's rule)."""
    modality: Modality | None = None
    """What prediction and reference are, ct or mr (default: what the files or translation.json say)."""
    model: str | None = None
    """Name or folder of the model that made the prediction (default: what translation.json says)."""
    resample_reference: bool = False
    """Bring reference and mask onto the prediction's grid; what they do not reach is not scored."""
    register: Literal["none", "rigid"] = "none"
    """rigid: find how the reference lies by mutual information and bring it there, resampled once."""
    unmasked: bool = False
    """Also score every voxel, background included."""
    workers: Positive | None = None
    """Processes for the pairs of a folder (default: one for each core, where it is worth it)."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(**FROZEN, populate_by_name=True))
class CycleSettings:
    """Settings of `cycle`."""

    input: Path
    """Pictures (one, a folder), a volume (NIfTI, MetaImage, NRRD, MGH), or a DICOM series (folder, .zip)."""
    from_: Modality = Field(alias="from")
    """Modality of the input, to which it comes back: ct or mr."""
    out: Path
    """Folder for result.json, slices.csv, report.html, report.pdf and differences/*.png."""
    model: str = PATIENTS
    """Name of a model at hand, or the folder of one."""
    noise: Fraction = 0.0
    """Noise on the image between, as a share of its range; it blurs what is hidden there."""
    series: str | None = None
    """SeriesInstanceUID to take where a folder holds several."""
    select: str | None = None
    """NAME=VALUE of the acquisition to take where a series holds several, such as echo=2 or kernel=H31s."""
    volume: Positive | None = None
    """Number, from 1, of the volume to take where a file holds several."""
    batch: Positive = 16
    """Slices per pass through the network."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the noise."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    force: bool = False
    """Test what the model's input gate refuses, too; the record and the report say so."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ReportSettings:
    """Settings of `report`."""

    result: Path
    """result.json or a translation.json, or the folder of one."""
    out: Path
    """Folder for the views."""
    view: Annotated[tuple[ViewName, ...], Field(min_length=1)] = ("html", "pdf")
    """What to render: html, pdf, csv, json; dicom files pdf, scores and uncertainty with the patient."""
    prediction: Path | None = None
    """The translation (default, here and below: where the record says, if it is still the same)."""
    reference: Path | None = None
    """The truth that it was scored against."""
    source: Path | None = None
    """What was translated; the view dicom needs its DICOM series."""
    mask: Path | None = None
    """Where it was scored, if a mask was given."""
    uncertainty: Path | None = None
    """Standard deviations that `translate --uncertainty` wrote."""
    series: str | None = None
    """SeriesInstanceUID to take where the source's folder holds several."""
    select: str | None = None
    """NAME=VALUE of the acquisition to take where the source's series holds several."""
    deidentify: bool = False
    """Write no identity of the patient into DICOM, by PS3.15's basic profile."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class InfoSettings:
    """Settings of `info`."""

    input: Path
    """A file, a folder of anything, or a .zip of DICOM."""
    volume: Positive | None = None
    """Number, from 1, of the volume to look at where a file holds several."""


COMMANDS: dict[str, type] = {
    "batch": BatchSettings,
    "convert": ConvertSettings,
    "cycle": CycleSettings,
    "demo": DemoSettings,
    "evaluate": EvaluateSettings,
    "info": InfoSettings,
    "phantom": PhantomSettings,
    "prepare": PrepareSettings,
    "report": ReportSettings,
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
