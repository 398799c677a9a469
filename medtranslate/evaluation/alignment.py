"""Volumes brought to one layout and held to one grid."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample
from nibabel.orientations import io_orientation

from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.geometry import require_grid, spacing
from medtranslate.metrics import Volume, require_finite
from medtranslate.transforms import to_axial

CORNER_TOLERANCE_MM = 0.01
DIRECTION_TOLERANCE = 1e-4


def align(
    prediction: MetaTensor,
    reference: MetaTensor,
    *,
    resample_reference: bool = False,
    **others: MetaTensor | None,
) -> dict[str, MetaTensor]:
    """The volumes by role, turned to LPS, on one grid, finite.

    A reference that was resampled comes with the role `field`: 1 where it reaches. `reversed_axes` in the
    reference's meta are the axes that its file, or the prediction's if it was resampled, holds from the other
    end.
    """
    given = {"prediction": prediction, "reference": reference, **others}
    for role, volume in given.items():
        if volume is not None:
            require_grid(volume.meta.get("slices"), f"{role} ({where(volume)})")
    volumes = {role: to_axial(volume) for role, volume in given.items() if volume is not None}
    for role, volume in volumes.items():
        require_finite(array(volume), f"{role} ({where(volume)})")
    if resample_reference:
        volumes |= _resampled(volumes)
    stored = given["prediction" if "field" in volumes else "reference"]
    assert stored is not None
    note = {"reversed_axes": _reversed_axes(stored)}
    found = volumes["reference"]
    volumes["reference"] = MetaTensor(found.as_tensor(), meta={**found.meta, **note})
    for role, volume in volumes.items():
        _check_grid(volume, volumes["reference"], f"{role} ({where(volume)})")
    return volumes


def _reversed_axes(volume: MetaTensor) -> tuple[int, ...]:
    """Axes of the LPS layout that an array runs along from the other end."""
    signs = {int(world): sign for world, sign in io_orientation(np.asarray(volume.affine, np.float64))}
    return tuple(axis for axis, own in enumerate((-1, -1, 1)) if signs[axis] != own)


def _resampled(volumes: Mapping[str, MetaTensor]) -> dict[str, MetaTensor]:
    """Reference with its field of view, and mask, on the prediction's grid where theirs are others."""
    prediction, reference, mask = volumes["prediction"], volumes["reference"], volumes.get("mask")
    moved = {}
    if mismatch(reference, prediction):
        moved["reference"], moved["field"] = _onto_grid(prediction, reference)
    if mask is not None and mismatch(mask, prediction):
        moved["mask"] = _regrid(mask, prediction, "nearest")
    return moved


def _check_grid(volume: MetaTensor, reference: MetaTensor, what: str) -> None:
    """Refuse a volume that is not on the reference's grid."""
    found = mismatch(volume, reference)
    if found:
        raise GeometryRefused(
            f"{what}: {found}; resample one to the other's grid first, or, where reference and mask alone lie"
            " on another grid, give --resample-reference"
        )


def mismatch(volume: MetaTensor, reference: MetaTensor, name: str = "reference") -> str | None:
    """How two grids differ: shape, corners by `CORNER_TOLERANCE_MM`, axes by `DIRECTION_TOLERANCE`.

    `name` is what the second is called.
    """
    if volume.shape != reference.shape:
        ours, theirs = (" x ".join(map(str, v.shape[1:])) for v in (volume, reference))
        return f"{ours} voxels (LPS), the {name} has {theirs}"
    affines = [np.asarray(v.affine, dtype=np.float64) for v in (volume, reference)]
    corners = np.array([(*c, 1.0) for c in product(*((-0.5, n - 0.5) for n in volume.shape[1:]))])
    apart = np.linalg.norm(corners @ (affines[0] - affines[1]).T, axis=1).max()
    directions = [affine[:3, :3] / spacing(affine) for affine in affines]
    turned = np.abs(directions[0] - directions[1]).max()
    if apart <= CORNER_TOLERANCE_MM and turned <= DIRECTION_TOLERANCE:
        return None
    return (
        f"its corners lie up to {apart:.3f} mm from the {name}'s (tolerance {CORNER_TOLERANCE_MM} mm),"
        f" its axes differ by {turned:.1e} (tolerance {DIRECTION_TOLERANCE:.0e})"
    )


def _onto_grid(prediction: MetaTensor, reference: MetaTensor) -> tuple[MetaTensor, MetaTensor]:
    """The reference at the prediction's voxels, and where it reaches.

    Linear interpolation between voxel centres; up to half a voxel beyond the outermost of them the nearest
    value holds. Further out there is no reference: its lowest value stands there, and the second volume, 1
    in the reference's field of view and 0 outside it, says so.

    Args:
        prediction: [1, X, Y, Z] on the grid that is wanted, RAS+ affine.
        reference: likewise on its own grid, finite.

    Raises:
        InputRefused: a picture, which has no grid in millimetres; or the two do not overlap.
    """
    if "levels" in reference.meta:
        raise InputRefused(
            f"{where(reference)}: a picture has no place in millimetres to be resampled by; bring the"
            " pictures to one size, and leave --resample-reference out"
        )
    everywhere = MetaTensor(torch.ones_like(reference.as_tensor()), affine=reference.affine)
    field = _regrid(everywhere, prediction, "nearest")
    if not field.any():
        raise InputRefused(
            f"{where(reference)}: no voxel of the prediction lies in it, so nothing can be resampled; give a"
            " reference of the same patient in the same frame of reference"
        )
    values = _regrid(reference, prediction, "bilinear").as_tensor()
    inside = values.where(field.as_tensor() > 0, reference.as_tensor().min())
    return MetaTensor(inside, meta={**reference.meta, "affine": prediction.affine}), field


def _regrid(volume: MetaTensor, like: MetaTensor, mode: str) -> MetaTensor:
    """A volume at the voxels of another.

    Args:
        volume: [1, X, Y, Z], RAS+ affine.
        like: what has the wanted grid.
        mode: "bilinear" (linear along each axis; the edge's value goes on outside) or "nearest" (0 outside).
    """
    outside = "border" if mode == "bilinear" else "zeros"
    resample = SpatialResample(mode=mode, padding_mode=outside, dtype=np.float64)
    moved = resample(volume, dst_affine=like.affine, spatial_size=tuple(like.shape[1:]))
    return MetaTensor(torch.as_tensor(moved).float(), meta={**volume.meta, "affine": like.affine})


def array(volume: MetaTensor) -> Volume:
    """[1, X, Y, Z] as [X, Y, Z] of numpy."""
    values: Volume = volume.numpy(force=True)[0]
    return values


def where(volume: MetaTensor) -> str:
    """Name of the file that a volume was read from, for messages."""
    return Path(str(volume.meta.get("path", "in memory"))).name
