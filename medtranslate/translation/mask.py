"""Sets a translation to air outside a mask that the user gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.io import Volume, read_volume
from medtranslate.io.grids import mismatch
from medtranslate.io.layout import from_axial, to_axial
from medtranslate.metrics import Voxels
from medtranslate.translation.volume import Translated


def read_mask(path: Path, source: Volume) -> Voxels:
    """Read a mask of a source: voxels above 0.

    Raises:
        GeometryRefused: the source is no regular grid, or the mask has another one.
        InputRefused: the mask cannot be read, or no voxel is above 0.
    """
    return mask_of(read_volume(path), source)


def mask_of(mask: Volume, source: Volume) -> Voxels:
    """Bring a mask to the array layout of its source [X, Y, Z].

    Raises:
        GeometryRefused, InputRefused: as `read_mask`.
    """
    source.require_grid()
    mask.require_grid()
    axial = to_axial(mask)
    if differs := mismatch(axial, to_axial(source), "source"):
        raise GeometryRefused(
            f"mask ({mask.where}): {differs}; give a mask on the grid of {source.where}, or leave --mask out"
        )
    voxels: Voxels = from_axial(axial, source).values > 0
    if not voxels.any():
        raise InputRefused(
            f"mask ({mask.where}): no voxel is above 0, so all would be air; give another mask"
        )
    return voxels


def masked(made: Translated) -> Translated:
    """Set a translation to air, and its uncertainty to 0, outside the mask of its source, if there is one.

    The volumes are changed in place.
    """
    mask = made.framed.mask
    if mask is None:
        return made
    lowest = 0.0 if made.volume.is_picture else made.record.model.output_range[0]
    made.volume.values[~mask] = lowest
    if made.uncertainty is not None:
        made.uncertainty.values[~mask] = 0.0
    note = f"{1 - mask.mean():.0%} of the voxels lie outside the mask that was given, and were set to air"
    return replace(made, record=replace(made.record, warnings=[*made.record.warnings, note]))
