"""A prediction that does not cover all of the reference's body."""

from __future__ import annotations

import numpy as np

from medtranslate.geometry import Floats
from medtranslate.io import Volume
from medtranslate.io.bounds import check_size
from medtranslate.metrics import head_mask, percentile_range
from medtranslate.modality import PADDING

MOST = 0.02
"""Share of the body outside the prediction from which scores flatter."""
_DIGITS = 6
"""Coordinates are rounded to a millionth of a voxel, so that a point on the rim lies inside."""


def uncovered_share(prediction: Volume, reference: Volume, mask: Volume | None) -> float:
    """Compute the share of the reference's body, or of a mask, that lies outside the prediction.

    The body is the largest connected component of what the reference shows.
    """
    body = head_mask([reference.values], [percentile_range(reference.values)])
    region, affine = (body, reference.affine) if mask is None else (mask.values > 0, mask.affine)
    places = np.argwhere(region)
    if not len(places):
        return 0.0
    found = _onto(prediction, affine, places)
    inside = (found >= -0.5) & (found <= np.array(prediction.shape) - 0.5)
    return float(1 - inside.all(axis=1).mean())


def grow_to_cover(volume: Volume, reference: Volume, fill: float) -> Volume:
    """Extend a volume by whole voxels of one value so that it covers all of the reference's grid.

    Raises:
        Unreadable: it would be over the bound.
    """
    corners = np.array(np.meshgrid(*[(0, length - 1) for length in reference.shape])).reshape(3, -1).T
    found = _onto(volume, reference.affine, corners)
    before = np.maximum(0, np.ceil(-found.min(axis=0))).astype(int)
    after = np.maximum(0, np.ceil(found.max(axis=0)) - np.array(volume.shape) + 1).astype(int)
    check_size([int(n) for n in before + after + volume.shape], f"{volume.name} grown to its reference")
    values = np.pad(volume.values, list(zip(before, after, strict=True)), constant_values=fill)
    affine = volume.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ before
    return Volume(values, affine, volume.meta)


def air_of(volume: Volume) -> float:
    """Value of air: of the modality, else the volume's lowest."""
    return PADDING[volume.meta.modality] if volume.meta.modality else float(volume.values.min())


def _onto(volume: Volume, affine: Floats, places: np.ndarray) -> Floats:
    """Map indices [P, 3] of another grid to indices in `volume`."""
    matrix = np.linalg.inv(volume.affine) @ affine
    return np.round(places @ matrix[:3, :3].T + matrix[:3, 3], _DIGITS)
