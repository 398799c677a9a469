"""A volume's array laid out axially, and its slices.

Axcodes are LPS: index x grows to the patient's left, y to the back, z to the top. So the rows of a slice
run from anterior to posterior and its columns from the patient's right to left, as a radiologist looks
at it.
"""

from __future__ import annotations

from monai.data import MetaTensor
from monai.transforms import Orientation
from torch import Tensor

_layout = Orientation(axcodes="LPS", labels=(("L", "R"), ("P", "A"), ("I", "S")))


def to_axial(volume: MetaTensor) -> MetaTensor:
    """[1, X, Y, Z] permuted and flipped, never resampled, to the axial layout."""
    axial = _layout(volume)
    assert isinstance(axial, MetaTensor)
    return axial


def from_axial(volume: MetaTensor) -> MetaTensor:
    """The array layout back that `to_axial` changed: an exact inverse."""
    source = _layout.inverse(volume)
    assert isinstance(source, MetaTensor)
    return source


def to_slices(volume: Tensor) -> Tensor:
    """[1, X, Y, Z] in axial layout to slices [Z, 1, Y, X]."""
    return volume.permute(3, 0, 2, 1)


def from_slices(slices: Tensor) -> Tensor:
    """Slices [Z, 1, Y, X] to [1, X, Y, Z]; the inverse of `to_slices`."""
    return slices.permute(1, 3, 2, 0)


def pixel_mm(volume: MetaTensor) -> tuple[float, float]:
    """Row and column spacing of the axial slices of a volume in axial layout."""
    columns, rows, _ = (float(length) for length in volume.pixdim)
    return rows, columns
