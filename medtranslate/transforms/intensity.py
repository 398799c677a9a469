"""Physical units to the networks' [-1, 1], and [-1, 1] to the target's units."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

from medtranslate.config import Modality, ScaleSettings
from medtranslate.errors import InputRefused

AIR = -1.0
"""Value of what lies outside a frame or a picture, in the networks' range."""

_BYTE = 255
_UNUSED = 8
"""A deep picture that uses less than one in so many of its levels holds numbers, such as HU + 1024, and is
not windowed."""

VISIBLE = 0.1
"""Share of the range above which a voxel may belong to the head; above noise and below dark brain."""


def scale_ct(values: Tensor, window: tuple[float, float]) -> Tensor:
    """HU to [-1, 1] over the window; values outside it saturate."""
    lower, upper = window
    return (values - lower).mul_(2.0 / (upper - lower)).sub_(1.0).clamp_(-1.0, 1.0)


def unscale_ct(values: Tensor, window: tuple[float, float]) -> Tensor:
    """[-1, 1] to HU: the exact inverse of `scale_ct` inside the window."""
    lower, upper = window
    return (values + 1.0).mul_((upper - lower) / 2.0).add_(lower)


def mr_top(values: Tensor, percentile: float, where: str = "image") -> float:
    """The MR value that becomes +1: a percentile of the foreground, that is of voxels above the mean.

    Raises:
        InputRefused: the volume is constant or has no positive value.
    """
    # A percentile of 200,000 voxels is exact to a fraction of the noise, and the sort stays short.
    sample = values.take(torch.arange(0, values.numel(), max(1, values.numel() // 200_000)))
    foreground = sample[sample > sample.mean()]
    top = float(np.percentile(foreground.numpy(), percentile)) if foreground.numel() else 0.0
    if top <= 0.0:
        raise InputRefused(
            f"{where}: MR values from {float(values.min()):g} to {float(values.max()):g} show no foreground;"
            " give an image with positive contrast"
        )
    return top


def scale_mr(values: Tensor, top: float) -> Tensor:
    """[0, top] in arbitrary units to [-1, 1]; values outside saturate."""
    return (values * (2.0 / top) - 1.0).clamp(-1.0, 1.0)


def input_range(volume: MetaTensor, modality: Modality, scale: ScaleSettings) -> tuple[float, float]:
    """The values of a volume that become -1 and +1, by the rules of the modality.

    A picture's grey values are taken to be the CT window already (8-bit CT pictures are windowed),
    so black is the window's lower end and white its upper, unless it is known what they are in HU; MR
    pictures go by percentile like volumes.

    Raises:
        InputRefused: the image is constant, an MR without foreground, or a 16-bit CT picture of unknown unit.
    """
    values = volume.as_tensor()
    lowest, highest = values.amin(), values.amax()
    if lowest == highest:
        raise InputRefused(f"{origin(volume)}: every voxel is {float(lowest):g}; give an image of a head")
    if modality == "mr":
        return 0.0, mr_top(values, scale.mr_percentile, origin(volume))
    if "levels" not in volume.meta:
        return scale.ct_window
    if (known := volume.meta.get("hu")) is not None:
        slope, offset = known
        low, high = ((end - offset) / slope for end in scale.ct_window)
        return low, high
    levels = int(volume.meta["levels"])
    if levels > _BYTE and float(highest) <= levels / _UNUSED:
        raise InputRefused(
            f"{origin(volume)}: a {levels.bit_length()}-bit picture with grey values up to {float(highest):g}"
            " only, whose unit is not known; give --picture-hu SLOPE OFFSET (1 -1024 for HU + 1024), or CT in"
            " HU as NIfTI"
        )
    return 0.0, float(levels)


def normalise(volume: MetaTensor, modality: Modality, scale: ScaleSettings) -> tuple[Tensor, float]:
    """Physical units to [-1, 1] over `input_range`, and the share of voxels that saturated.

    Raises:
        InputRefused: the image is constant, or an MR without foreground.
    """
    ends, values = input_range(volume, modality, scale), volume.as_tensor()
    return scale_ct(values, ends), outside(values, ends) / values.numel()


def outside(values: Tensor, ends: tuple[float, float]) -> int:
    """Number of voxels that saturate."""
    return int(((values < ends[0]) | (values > ends[1])).count_nonzero())


def denormalise(values: Tensor, modality: Modality, scale: ScaleSettings) -> Tensor:
    """[-1, 1] to the *target* scale that the model declares; the source's scale plays no part."""
    return unscale_ct(values, scale.ct_window if modality == "ct" else scale.mr_range)


def origin(volume: MetaTensor) -> str:
    """What a volume was read from, for messages."""
    return str(volume.meta.get("path", "image"))
