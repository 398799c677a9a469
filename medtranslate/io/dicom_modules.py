"""Modules of pixels and place of a derived CT or MR (PS3.3 A.3, A.4, C.7.6, C.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from medtranslate.geometry import Stack, spacing

Stored = NDArray[np.int16] | NDArray[np.uint16]

MR_LIMIT = 4095.0
"""Largest value of 12 bits without sign."""

_SAMPLES = 2**19

AIR_TO_BONE_HU = (-1000.0, 1000.0)
"""Least range of a model's CT for the computation of dose: air, which has no density, and dense bone.
A CT that saturates inside this range gives wrong densities without looking wrong."""

WINDOWED = "WINDOWED, NOT FOR DOSE"

WINDOWS = {"SOFT TISSUE": (-160.0, 240.0), "BONE": (-500.0, 1500.0)}
"""Lower and upper HU that a CT from air to bone is shown with; viewers open with the first."""

_BRIGHT = 99.5
"""Percentile of an MR's foreground that is shown white, so that a few bright voxels darken nothing."""


def describe_ct(header: Dataset, low: float, high: float) -> None:
    """CT image, image pixel and VOI LUT modules.

    The one place that says what a CT's numbers mean, from the range that its maker declares.
    """
    _describe_pixels(header, bits=16, signed=True)
    header.KVP = None
    header.RescaleSlope, header.RescaleIntercept = "1", "0"
    if low <= AIR_TO_BONE_HU[0] and high >= AIR_TO_BONE_HU[1]:
        header.RescaleType = "HU"
        _show(header, WINDOWS)
    else:
        header.RescaleType = "US"
        # What it is comes first: lists of series show some twenty characters.
        what, _, more = header.SeriesDescription.partition(", ")
        header.SeriesDescription = f"{what}, {WINDOWED}; {more}"
        saturates = f"{WINDOWED}: saturates at {low:g} and {high:g} HU"
        header.DerivationDescription = f"{saturates}. {header.DerivationDescription}"
        _show(header, {"WINDOWED": (low, high)})


def describe_mr(header: Dataset, stored: Stored) -> None:
    """MR image, image pixel and VOI LUT modules."""
    _describe_pixels(header, bits=12, signed=False)
    header.ScanningSequence, header.SequenceVariant = "RM", "NONE"
    for keyword in ("ScanOptions", "MRAcquisitionType", "EchoTime", "RepetitionTime", "EchoTrainLength"):
        setattr(header, keyword, None)
    seen = stored.reshape(-1)[:: max(1, stored.size // _SAMPLES)]
    bright = float(np.percentile(seen[seen > 0], _BRIGHT)) if seen.any() else MR_LIMIT
    _show(header, {"BRIGHT": (0, bright)})


def _describe_pixels(header: Dataset, bits: int, signed: bool) -> None:
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, bits, bits - 1
    header.PixelRepresentation = int(signed)
    header.AcquisitionNumber = None


def _show(header: Dataset, windows: Mapping[str, tuple[float, float]]) -> None:
    """Add the windows that a viewer offers, by name (PS3.3 C.11.2.1.2)."""
    ends = windows.values()
    header.WindowCenter = [format_number_as_ds((low + high) / 2) for low, high in ends]
    header.WindowWidth = [format_number_as_ds(max(high - low, 1.0)) for low, high in ends]
    header.WindowCenterWidthExplanation = list(windows)


def describe_plane(header: Dataset, stack: Stack, sources: Sequence[Dataset]) -> None:
    """Size of pixels and slices; a source's own numbers are taken over as they are."""
    column, row, step = spacing(stack.affine)
    given = sources[0].PixelSpacing if sources else (row, column)
    header.PixelSpacing = decimals(given)
    header.setdefault("SliceThickness", format_number_as_ds(float(step)))
    if len(sources) == 1:  # whose distance to the next no position tells
        header.SpacingBetweenSlices = format_number_as_ds(float(step))


def decimals(numbers: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Write numbers as decimal strings of at most 16 characters (PS3.5 6.2, VR DS)."""
    return [format_number_as_ds(float(number)) for number in numbers]
