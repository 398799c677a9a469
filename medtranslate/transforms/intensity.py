"""Normalisation of physical units to the networks' [-1, 1], and back, for arrays and tensors."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medtranslate.config import Modality, ScaleSettings
from medtranslate.errors import InputRefused
from medtranslate.metrics import foreground_top

Array = TypeVar("Array", Tensor, NDArray[np.float32])

AIR = -1.0
"""Value outside a frame or a picture, in the networks' range."""

_BYTE = 255
_UNUSED = 8
"""A deep picture that uses at most one in so many of its levels is not windowed: it contains numbers, such as
HU + 1024."""

VISIBLE = 0.1
"""Share of the range above which a voxel may belong to the head; above noise and below dark brain."""


def scale_ct(values: Array, window: tuple[float, float]) -> Array:
    """Scale HU to [-1, 1] over the window; values outside saturate."""
    lower, upper = window
    scaled = values - lower
    scaled *= 2.0 / (upper - lower)
    scaled -= 1.0
    return _saturated(scaled)


def unscale_ct(values: Array, window: tuple[float, float]) -> Array:
    """Scale [-1, 1] to HU: the exact inverse of `scale_ct` inside the window."""
    lower, upper = window
    hu = values + 1.0
    hu *= (upper - lower) / 2.0
    hu += lower
    return hu


def mr_top(values: Tensor | NDArray[np.float32], percentile: float, where: str = "image") -> float:
    """Find the MR value that becomes +1: a percentile of the foreground, the voxels above the mean.

    Args:
        where: origin of the values, for the message.

    Raises:
        InputRefused: the volume is constant or has no positive value.
    """
    return foreground_top(np.asarray(values), percentile, where)


def scale_mr(values: Array, top: float) -> Array:
    """Scale [0, top] in arbitrary units to [-1, 1]; values outside saturate."""
    scaled = values * (2.0 / top)
    scaled -= 1.0
    return _saturated(scaled)


def input_range(
    values: Tensor | NDArray[np.float32],
    modality: Modality,
    scale: ScaleSettings,
    *,
    levels: int | None = None,
    hu: tuple[float, float] | None = None,
    where: str = "image",
) -> tuple[float, float]:
    """Find the values of a volume that become -1 and +1, by the rules of the modality.

    CT volumes have the model's window. CT pictures are windowed already, so black and white become -1 and +1,
    unless their HU are known (`hu`). MR volumes and pictures have 0 and a percentile.

    Args:
        levels: largest grey value of a picture; None for physical units.
        hu: slope and offset from a picture's grey values to HU, if known.
        where: origin of the values, for the message.

    Raises:
        InputRefused: the image is constant, an MR without foreground, or a 16-bit CT picture of unknown unit.
    """
    lowest, highest = float(values.min()), float(values.max())
    if lowest == highest:
        raise InputRefused(f"{where}: every voxel is {lowest:g}; give an image of a head")
    if modality == "mr":
        return 0.0, mr_top(values, scale.mr_percentile, where)
    if levels is None:
        return scale.ct_window
    if hu is not None:
        slope, offset = hu
        low, high = ((end - offset) / slope for end in scale.ct_window)
        return low, high
    if levels > _BYTE and highest <= levels / _UNUSED:
        raise InputRefused(
            f"{where}: a {levels.bit_length()}-bit picture with grey values up to {highest:g}, of unknown"
            " unit; give --picture-hu SLOPE OFFSET (1 -1024 for HU + 1024), or CT in HU as NIfTI"
        )
    return 0.0, float(levels)


def normalise(
    values: Array,
    modality: Modality,
    scale: ScaleSettings,
    *,
    levels: int | None = None,
    hu: tuple[float, float] | None = None,
    where: str = "image",
) -> Array:
    """Scale physical units to [-1, 1] over `input_range`.

    Raises:
        InputRefused: the image is constant, or an MR without foreground.
    """
    return scale_ct(values, input_range(values, modality, scale, levels=levels, hu=hu, where=where))


def denormalise(values: Array, modality: Modality, scale: ScaleSettings) -> Array:
    """Scale [-1, 1] to the *target* scale that the model declares, whatever the source's scale."""
    return unscale_ct(values, scale.ct_window if modality == "ct" else scale.mr_range)


def _saturated(values: Array) -> Array:
    """Limit values to [-1, 1] in place."""
    if isinstance(values, Tensor):
        return values.clamp_(-1.0, 1.0)
    return np.clip(values, -1.0, 1.0, out=values)
