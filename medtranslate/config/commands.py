"""Settings of `translate`, `convert` and `info`."""

from __future__ import annotations

from pathlib import Path

from pydantic.dataclasses import dataclass

from medtranslate.config.names import FormatName
from medtranslate.config.types import (
    FROZEN,
    PATIENTS,
    Contrast,
    Device,
    Existing,
    Modality,
    NanTo,
    PictureHU,
    Planes,
    Positive,
    Precision,
    Rare,
    Samples,
    Seed,
    Spacing,
    Window,
)
from medtranslate.errors import SettingsError


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class TranslateSettings:
    """Settings of `translate`."""

    input: Existing[Path]
    """Pictures (one, a folder), a volume (NIfTI, MetaImage, NRRD, MGH), or a DICOM series (folder, .zip)."""
    output: Path
    """File or folder to write."""
    to: Modality
    """Target modality: ct or mr."""
    model: str = PATIENTS
    """Name of a model, or its folder."""
    contrast: Contrast | None = None
    """Contrast of a translated MR: t1, t1c, t2, flair or pd (default: t2, where the model has a choice)."""
    like: Existing[Path | None] = None
    """MR whose contrast a translated MR shall have, in place of `contrast`."""
    series: str | None = None
    """SeriesInstanceUID to read if the folder holds several series."""
    select: str | None = None
    """NAME=VALUE of the acquisition to read if the series holds several, such as echo=2 or kernel=H31s."""
    volume: Positive | None = None
    """Number, from 1, of the volume to read if the file holds several."""
    format: FormatName | None = None
    """Format to write (default: by the output's suffix, else the input's format)."""
    nan_to: NanTo | None = None
    """Value for voxels that are NaN, as SPM and ANTs leave outside the field of view: a number, or air
    (-1024 HU in CT, 0 in MR); without it such images are refused."""
    picture_hu: Rare[PictureHU | None] = None
    """Slope and offset from grey values of CT pictures to HU, such as 1 -1024 for pictures of HU + 1024
    (default: black to white is the window of the model)."""
    window: Window | None = None
    """Level and width in HU of CT pictures, read or written, such as 40 80 (default: those of the model)."""
    planes: Planes | None = None
    """Planes in which volumes are translated: 3, or 1 for axial slices alone, which is faster (default:
    3 where the model knows them)."""
    regrid: bool = False
    """Resample tilted, uneven or sheared slices onto a regular grid, which most formats need."""
    stack: bool = False
    """Read a folder of pictures as the slices of one volume, in natural order, from feet to head."""
    spacing: Spacing | None = None
    """With --stack: mm between columns, between rows and between pictures."""
    mask: Existing[Path | None] = None
    """Mask on the grid of the input; outside its voxels above 0 the translation is air."""
    batch: Rare[Positive | None] = None
    """Slices per pass through the network (default: by their size and the free memory)."""
    samples: Samples | None = None
    """Number of posterior samples for the uncertainty (default: with --uncertainty none where the model
    estimates error limits, else 16; without it none)."""
    seed: Seed = 0
    """Seed of these samples."""
    uncertainty: Path | None = None
    """File for the uncertainty (a folder for pictures; .dcm: a Parametric Map): the error limit that the
    model estimates, or the spread of samples; both as the 90 % error limit where the model is calibrated."""
    reference: Existing[Path | None] = None
    """True image on the source's grid; adds the scores of the translation."""
    report: Path | None = None
    """Folder for report.html and report.pdf; with a reference also result.json, methods.md and CSV."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """Arithmetic of the network; auto takes bfloat16 where the processor computes in it."""
    deidentify: bool = False
    """Write no identity of the patient (PS3.15 basic profile); faces and burned-in text remain."""
    compress: bool = False
    """Compress the pixels of a DICOM output without loss (JPEG-LS)."""
    burn_in: bool = False
    """Write SYNTHETIC CT or MR into a corner of each slice, for viewers that show no header."""
    preview: bool | None = None
    """Write a picture of three planes beside the output (default: for volumes, unless --deidentify)."""
    force: bool = False
    """Translate an input that the model's input gate refuses; record and report say so."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ConvertSettings:
    """Settings of `convert`."""

    input: Existing[Path]
    """A file, a folder with one DICOM series, or with --stack a folder of pictures."""
    output: Path
    """File or folder to write; without a suffix a folder, of DICOM or of pictures (--format)."""
    series: str | None = None
    """SeriesInstanceUID to read if the folder holds several series."""
    select: str | None = None
    """NAME=VALUE of the acquisition to read if the series holds several, such as echo=2 or kernel=H31s."""
    volume: Positive | None = None
    """Number, from 1, of the volume to read if the file holds several."""
    format: FormatName | None = None
    """Format to write (default: by the output's suffix)."""
    stack: bool = False
    """Read a folder of pictures as the slices of one volume, in natural order, from feet to head."""
    spacing: Spacing | None = None
    """With --stack: mm between columns, between rows and between pictures."""
    nan_to: NanTo | None = None
    """Value for voxels that are NaN, as SPM and ANTs leave outside the field of view: a number, or air
    (-1024 HU in CT, 0 in MR); without it such images are refused."""
    regrid: bool = False
    """Resample tilted, uneven or sheared slices onto a regular grid, which most formats need."""
    window: Window | None = None
    """Level and width that pictures show from black to white, such as 40 80 for brain in CT."""
    range: tuple[float, float] | None = None
    """Lowest and highest value that pictures show, in place of --window."""
    modality: Modality | None = None
    """Modality of the input, ct or mr; DICOM output needs it if the input is not DICOM."""
    deidentify: bool = False
    """Write no identity of the patient (PS3.15 basic profile); faces and burned-in text remain."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class InfoSettings:
    """Settings of `info`."""

    input: Existing[Path]
    """A file, a folder of anything, or a .zip of DICOM."""
    volume: Positive | None = None
    """Number, from 1, of the volume to describe if the file holds several."""


def stack_spacing(settings: TranslateSettings | ConvertSettings) -> Spacing | None:
    """Return the spacing of a stack of pictures, None if the input is no stack.

    Raises:
        SettingsError: one of `stack` and `spacing` is given without the other.
    """
    if settings.stack != (settings.spacing is not None):
        raise SettingsError(f"{settings.input}: --stack and --spacing X Y Z (in mm) go together; give both")
    return settings.spacing
