"""Settings of the commands that score and report: `evaluate`, `cycle`, `calibrate`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from medtranslate.config.names import ProfileName, ViewName
from medtranslate.config.types import (
    FROZEN,
    PATIENTS,
    Device,
    Existing,
    Fraction,
    Modality,
    NanTo,
    Positive,
    Rare,
    Samples,
    Seed,
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class EvaluateSettings:
    """Settings of `evaluate`."""

    prediction: Existing[Path]
    """The translation: a file or folder of any readable format, a folder or tree of them paired by name, a
    pattern such as 'OUT/*/ct.nii.gz', or a CSV of prediction,reference,mask,source,subject."""
    reference: Existing[Path | None] = None
    """The true image or images, likewise, on the same grid unless --resample-reference or --register is
    given; none beside a CSV."""
    out: Path
    """Folder for result.json, slices.csv, cases.csv, methods.md, report.html and report.pdf."""
    profile: ProfileName = "image"
    """Definition of the scores (docs/metrics.md)."""
    source: Existing[Path | None] = None
    """Image that was translated; adds the scores of leaving it untranslated."""
    mask: Existing[Path | None] = None
    """Image whose voxels above 0 are scored (default: by the profile's rule)."""
    uncertainty: Existing[Path | None] = None
    """Uncertainty of the prediction, in its unit and on its grid; adds how it fits the errors. The record of
    the translation says whether it holds error limits or standard deviations."""
    densities: Existing[Path | None] = None
    """CSV of hu,density: electron densities relative to water for path lengths (default: Schneider's)."""
    range: tuple[float, float] | None = None
    """Output range that scores refer to (default: by the profile's rule)."""
    modality: Modality | None = None
    """Modality of prediction and reference, ct or mr (default: by the files or translation.json)."""
    series: str | None = None
    """SeriesInstanceUID to read if the reference's folder holds several series."""
    select: str | None = None
    """NAME=VALUE of the acquisition to read if the reference's series holds several, such as echo=2."""
    nan_to: NanTo | None = None
    """Value for voxels that are NaN, as SPM and ANTs leave outside the field of view: a number, or air
    (-1024 HU in CT, 0 in MR); without it such images are refused."""
    model: str | None = None
    """Name or folder of the model that made the prediction (default: by translation.json)."""
    resample_reference: bool = False
    """Resample reference and mask onto the prediction's grid; voxels outside theirs are not scored."""
    register: Literal["none", "rigid"] = "none"
    """rigid: align the reference by mutual information, and resample it once."""
    missing_is_air: bool = False
    """With --resample-reference: score what a smaller prediction leaves out of the reference as air."""
    prediction_scale: tuple[float, float] | None = None
    """SLOPE OFFSET that bring the prediction to the reference's unit, such as 1 -1024 for HU + 1024."""
    unmasked: bool = False
    """Also score every voxel, background included."""
    subjects: str | None = None
    """Of a folder: regular expression for the part of a pair's name that is the patient, such as '^P[0-9]+'
    (default: a column `subject`, BIDS, DICOM headers, folders)."""
    table: Existing[Path | None] = None
    """Of a folder: CSV with facts about the pairs by `name` or `subject`, such as age, vendor, contrast."""
    workers: Positive | None = None
    """Processes for the pairs of a folder (default: up to one a core)."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(**FROZEN, populate_by_name=True))
class CycleSettings:
    """Settings of `cycle`."""

    input: Existing[Path]
    """Pictures (one, a folder), a volume (NIfTI, MetaImage, NRRD, MGH), or a DICOM series (folder, .zip)."""
    from_: Modality = Field(alias="from")
    """Modality of the input: ct or mr."""
    out: Path
    """Folder for result.json, slices.csv, report.html, report.pdf and differences/*.png."""
    model: str = PATIENTS
    """Name of a model, or its folder."""
    noise: Fraction = 0.0
    """Noise added to the intermediate image, as a share of its range; it blurs what is hidden there."""
    series: str | None = None
    """SeriesInstanceUID to read if the folder holds several series."""
    select: str | None = None
    """NAME=VALUE of the acquisition to read if the series holds several, such as echo=2 or kernel=H31s."""
    volume: Positive | None = None
    """Number, from 1, of the volume to read if the file holds several."""
    nan_to: NanTo | None = None
    """Value for voxels that are NaN, as SPM and ANTs leave outside the field of view: a number, or air
    (-1024 HU in CT, 0 in MR); without it such images are refused."""
    batch: Rare[Positive | None] = None
    """Slices per pass through the network (default: by their size and the free memory)."""
    seed: Seed = 0
    """Seed of the noise."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    force: bool = False
    """Test an input that the model's input gate refuses; record and report say so."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class CalibrateSettings:
    """Settings of `calibrate`."""

    model: str
    """Name of a model, or its folder."""
    pairs: Existing[Path]
    """Pairs on the same grid: a folder that holds the folders ct and mr with files of the same names, a tree
    with a folder for each subject, or a CSV of ct,mr,subject."""
    on: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """Description of the pairs for the model and its records (default: their number, and the name of
    PAIRS)."""
    to: Modality | None = None
    """Direction to calibrate, by its target: ct or mr (default: both)."""
    out: Path | None = None
    """Folder for a calibrated copy of the model (default: change the model itself)."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the pairs, by whole subjects, that tests the calibration and is not used to fit it."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the errors that lie within the error limit; 0.68 is that of one standard deviation of normal
    errors."""
    samples: Samples | None = None
    """Number of posterior samples (default: none where the model estimates error limits, else 16)."""
    seed: Seed = 0
    """Seed of the samples, and of the choice of the held-out pairs."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    force: bool = False
    """Use pairs that the model's input gate refuses."""
    overwrite: bool = False
    """Replace an existing output, or the calibration that the model has."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ReportSettings:
    """Settings of `report`."""

    result: Existing[Path]
    """result.json or a translation.json, or the folder of one."""
    out: Path
    """Folder for the views."""
    view: Annotated[tuple[ViewName, ...], Field(min_length=1)] = ("html", "pdf")
    """Views to write, such as html,pdf; dicom files PDF, scores and uncertainty in the patient's study."""
    prediction: Existing[Path | None] = None
    """The translation (default for this and the volumes below: the path in the record)."""
    reference: Existing[Path | None] = None
    """True image that the translation was scored against."""
    source: Existing[Path | None] = None
    """Image that was translated; the view dicom needs its DICOM series."""
    mask: Existing[Path | None] = None
    """Mask of the scores, if one was given."""
    uncertainty: Existing[Path | None] = None
    """Uncertainty that `translate --uncertainty` wrote."""
    regions: Existing[Path | None] = None
    """Regions that a page exported, to be written as SR by the view dicom."""
    series: str | None = None
    """SeriesInstanceUID to read if the source's folder holds several series."""
    select: str | None = None
    """NAME=VALUE of the acquisition to read if the source's series holds several."""
    deidentify: bool = False
    """Write no identity of the patient into DICOM (PS3.15 basic profile)."""
    overwrite: bool = False
    """Replace an existing output."""
