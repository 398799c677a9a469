"""Volumes of a pair brought to one layout and compared with one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from nibabel.orientations import io_orientation
from scipy import ndimage

from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.evaluation.coverage import air_of, grow_to_cover, uncovered_share
from medtranslate.geometry import require_grid
from medtranslate.io import Volume
from medtranslate.io.grids import mismatch
from medtranslate.io.layout import to_axial
from medtranslate.metrics import Voxels, require_finite

_DIGITS = 9
"""Decimals of the matrix by which nearest voxels are found."""


class Others(TypedDict, total=False):
    """Volumes beside prediction and reference.

    source: the image that was translated; adds its baselines and widens the mask.
    mask: voxels above 0 count (default: the profile's rule).
    uncertainty: standard deviation or error limit of the prediction in its unit; adds how it fits the errors.
    mean_image: mean of the target modality on this grid; adds a baseline.
    """

    source: Volume | None
    mask: Volume | None
    uncertainty: Volume | None
    mean_image: Volume | None


@dataclass(frozen=True)
class Aligned:
    """Volumes by role in the axial layout, on one grid.

    Attributes:
        volumes: `prediction`, `reference` and others.
        field: voxels that a resampled reference reaches; None where it was not resampled.
        reversed_axes: axes that the reference's file, or the prediction's if the reference was resampled,
            holds from the other end.
        uncovered: share of the reference's body, or of a mask that was given, outside the prediction.
    """

    volumes: Mapping[str, Volume]
    field: Voxels | None = None
    reversed_axes: tuple[int, ...] = ()
    uncovered: float = 0.0


def align(
    volumes: Mapping[str, Volume], *, resample_reference: bool = False, missing_is_air: bool = False
) -> Aligned:
    """Turn volumes, by role, to LPS, and compare their grids.

    Args:
        volumes: `prediction`, `reference` and others (`Others`).
        resample_reference: bring reference and mask onto the prediction's grid where theirs differ.
        missing_is_air: let a prediction that is smaller than the reference end in air, so that what it
            leaves out is scored, too.

    Raises:
        GeometryRefused: a volume is no regular grid, or its grid is another than the reference's.
        InputRefused: a value is not finite; or the reference can't be resampled.
    """
    for role, volume in volumes.items():
        require_grid(volume.meta.slices, f"{role} ({volume.name})")
    axial = {role: to_axial(volume) for role, volume in volumes.items()}
    for role, volume in axial.items():
        require_finite(volume.values, f"{role} ({volume.name})")
    field, uncovered = None, 0.0
    if resample_reference and mismatch(axial["reference"], axial["prediction"]):
        if missing_is_air:
            axial = _grown(axial)
        uncovered = uncovered_share(axial["prediction"], axial["reference"], axial.get("mask"))
        axial, field = _resampled(axial)
    for role, volume in axial.items():
        _check_grid(volume, axial["reference"], role, resampled=field is not None)
    stored = volumes["reference" if field is None else "prediction"]
    return Aligned(axial, field, _reversed_axes(stored), uncovered)


def _grown(axial: Mapping[str, Volume]) -> dict[str, Volume]:
    """Grow the prediction, and what lies on its grid, over all of the reference."""
    prediction, reference = axial["prediction"], axial["reference"]
    fills = {"prediction": air_of(prediction), "uncertainty": 0.0}
    if "source" in axial:
        fills["source"] = float(axial["source"].values.min())
    return dict(axial) | {
        role: grow_to_cover(axial[role], reference, fill)
        for role, fill in fills.items()
        if role in axial and not mismatch(axial[role], prediction)
    }


def _reversed_axes(volume: Volume) -> tuple[int, ...]:
    """Axes of the LPS layout that an array runs along from the other end."""
    signs = {int(world): sign for world, sign in io_orientation(volume.affine)}
    return tuple(axis for axis, own in enumerate((-1, -1, 1)) if signs[axis] != own)


def _resampled(axial: Mapping[str, Volume]) -> tuple[dict[str, Volume], Voxels]:
    """Resample reference and mask onto the prediction's grid; give the reference's field of view, too."""
    moved = dict(axial)
    prediction, mask = axial["prediction"], axial.get("mask")
    moved["reference"], field = _onto_grid(prediction, axial["reference"])
    if mask is not None and mismatch(mask, prediction):
        moved["mask"] = _regrid(mask, prediction, nearest=True)
    return moved, field


def _check_grid(volume: Volume, reference: Volume, role: str, *, resampled: bool) -> None:
    """Refuse a volume that is not on the reference's grid, which is the prediction's if it was resampled."""
    name = "prediction" if resampled else "reference"
    if not (found := mismatch(volume, reference, name)):
        return
    advice = f"bring it to the prediction's grid, or leave --{role} out"
    if not resampled:
        advice = (
            "resample one to the other's grid first, or, where reference and mask alone lie on another grid,"
            " give --resample-reference"
        )
    raise GeometryRefused(f"{role} ({volume.name}): {found}; {advice}")


def _onto_grid(prediction: Volume, reference: Volume) -> tuple[Volume, Voxels]:
    """Resample the reference at the prediction's voxels, and say where it reaches.

    Linear interpolation between voxel centres; up to half a voxel beyond the outermost of them the nearest
    value holds. Further out there is no reference, and its lowest value fills the array.

    Raises:
        InputRefused: a picture, which has no grid in millimetres; or the two do not overlap.
    """
    if reference.is_picture:
        raise InputRefused(
            f"{reference.name}: a picture has no place in millimetres to be resampled by; bring the"
            " pictures to one size, and leave --resample-reference out"
        )
    everywhere = reference.with_values(np.ones(reference.shape, np.float32))
    field = _regrid(everywhere, prediction, nearest=True).values > 0
    if not field.any():
        raise InputRefused(
            f"{reference.name}: no voxel of the prediction lies in it, so nothing can be resampled; give a"
            " reference of the same patient in the same frame of reference"
        )
    brought = _regrid(reference, prediction)
    return brought.with_values(np.where(field, brought.values, reference.values.min())), field


def _regrid(volume: Volume, like: Volume, *, nearest: bool = False) -> Volume:
    """Resample a volume at the voxels of another.

    Args:
        volume: RAS+ affine.
        like: has the grid that is wanted.
        nearest: take the nearest voxel, and 0 outside; else interpolate linearly along each axis, and let
            the value at the edge go on outside.
    """
    onto = np.linalg.inv(volume.affine) @ like.affine
    if nearest:  # so that a point halfway between voxels goes to the same one everywhere
        onto = np.round(onto, _DIGITS)
    values = ndimage.affine_transform(
        volume.values,
        onto[:3, :3],
        onto[:3, 3],
        like.shape,
        np.float64,
        order=0 if nearest else 1,
        mode="grid-constant" if nearest else "nearest",
    )
    return Volume(values, like.affine, volume.meta)
