"""Settings of `phantom`, `demo` and `prepare`, which make data, and of `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from medtranslate.config.types import (
    FROZEN,
    Contrast,
    Device,
    Existing,
    Fraction,
    PhantomContrast,
    Rare,
    Seed,
)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class PhantomSettings:
    """Settings of `phantom`."""

    out: Path
    """Folder for `ct` and `mr` in the chosen format, and `labels.nii.gz`."""
    seed: Seed = 0
    """Seed of the head: shape, pose, size, tissues, lesions and noise."""
    size: Annotated[int, Field(ge=32, le=512)] = 256
    """Voxels along each axis of the cube."""
    spacing: Annotated[float, Field(gt=0.1, le=10.0)] = 1.0
    """Voxel size in mm."""
    contrast: PhantomContrast = "t1"
    """MR contrast: that of a sequence, or random for each tissue."""
    format: Literal["dicom", "nifti"] = "nifti"
    """Format of the two volumes."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class PrepareSettings:
    """Settings of `prepare`."""

    source: Existing[Path]
    """Folder that holds the folders of CT and of MR pictures."""
    out: Path
    """Folder for train/ct, train/mr, val/ct, val/mr, groups.csv and prepared.json."""
    ct: tuple[str, ...] = ("trainA", "testA")
    """Names of the folders of CT pictures in SOURCE."""
    mr: tuple[str, ...] = ("trainB", "testB")
    """Names of the folders of MR pictures in SOURCE."""
    val_share: Annotated[float, Field(gt=0, lt=1)] = 0.13
    """Share of the pictures to hold back for validation, by whole groups."""
    alike: Rare[Fraction] = 0.96
    """Correlation of two thumbnails at and above which their pictures share a group."""
    copies: Rare[Fraction] = 0.995
    """Correlation at and above which they are copies, of which one is kept."""
    seed: Seed = 0
    """Seed of the split."""
    link: bool = False
    """Link to the pictures instead of copying them."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class ExportSettings:
    """Settings of `export`."""

    model: str
    """Name of a model, or its folder."""
    output: Path
    """Folder to write."""
    to: Literal["bundle", "onnx"]
    """bundle: for MONAI's `bundle run`; onnx: a file for each direction."""
    contrast: Contrast | None = None
    """Contrast of a translated MR: t1, t1c, t2, flair or pd (default: t2, where the model has a choice)."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class DemoSettings:
    """Settings of `demo`."""

    out: Path
    """Folder for the study, its translation, the evaluation and report.html."""
    model: str = "phantom"
    """Name of a model, or its folder."""
    seed: Seed = 900_000
    """Seed of the digital head; training never uses those of 900000 and above."""
    size: Annotated[int, Field(ge=64, le=512)] = 192
    """Voxels along each axis of the head's cube."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    overwrite: bool = False
    """Replace an existing output."""
