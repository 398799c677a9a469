"""A volume laid out axially, and its slices.

Axcodes are LPS: index x grows to the patient's left, y to the back, z to the top. So the rows of a slice
run from anterior to posterior and its columns from the patient's right to left, as a radiologist looks
at it.

Most volumes are laid out by permuting and flipping their axes alone. Those whose slices lie far from any
of the patient's planes, and uneven slices that are not axial, are resampled (`upright`) and brought back
onto their own slices (`onto_slices`).
"""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation
from nibabel.orientations import io_orientation
from torch import Tensor

from medtranslate.geometry import Floats, SliceGeometry, require_grid, slices_of, spacing
from medtranslate.io.regrid import from_grid, to_grid
from medtranslate.modality import PADDING

OBLIQUE_DEGREES = 35.0
"""Largest turn of a volume against the patient's axes that counts as axial, coronal or sagittal.

Gantries tilt by up to 30 degrees, and MR slices that follow the skull base lie within them; a head may lie
turned by as much.
"""
UPRIGHT_MM = 1.0
"""Smallest voxel that a volume is resampled to; its own pixels, if they are larger."""

SAME_MM = 1e-6
"""Entries of two affines that differ by no more are the same."""

_layout = Orientation(axcodes="LPS", labels=(("L", "R"), ("P", "A"), ("I", "S")))
_LPS = np.diag([-1.0, -1.0, 1.0])
_GRID = ("affine", "original_affine", "spatial_shape", "slices")
"""Meta that says where voxels lie."""


def upright(volume: MetaTensor) -> MetaTensor:
    """The volume itself, or resampled along the patient's axes if its own layout gives no axial slices.

    That is so if it is turned by more than `OBLIQUE_DEGREES`, or its slices are uneven and not axial. A
    volume of one slice stays as it is.

    Args:
        volume: [1, X, Y, Z], with `modality` in its meta if it is not a picture.

    Raises:
        Unreadable: it would be over the bound.
    """
    uneven = "slices" in volume.meta and not _slices_are_axial(volume)
    if min(volume.shape[1:]) == 1 or not (uneven or turn(_affine(volume)) > OBLIQUE_DEGREES):
        return volume
    values, slices = _as_slices(volume)
    sizes = np.full(3, max(UPRIGHT_MM, min(slices.pixel_mm)))
    fill = PADDING[volume.meta.get("modality", "mr")]
    made, affine = to_grid(
        values.numpy()[0], slices, _LPS, sizes, fill, str(volume.meta.get("path", "volume"))
    )
    note = "resampled along the patient's axes, and the result back onto its own slices"
    meta = {key: value for key, value in volume.meta.items() if key not in _GRID}
    meta["warnings"] = [*volume.meta.get("warnings", []), note]
    return MetaTensor(torch.from_numpy(made[None]), affine=torch.from_numpy(affine), meta=meta)


def onto_slices(volume: MetaTensor, source: MetaTensor) -> MetaTensor:
    """What was made of `upright(source)`, on the slices of the source; as it is if it lies there already."""
    # Flipping axes there and back costs the affine its last digits.
    if volume.shape == source.shape and torch.allclose(volume.affine, source.affine, rtol=0, atol=SAME_MM):
        volume.affine = source.affine
        return volume
    like, slices = _as_slices(source)
    values = volume.numpy()[0]
    made = from_grid(values, _affine(volume), slices, (like.shape[1], like.shape[2]), float(values.min()))
    grid = {key: like.meta[key] for key in _GRID if key in like.meta}
    brought = MetaTensor(
        torch.from_numpy(made[None]), meta=volume.meta | grid, applied_operations=like.applied_operations
    )
    return brought if like is source else from_axial(brought)


def _as_slices(volume: MetaTensor) -> tuple[MetaTensor, SliceGeometry]:
    """The volume, laid out axially if it is a regular grid, and where the slices of that layout lie."""
    if "slices" in volume.meta:
        return volume, volume.meta["slices"]
    axial = to_axial(volume)
    return axial, slices_of(_affine(axial), axial.shape[3])


def turn(affine: Floats) -> float:
    """Degrees by which a volume is turned against the patient's axes, each of its own against the nearest."""
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing(affine))
    cosine = (np.trace(_nearest(affine).T @ left @ right) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def to_axial(volume: MetaTensor) -> MetaTensor:
    """[1, X, Y, Z] permuted and flipped, never resampled, to the axial layout.

    Raises:
        GeometryRefused: the slices are uneven and not axial (`upright` resamples them).
    """
    if not _slices_are_axial(volume):
        require_grid(volume.meta.get("slices"), str(volume.meta.get("path", "volume")))
    axial = _layout(volume)
    assert isinstance(axial, MetaTensor)
    return axial


def from_axial(volume: MetaTensor) -> MetaTensor:
    """The array layout back that `to_axial` changed; exact in the values, to rounding in the affine."""
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


def _affine(volume: MetaTensor) -> Floats:
    return np.asarray(volume.affine, dtype=np.float64)


def _nearest(affine: Floats) -> Floats:
    """The permutation and flips [3, 3] from array axes to RAS+ that lie nearest to an affine."""
    nearest = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(io_orientation(affine)):
        nearest[int(world), axis] = sign
    return nearest


def _slices_are_axial(volume: MetaTensor) -> bool:
    """Whether the array's last axis is the one from feet to head."""
    return bool(_nearest(_affine(volume))[2, 2] != 0)
