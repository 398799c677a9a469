"""Which voxels count where the user does not say it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import isotropic_dilation

from medtranslate.metrics.arrays import Range, Volume, Voxels

BODY_HU = -500.0
"""Halfway between air and water: above it lies the body, and a couch."""
BODY_RIM = 10
"""Voxels in plane by which the challenges' masks reach beyond the body's outline."""
VISIBLE = 0.03
"""Share of the range above which a voxel shows something."""
INVENTED = 0.25
"""Share of the range above which what a prediction alone shows is scored.

Each such voxel is wrong by at least `INVENTED - VISIBLE` of the range. A lower limit would take in the faint
haze that networks leave around a head, and a prediction with more of it would have the lower mean error.
"""


def head_mask(volumes: Sequence[Volume], ranges: Sequence[Range]) -> Voxels:
    """Voxels of the head.

    The union of what each volume shows (`VISIBLE`); holes filled in each axial slice; the largest connected
    component. Empty if nothing is shown.

    Args:
        volumes: one or more volumes [X, Y, Z] on one grid, in the units of `ranges`.
        ranges: lowest and highest value of each.
    """
    return _largest_filled(
        np.logical_or.reduce([shows(volume, ends) for volume, ends in zip(volumes, ranges, strict=True)])
    )


def shows(volume: Volume, ends: Range, share: float = VISIBLE) -> Voxels:
    """Voxels above a share of the range."""
    low, high = ends
    found: Voxels = volume > low + share * (high - low)
    return found


def invented(prediction: Volume, reference: Volume, ends: Range) -> Voxels:
    """Voxels where the prediction shows something bright (`INVENTED`) and the reference shows nothing.

    Pieces of any size, whether they touch the head or not.
    """
    return shows(prediction, ends, INVENTED) & ~shows(reference, ends)


def blank_slices(volumes: Sequence[Volume], ends: Range) -> npt.NDArray[np.bool_]:
    """Axial slices in which none of the volumes [X, Y, Z] shows anything: [Z]."""
    seen: npt.NDArray[np.bool_] = np.logical_or.reduce([shows(v, ends).any(axis=(0, 1)) for v in volumes])
    return ~seen


def body_mask(volumes: Sequence[Volume], ranges: Sequence[Range]) -> Voxels:
    """The body's outline with a rim of air: the mask of the profiles `synthrad2023` and `synthrad2025`.

    The challenges handed out masks and their evaluation code makes none; this follows their
    description (Thummerer et al., "SynthRAD2023 Grand Challenge dataset", Medical Physics 50(7), 2023):
    an outline, dilated in plane. Here it is the first volume above `BODY_HU`, holes filled in each axial
    slice, of that the largest connected component, dilated by a disc of `BODY_RIM` voxels. Empty if nothing
    lies above.

    Args:
        volumes: the reference [X, Y, Z] in HU; others play no part, so that the mask does not depend on
            what else is given.
        ranges: play no part.
    """
    outline = _largest_filled(volumes[0] > BODY_HU)
    # An empty slice has no outline that distances could be counted from.
    planes = [
        isotropic_dilation(plane, BODY_RIM) if plane.any() else plane for plane in np.moveaxis(outline, -1, 0)
    ]
    return np.stack(planes, axis=-1)


def _largest_filled(above: Voxels) -> Voxels:
    """Holes filled in each axial slice, then the largest connected component."""
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(above, -1, 0)], axis=-1)
    labels, _ = ndimage.label(filled)
    sizes = np.bincount(labels.ravel(), minlength=2)
    largest: Voxels = labels == 1 + np.argmax(sizes[1:])
    return largest
