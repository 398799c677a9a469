"""The axial layout of a volume.

Its axcodes are LPS: index x grows to the patient's left, y to the back, z to the top. So the rows of a slice
run from anterior to posterior and its columns from the patient's right to left, as a radiologist looks
at it.

Most volumes are laid out by permuting and flipping their axes alone. Those whose slices lie far from any
of the patient's planes, and uneven slices that are not axial, are resampled (`upright`) and brought back
onto their own slices (`onto_slices`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medtranslate.geometry import Floats, SliceGeometry, slices_of, spacing
from medtranslate.io.regrid import from_grid, to_grid
from medtranslate.io.volume import Volume
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

_LPS = np.diag([-1.0, -1.0, 1.0])


def upright(volume: Volume) -> Volume:
    """Resample a volume along the patient's axes if its own layout gives no axial slices.

    That is so if it is turned by more than `OBLIQUE_DEGREES`, or its slices are uneven and not axial. A
    volume of one slice stays as it is.

    Raises:
        Unreadable: it would be over the bound.
    """
    uneven = volume.meta.slices is not None and not _slices_are_axial(volume.affine)
    if min(volume.shape) == 1 or not (uneven or turn(volume.affine) > OBLIQUE_DEGREES):
        return volume
    values, slices = _as_slices(volume)
    sizes = np.full(3, max(UPRIGHT_MM, min(slices.pixel_mm)))
    fill = PADDING[volume.meta.modality or "mr"]
    made, affine = to_grid(values.values, slices, _LPS, sizes, fill, volume.where)
    note = "resampled along the patient's axes, and the result back onto its own slices"
    meta = replace(volume.meta, slices=None, warnings=(*volume.meta.warnings, note))
    return Volume(made, affine, meta)


def onto_slices(volume: Volume, source: Volume) -> Volume:
    """Bring what was made of `upright(source)` onto the source's slices, unless it lies there already."""
    # Flipping axes there and back costs the affine its last digits.
    if volume.shape == source.shape and np.allclose(volume.affine, source.affine, rtol=0, atol=SAME_MM):
        return Volume(volume.values, source.affine, replace(volume.meta, slices=source.meta.slices))
    like, slices = _as_slices(source)
    values = volume.values
    made = from_grid(values, volume.affine, slices, like.shape[:2], float(values.min()))
    meta = replace(volume.meta, slices=source.meta.slices)
    return from_axial(Volume(made, like.affine, meta), source)


def to_axial(volume: Volume) -> Volume:
    """Permute and flip a volume to the axial layout; a view of the same memory, never resampled.

    Raises:
        GeometryRefused: the slices are uneven and not axial (`upright` resamples them).
    """
    if not _slices_are_axial(volume.affine):
        volume.require_grid()
    order, steps = _ways(volume.affine)
    back = np.zeros((4, 4))  # from the axial array's indices to the volume's
    back[3, 3] = 1
    for axial, (axis, step) in enumerate(zip(order, steps, strict=True)):
        back[axis, axial], back[axis, 3] = step, 0 if step > 0 else volume.shape[axis] - 1
    values = volume.values.transpose(order)[_stepping(steps)]
    return Volume(values, volume.affine @ back, volume.meta)


def from_axial(volume: Volume, like: Volume) -> Volume:
    """Give a volume in axial layout the array layout and affine of `like`; the inverse of `to_axial`."""
    order, steps = _ways(like.affine)
    return Volume(volume.values[_stepping(steps)].transpose(np.argsort(order)), like.affine, volume.meta)


def to_slices(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Slices [Z, Y, X] of values [X, Y, Z] in axial layout; the inverse of itself."""
    return volume.T


def pixel_mm(volume: Volume) -> tuple[float, float]:
    """Row and column spacing of the axial slices of a volume in axial layout."""
    columns, rows, _ = volume.spacing
    return rows, columns


def turn(affine: Floats) -> float:
    """Degrees by which a volume is turned against the patient's axes, each of its own against the nearest."""
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing(affine))
    cosine = (np.trace(_nearest(affine).T @ left @ right) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _as_slices(volume: Volume) -> tuple[Volume, SliceGeometry]:
    """Lay a volume out axially if it is a regular grid, and describe its slices."""
    if volume.meta.slices is not None:
        return volume, volume.meta.slices
    axial = to_axial(volume)
    return axial, slices_of(axial.affine, axial.shape[2])


def _ways(affine: Floats) -> tuple[list[int], list[int]]:
    """Find the array axis that runs along each axis of the axial layout, and if it runs backwards, -1."""
    nearest = _LPS @ _nearest(affine)
    order = [int(axis) for axis in np.abs(nearest).argmax(axis=1)]
    return order, [int(row[axis]) for row, axis in zip(nearest, order, strict=True)]


def _stepping(steps: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(None, None, step) for step in steps)


def _nearest(affine: Floats) -> Floats:
    """Find the permutation and flips [3, 3] from array axes to RAS+ that are nearest to an affine.

    It is nibabel's `io_orientation`: of the rotation next to the affine, each array axis in turn takes the
    world axis to which it is closest of those that are left. Importing nibabel takes 0.15 s.
    """
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing(affine))
    rotation, nearest = left @ right, np.zeros((3, 3))
    for axis in np.argsort(-np.abs(rotation).max(axis=0), kind="stable"):
        world = int(np.abs(rotation[:, axis]).argmax())
        nearest[world, axis] = np.sign(rotation[world, axis])
        rotation[world] = 0
    return nearest


def _slices_are_axial(affine: Floats) -> bool:
    """Tell if the array's last axis is the one from feet to head."""
    return bool(_nearest(affine)[2, 2] != 0)
