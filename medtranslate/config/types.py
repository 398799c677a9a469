"""What a setting may be: names, ranges, units.

Names of networks, profiles and formats are `Literal`s so that `--help` needs no torch; a test holds them
against the dicts they stand for.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field


def _modality(name: object) -> object:
    """`CT`, `Mr` and `mri` in the words that are kept, ct and mr; anything else as it is."""
    text = name.strip().lower() if isinstance(name, str) else name
    return "mr" if text == "mri" else text


Modality = Annotated[Literal["ct", "mr"], BeforeValidator(_modality)]

Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
Precision = Literal["auto", "float32", "bfloat16"]
GeneratorName = Literal["vae"]
DiscriminatorName = Literal["multiscale"]
ProfileName = Literal["image", "synthrad2023", "synthrad2025"]
FrameName = Literal["head", "slice"]
FormatName = Literal["dicom", "nifti", "mha", "nrrd", "mgh", "png"]
ViewName = Literal["html", "pdf", "csv", "json", "dicom"]
PhantomContrast = Literal["t1", "t2", "flair", "random"]
StreamContrast = Literal["t1", "t2", "flair", "physics", "random", "both"]

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}$")]
"""Plain letters and signs: the name goes into headers, pages and terminals."""

PATIENTS = "brain-2d"
"""The shipped model for images of patients, which is taken where none is named."""


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

FROZEN = ConfigDict(extra="forbid", use_attribute_docstrings=True)
