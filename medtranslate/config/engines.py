"""Settings of the entries for other engines: mercure and BIDS Apps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from medtranslate.config.types import (
    FROZEN,
    PATIENTS,
    Device,
    Existing,
    Modality,
    NanTo,
    Positive,
    Precision,
    Rare,
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class MercureSettings:
    """Settings of `mercure`."""

    input: Existing[Path | None] = None
    """Folder with DICOM files and task.json (default: the variable MERCURE_IN_DIR)."""
    output: Path | None = None
    """Folder for the translated series and result.json (default: the variable MERCURE_OUT_DIR)."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ModuleSettings:
    """Settings of a mercure module, as they stand in `process.settings` of task.json.

    They are those of `batch` that fit a DICOM series, under the same names.
    """

    to: Modality
    """Target modality: ct or mr."""
    model: str = PATIENTS
    """Name of a model, or its folder within the container."""
    select: str | None = None
    """NAME=VALUE of the acquisition to read of each series, such as echo=2 or kernel=H31s."""
    nan_to: NanTo | None = None
    """Value for voxels that are NaN."""
    compress: bool = False
    """Compress the pixels without loss (JPEG-LS)."""
    burn_in: bool = False
    """Write SYNTHETIC CT or MR into a corner of each slice."""
    preview: bool = True
    """Write a picture of three planes for each series."""
    force: bool = False
    """Translate series that the model's input gate refuses; the records say so."""
    precision: Precision = "auto"
    """Arithmetic of the network."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class BidsAppSettings:
    """Settings of `bids-app`."""

    bids_dir: Existing[Path]
    """Folder of the BIDS dataset."""
    output_dir: Path
    """Folder for the derivative dataset."""
    analysis_level: Literal["participant", "group"]
    """participant translates; group writes summary.csv and overview.html of all participants."""
    participant_label: tuple[str, ...] = ()
    """Participants to translate, separated by spaces or commas, with or without sub- (default: all)."""
    session_id: tuple[str, ...] = ()
    """Sessions to translate, separated by spaces or commas, with or without ses- (default: all)."""
    bids_filter_file: Path | None = None
    """JSON of entities that images must have, as for fMRIPrep (docs/batches.md)."""
    skip_bids_validation: bool = False
    """Do not run bids-validator-deno on the dataset first."""
    to: Modality = "ct"
    """Target modality: ct or mr."""
    model: str = PATIENTS
    """Name of a model, or its folder."""
    nan_to: NanTo | None = None
    """Value for voxels that are NaN: a number, or air (-1024 HU in CT, 0 in MR); else they are refused."""
    force: bool = False
    """Translate images that the model's input gate refuses; the records say so."""
    preview: bool = True
    """Write a picture of three planes beside each volume."""
    precision: Rare[Precision] = "auto"
    """Arithmetic of the network; auto takes bfloat16 where the processor computes in it."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N; auto shares all CUDA devices among the workers."""
    workers: Positive | None = None
    """Worker processes (default: by cores, devices and free memory); also --nprocs and --n-cpus."""
