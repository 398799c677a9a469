"""Types of the settings: choices, ranges, units, and how rarely a setting is needed."""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from medtranslate.errors import SettingsError
from medtranslate.modality import PADDING


def _modality(name: object) -> object:
    """Return ct or mr for spellings such as `CT`, `Mr` and `mri`, anything else as it is."""
    text = name.strip().lower() if isinstance(name, str) else name
    return "mr" if text == "mri" else text


Modality = Annotated[Literal["ct", "mr"], BeforeValidator(_modality)]

Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
Precision = Literal["auto", "float32", "bfloat16"]
FrameName = Literal["head", "slice"]
PlaneName = Literal["axial", "coronal", "sagittal"]
Planes = Literal[1, 3]
"""Axial slices alone, or coronal and sagittal ones, too."""

Anatomy = Literal["head", "other"]
PhantomContrast = Literal["t1", "t2", "flair", "random"]
Contrast = Literal["t1", "t1c", "t2", "flair", "pd"]
"""Contrasts that a translated MR can be asked for."""

StreamContrast = Literal["t1", "t2", "flair", "physics", "random", "both"]

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}$")]
"""Name of a model: plain letters and signs, since it goes into headers, pages and terminals."""

PATIENTS = "head-ct"
"""Name of the model that is used by default: the shipped one for images of patients."""


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if not -math.inf < ends[0] < ends[1] < math.inf:
        raise ValueError("write the lower end, then the upper one, both finite")
    return ends


Ends = Annotated[tuple[float, float], AfterValidator(_ascending)]
Window = tuple[float, Annotated[float, Field(gt=0)]]
"""Level and width."""


def ends_of(window: Window) -> Ends:
    """Return the values that are black and white in a window."""
    level, width = window
    return level - width / 2, level + width / 2


Positive = Annotated[int, Field(gt=0)]
Width = Annotated[int, Field(gt=0, le=4096)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)]
GroupedWidths = Annotated[
    tuple[Annotated[int, Field(gt=0, le=4096, multiple_of=8)], ...], Field(min_length=1, max_length=8)
]
"""Widths of layers whose channels are normalised in eight groups."""
Seed = Annotated[int, Field(ge=0)]
Samples = Annotated[int, Field(ge=2, le=1000)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]


def _as_text(value: object) -> object:
    return f"{value:g}" if isinstance(value, int | float) else value


NanTo = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^(air|[+-]?\d+(\.\d*)?)$")]
"""Value for voxels that are NaN: a number, or air, which is the `PADDING` of the image's modality."""


def nan_value(nan_to: str | None, modality: Modality | None, where: str) -> float | None:
    """Give the number that voxels of an image become that are NaN; None where they are refused.

    Args:
        nan_to: a `NanTo` setting.
        modality: of the image, where known.
        where: name of the image, for the message.

    Raises:
        SettingsError: air is asked for, and the modality is not known.
    """
    if nan_to != "air":
        return None if nan_to is None else float(nan_to)
    if modality is None:
        raise SettingsError(f"--nan-to air: {where} may be CT or MR; give --modality, or a number")
    return PADDING[modality]


PictureHU = tuple[Annotated[float, Field(gt=0)], float]
"""Slope and offset from grey values to HU."""
Millimetres = Annotated[float, Field(ge=0.01, le=100.0)]
Spacing = tuple[Millimetres, Millimetres, Millimetres]

Kind = TypeVar("Kind")
RARE = "rare"
Rare = Annotated[Kind, RARE]
"""Marks a setting that few users change: `--help` leaves it out, `--help-all` shows it."""

EXISTING = "existing"
Existing = Annotated[Kind, EXISTING]
"""Marks a path that is read: commands say that it is missing before they load programs."""

FROZEN = ConfigDict(extra="forbid", use_attribute_docstrings=True)
