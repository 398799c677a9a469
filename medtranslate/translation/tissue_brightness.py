"""Brightness of tissues in an MR, measured in the voxels of its translated CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.phantom import TOLD
from medtranslate.translation.framed import Floats

Voxels = NDArray[np.bool_]

_SHOWN = (
    (("grey matter", "white matter"), ("csf", "venous blood"), (22.0, 42.0)),
    (("fat",), ("diploe", "muscle"), (-130.0, -60.0)),
)
"""Tissues whose voxels are measured, those that keep their ratio to them, and their HU."""

_LEAST_VOXELS = 50
"""Voxels a slice of a tissue that is measured."""


def as_bright_as(seen: Floats, mr: Floats, ct: Floats) -> Floats:
    """Correct the brightness that a model sees in an MR by that of the voxels whose CT it makes of them.

    A picture may be brighter towards its edge, and its window and gamma are unknown. So tissues of each
    `_SHOWN` are made as bright as their voxels are, and keep their ratios.

    Args:
        seen: brightness of the tissues of `TOLD`, [7] in [-1, 1].
        mr: slices, [B, 1, S, S] in [-1, 1].
        ct: of the same voxels, in HU.
    """
    share = (seen + 1) / 2
    for measured, alike, (low, high) in _SHOWN:
        where = _inner(ct, (low, high))
        if where.sum() < _LEAST_VOXELS * len(mr):
            continue
        known = np.mean([share[TOLD.index(name)] for name in measured])
        factor = (float(np.median(mr[where])) + 1) / 2 / max(float(known), 1e-3)
        share[[TOLD.index(name) for name in (*measured, *alike)]] *= factor
    corrected: Floats = (2 * share.clip(0, 1) - 1).astype(np.float32)
    return corrected


def with_fluid(brightness: Floats, mr: Floats, ct: Floats) -> Floats:
    """Replace the brightness of fluid by that of the voxels deep in the brain that are fluid in the CT.

    Some of these are mixed with brain, so the quartile that is farther from brain counts.

    Args:
        brightness: of the tissues of `TOLD`, [7] in [-1, 1]; it is returned where too little fluid is shown.
        mr: slices, [B, 1, S, S] in [-1, 1].
        ct: of the same voxels, in HU.
    """
    brain, fluid = _inner(ct, _BRAIN), _inner(ct, _FLUID) & (_depths(ct) >= _DEEP)
    if not brain.any() or fluid.sum() < _LEAST_VOXELS * len(mr):
        return brightness
    darker, usual, brighter = np.quantile(mr[fluid], (0.25, 0.5, 0.75))
    corrected = brightness.copy()
    corrected[TOLD.index("csf")] = darker if usual < np.median(mr[brain]) else brighter
    return corrected


_BRAIN, _FLUID, _SOFT = (22.0, 42.0), (-10.0, 16.0), (-20.0, 90.0)
"""HU of brain and of fluid, and of all that is inside the skull."""

_DEEP = 0.1
"""Least depth of measured fluid below the skull, in sides of the frame; nearer to it, fluid is narrow."""

_RIM, _CORE = (6 / 256, 16 / 256), (25 / 256, 1.0)
"""Depth of the cortex and of the brain's middle below the skull, in sides of the frame; the cortex has more
grey matter."""

_DARK_FLUID = 0.1
"""Quantile of the fluid's brightness. Where the CT shows fluid that is none, such as a tumour, the MR is
brighter."""


@dataclass(frozen=True)
class Ratios:
    """Brightness of parts of a head in an MR, as ratios.

    Attributes:
        rim: of the brain's rim, over its middle.
        fluid: of fluid, over brain.
        dark_fluid: of the darkest fluid, over brain.
    """

    rim: float
    fluid: float
    dark_fluid: float


def measure_ratios(mr: Floats, ct: Floats) -> Ratios | None:
    """Measure ratios that tell FLAIR from T1; None if a tissue has too few voxels.

    A CT hardly shows grey matter beside white, but both lie at known depths. Grey matter is darker than white
    in T1 and as bright in FLAIR. Fluid is darkest in FLAIR.

    Args:
        mr: slices, [B, 1, S, S] in [-1, 1].
        ct: of the same voxels, in HU.
    """
    share, brain, fluid = (mr + 1) / 2, _inner(ct, _BRAIN), _inner(ct, _FLUID)
    depth = _depths(ct)
    rim, core = (brain & (depth > low) & (depth < high) for low, high in (_RIM, _CORE))
    if min(part.sum() for part in (rim, core, fluid)) < _LEAST_VOXELS * len(mr):
        return None
    whole, middle = (max(float(np.median(share[part])), 1e-3) for part in (brain, core))
    dark, usual = (float(value) / whole for value in np.quantile(share[fluid], (_DARK_FLUID, 0.5)))
    return Ratios(rim=float(np.median(share[rim])) / middle, fluid=usual, dark_fluid=dark)


def _inner(ct: Floats, hu: tuple[float, float]) -> Voxels:
    """Find the voxels of a tissue that are not at its edge."""
    low, high = hu
    inner: Voxels = ndimage.binary_erosion((ct > low) & (ct < high), np.ones((1, 1, 2, 2)))
    return inner


def _depths(ct: Floats) -> Floats:
    depths: Floats = np.stack([[_depth(plane[0])] for plane in ct])
    return depths


def _depth(ct: Floats) -> Floats:
    """Compute the depth of pixels below the inside of the skull, in sides of the slice; 0 outside."""
    low, high = _SOFT
    parts, count = ndimage.label(ndimage.binary_erosion((ct > low) & (ct < high), iterations=2))
    if not count:
        return np.zeros(ct.shape, np.float32)
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    inside = ndimage.binary_fill_holes(ndimage.binary_dilation(largest, iterations=2))
    depth: Floats = (ndimage.distance_transform_edt(inside) / len(ct)).astype(np.float32)
    return depth
