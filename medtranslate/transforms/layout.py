"""Axial layout of MONAI's tensors [1, X, Y, Z], for dictionary transforms; volumes have `io.layout`.

Axcodes are LPS: index x grows to the patient's left, y to the back, z to the top. So the rows of a slice run
from anterior to posterior, and its columns from the patient's right to left, as a radiologist looks at it.
"""

from __future__ import annotations

import numpy as np
from monai.data import MetaTensor
from monai.transforms import Orientation
from nibabel.orientations import io_orientation
from torch import Tensor

from medtranslate.geometry import require_grid

_layout = Orientation(axcodes="LPS", labels=(("L", "R"), ("P", "A"), ("I", "S")))


def to_axial(volume: MetaTensor) -> MetaTensor:
    """Permute and flip [1, X, Y, Z] to the axial layout, without resampling.

    Raises:
        GeometryRefused: the slices are uneven and not axial (`io.layout.upright` resamples them).
    """
    orientation = io_orientation(np.asarray(volume.affine, np.float64))
    if int(orientation[2, 0]) != 2:  # the last axis does not run from feet to head
        require_grid(volume.meta.get("slices"), str(volume.meta.get("path", "volume")))
    axial = _layout(volume)
    assert isinstance(axial, MetaTensor)
    return axial


def from_axial(volume: MetaTensor) -> MetaTensor:
    """Restore the array layout before `to_axial`: exact in the values, to rounding in the affine."""
    source = _layout.inverse(volume)
    assert isinstance(source, MetaTensor)
    return source


def to_slices(volume: Tensor) -> Tensor:
    """Turn [1, X, Y, Z] in axial layout into slices [Z, 1, Y, X]."""
    return volume.permute(3, 0, 2, 1)


def from_slices(slices: Tensor) -> Tensor:
    """Turn slices [Z, 1, Y, X] into [1, X, Y, Z]; the inverse of `to_slices`."""
    return slices.permute(1, 3, 2, 0)


def pixel_mm(volume: MetaTensor) -> tuple[float, float]:
    """Return row and column spacing of the axial slices of a volume in axial layout."""
    columns, rows, _ = (float(length) for length in volume.pixdim)
    return rows, columns
