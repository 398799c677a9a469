"""Normalisation of physical units to the networks' [-1, 1], and back, for arrays and tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
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


def scale_ct(values: Array, curve: tuple[float, ...]) -> Array:
    """Scale HU to [-1, 1] over a window, or along a curve; values outside saturate.

    Args:
        curve: HU at equal steps from -1 to 1: the ends of a window, with the knots between them, if any.
    """
    if len(curve) > 2:
        return _interpolated(values, np.array(curve), np.linspace(-1.0, 1.0, len(curve)))
    lower, upper = curve
    scaled = values - lower
    scaled *= 2.0 / (upper - lower)
    scaled -= 1.0
    return _saturated(scaled)


def unscale_ct(values: Array, curve: tuple[float, ...]) -> Array:
    """Scale [-1, 1] to HU: the exact inverse of `scale_ct` inside the window."""
    if len(curve) > 2:
        return _interpolated(values, np.linspace(-1.0, 1.0, len(curve)), np.array(curve))
    lower, upper = curve
    hu = values + 1.0
    hu *= (upper - lower) / 2.0
    hu += lower
    return hu


def units_per_step(values: NDArray[np.float32], curve: tuple[float, ...]) -> NDArray[np.float32]:
    """Compute the slope of `unscale_ct` at each value of [-1, 1]: HU per unit."""
    steps = np.diff(curve).astype(np.float32) * ((len(curve) - 1) / 2)
    places = ((values + 1.0) * ((len(curve) - 1) / 2)).astype(np.intp)
    slopes: NDArray[np.float32] = steps[np.clip(places, 0, len(steps) - 1)]
    return slopes


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


def input_curve(
    values: Tensor | NDArray[np.float32],
    modality: Modality,
    scale: ScaleSettings,
    *,
    levels: int | None = None,
    hu: tuple[float, float] | None = None,
    where: str = "image",
) -> tuple[float, ...]:
    """Find the values of a volume that become equal steps from -1 to +1, by the rules of the modality.

    CT volumes have the model's own. CT pictures are windowed already: black and white stand for
    `scale.ct_picture` in HU, unless their own HU are known (`hu`). MR volumes and pictures have 0 and a
    percentile.

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
        return scale.ct_curve
    if hu is not None:
        return _in_levels(scale.ct_curve, *hu)
    if levels > _BYTE and highest <= levels / _UNUSED:
        raise InputRefused(
            f"{where}: a {levels.bit_length()}-bit picture with grey values up to {highest:g}, of unknown"
            " unit; give --picture-hu SLOPE OFFSET (1 -1024 for HU + 1024), or CT in HU as NIfTI"
        )
    return picture_curve(scale, levels)


def picture_curve(scale: ScaleSettings, levels: float) -> tuple[float, ...]:
    """Find the grey values, from 0 to `levels`, of a windowed CT picture that become equal steps.

    Black means air as well as anything below the window. It becomes -1, and the darkest grey values, up to
    `VISIBLE` of the levels, take the part of the range that lies below the window.
    """
    curve = windowed_curve(scale, levels)
    below = [grey for grey in curve if grey <= 0.0]
    if len(below) == 1:
        return curve
    dark = np.linspace(0.0, VISIBLE * levels, len(below))
    return (*dark.tolist(), *(max(grey, 1.01 * dark[-1]) for grey in curve[len(below) :]))


def windowed_curve(scale: ScaleSettings, levels: float) -> tuple[float, ...]:
    """Find the grey values that equal steps become in a windowed picture, which saturates at its ends."""
    black, white = scale.shown_window
    return _in_levels(scale.ct_curve, (white - black) / levels, black)


def as_shown(scale: ScaleSettings, *, picture: bool) -> ScaleSettings:
    """Give the scale of what an image can show: that of a windowed CT picture may be narrower."""
    if not picture or scale.ct_picture is None:
        return scale
    return replace(scale, ct_window=scale.ct_picture, ct_knots=(), ct_picture=None)


def normalise(
    values: Array,
    modality: Modality,
    scale: ScaleSettings,
    *,
    levels: int | None = None,
    hu: tuple[float, float] | None = None,
    where: str = "image",
) -> Array:
    """Scale physical units to [-1, 1] over `input_curve`.

    Raises:
        InputRefused: the image is constant, or an MR without foreground.
    """
    return scale_ct(values, input_curve(values, modality, scale, levels=levels, hu=hu, where=where))


def denormalise(values: Array, modality: Modality, scale: ScaleSettings) -> Array:
    """Scale [-1, 1] to the *target* scale that the model declares, whatever the source's scale."""
    return unscale_ct(values, scale.ct_curve if modality == "ct" else scale.mr_range)


def _in_levels(curve: tuple[float, ...], slope: float, offset: float) -> tuple[float, ...]:
    """Convert HU to the grey values of a picture whose HU are slope * grey + offset."""
    return tuple((hu - offset) / slope for hu in curve)


def _interpolated(values: Array, known: NDArray[np.float64], wanted: NDArray[np.float64]) -> Array:
    """Interpolate linearly between knots; beyond their ends, saturate."""
    if isinstance(values, Tensor):
        found = np.interp(values.cpu().numpy(), known, wanted)
        return torch.as_tensor(found, dtype=values.dtype, device=values.device)
    return np.interp(values, known, wanted).astype(values.dtype)


def _saturated(values: Array) -> Array:
    """Limit values to [-1, 1] in place."""
    if isinstance(values, Tensor):
        return values.clamp_(-1.0, 1.0)
    return np.clip(values, -1.0, 1.0, out=values)
