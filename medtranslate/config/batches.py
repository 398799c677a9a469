"""Settings of `batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
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
    Window,
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class BatchSettings:
    """Settings of `batch`."""

    source: Existing[Path]
    """Folder tree of volumes, series and pictures; a BIDS dataset; a CSV with a column `path`; or a pattern
    in quotes, such as 'DATA/*/mr.nii.gz'."""
    out: Path
    """Folder for the translations, in the tree of SOURCE, and summary.csv, overview.html, batch.jsonl."""
    to: Modality
    """Target modality: ct or mr."""
    model: str = PATIENTS
    """Name of a model, or its folder."""
    contrast: Contrast | None = None
    """Contrast of a translated MR: t1, t1c, t2, flair or pd (default: t2, where the model has a choice)."""
    like: Existing[Path | None] = None
    """MR whose contrast translated MR shall have, in place of `contrast`."""
    format: FormatName | None = None
    """Format to write (default: the format of each input)."""
    select: str | None = None
    """NAME=VALUE of the acquisition to read of each DICOM series, such as echo=2 or kernel=H31s."""
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
    """Resample tilted or uneven DICOM slices onto a regular grid, which formats such as nifti need."""
    compress: bool = False
    """Compress the pixels of DICOM outputs without loss (JPEG-LS)."""
    burn_in: bool = False
    """Write SYNTHETIC CT or MR into a corner of each slice, for viewers that show no header."""
    preview: bool = True
    """Write a picture of three planes beside each volume."""
    force: bool = False
    """Translate inputs that the model's input gate refuses; the records say so."""
    precision: Precision = "auto"
    """Arithmetic of the network; auto takes bfloat16 where the processor computes in it."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N; auto shares all CUDA devices among the workers."""
    workers: Positive | None = None
    """Worker processes, each with the model (default: by cores, devices and free memory)."""
    cluster: Annotated[str, Field(pattern=r"^(auto|[^/\s]+:\d+)$")] | None = None
    """Use a Ray cluster: HOST:PORT of its head, or auto for the cluster of this machine."""
    participant_label: Rare[tuple[str, ...]] = ()
    """Of a BIDS dataset: participants to translate, separated by commas (default: all)."""
    session_id: Rare[tuple[str, ...]] = ()
    """Of a BIDS dataset: sessions to translate, separated by commas (default: all)."""
    bids_filter_file: Rare[Path | None] = None
    """Of a BIDS dataset: JSON of entities that images must have, as for fMRIPrep (docs/batches.md)."""
    follow_links: Rare[bool] = False
    """Follow links to folders, and to files outside of SOURCE."""
    fail_fast: bool = False
    """Stop at the first item that fails, without a second try."""
    watch: bool = False
    """Keep running and translate what arrives, until Ctrl-C."""
    settle: Rare[Annotated[float, Field(ge=0.1, le=86400)]] = 10.0
    """With --watch: seconds that a file has to stay unchanged before it is read."""
    overwrite: bool = False
    """Translate everything again, and replace files that no batch wrote."""


UNTOLD = (
    *("source", "out", "device", "workers", "cluster", "follow_links", "fail_fast", "watch", "settle"),
    *("preview", "model", "like", "overwrite", "participant_label", "session_id", "bids_filter_file"),
)
"""Settings of `batch` that change no output; `model` and `like` are here because their contents count."""
