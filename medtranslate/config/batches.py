"""Settings of `batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from medtranslate.config.types import FROZEN, PATIENTS, Device, FormatName, Modality, Positive, Precision


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class BatchSettings:
    """Settings of `batch`."""

    source: Path
    """A folder tree of volumes, series and pictures; a BIDS dataset; or a CSV with a column `path`."""
    out: Path
    """Folder for the translations, in the tree of SOURCE, and summary.csv, overview.html, batch.jsonl."""
    to: Modality
    """Target modality: ct or mr."""
    model: str = PATIENTS
    """Name of a model at hand, or the folder of one."""
    format: FormatName | None = None
    """Format to write (default: each input's own)."""
    regrid: bool = False
    """Resample tilted or uneven DICOM slices onto a regular grid, which a --format such as nifti needs."""
    compress: bool = False
    """Keep the pixels of DICOM outputs with lossless compression (JPEG-LS)."""
    burn_in: bool = False
    """Write SYNTHETIC CT or MR into a corner of each slice, for viewers that show no header."""
    preview: bool = True
    """A picture of three planes beside each output that is a volume."""
    force: bool = False
    """Translate what the model's input gate refuses, too; the records say so."""
    precision: Precision = "auto"
    """auto, float32 or bfloat16; auto is bfloat16 where the processor computes in it."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N; auto shares all CUDA devices out among the workers."""
    workers: Positive | None = None
    """Processes, each with the model (default: by cores, devices and free memory)."""
    cluster: Annotated[str, Field(pattern=r"^(auto|[^/\s]+:\d+)$")] | None = None
    """Work on a Ray cluster: HOST:PORT of its head, or auto for the one that this machine is part of."""
    follow_links: bool = False
    """Follow links to folders, and to files outside of SOURCE."""
    fail_fast: bool = False
    """Stop at the first item that fails, and do not try it again."""
    watch: bool = False
    """Go on with what arrives, until Ctrl-C."""
    settle: Annotated[float, Field(ge=0.1, le=86400)] = 10.0
    """With --watch: seconds for which files must not have changed."""
    overwrite: bool = False
    """Translate everything anew, and replace files that no batch wrote."""


UNTOLD = (
    *(
        "source",
        "out",
        "model",
        "device",
        "workers",
        "cluster",
        "follow_links",
        "fail_fast",
        "watch",
        "settle",
        "preview",
    ),
    "overwrite",
)
"""Settings of `batch` that change no output, and the model, which is known by its digest."""
