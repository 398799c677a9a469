"""Default masks, used if the user gives none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medtranslate.metrics.arrays import Range, Values, Voxels

BODY_HU = -500.0
"""Halfway between air and water; the body, and a couch, lie above it."""
BODY_RIM = 10
"""Voxels in plane by which the challenges' masks extend beyond the body's outline."""
VISIBLE = 0.03
"""Share of the range above which a voxel is visible."""
INVENTED = 0.25
"""Share of the range above which a voxel that only the prediction shows is scored.

Each such voxel is wrong by at least `INVENTED - VISIBLE` of the range. A lower limit would include the faint
haze that networks leave around a head, and more haze would give a lower mean error.
"""


def head_mask(volumes: Sequence[Values], ranges: Sequence[Range]) -> Voxels:
    """Find the voxels of the head.

    The mask is the union of the visible voxels of each volume (`VISIBLE`), with holes filled in each axial
    slice; of that the largest connected component. Empty if nothing is visible.

    Args:
        volumes: one or more volumes [X, Y, Z] on one grid, in the units of `ranges`.
        ranges: lowest and highest value of each.
    """
    return _largest_filled(
        np.logical_or.reduce([shows(volume, ends) for volume, ends in zip(volumes, ranges, strict=True)])
    )


def shows(volume: Values, ends: Range, share: float = VISIBLE) -> Voxels:
    """Select the voxels above a share of the range."""
    low, high = ends
    found: Voxels = volume > low + share * (high - low)
    return found


def invented(prediction: Values, reference: Values, ends: Range) -> Voxels:
    """Select voxels that are bright in the prediction (`INVENTED`) and not visible in the reference.

    Pieces of any size, whether they touch the head or not.
    """
    return shows(prediction, ends, INVENTED) & ~shows(reference, ends)


def blank_slices(volumes: Sequence[Values], ends: Range) -> npt.NDArray[np.bool_]:
    """Find axial slices in which no voxel of the volumes [X, Y, Z] is visible: [Z]."""
    seen: npt.NDArray[np.bool_] = np.logical_or.reduce([shows(v, ends).any(axis=(0, 1)) for v in volumes])
    return ~seen


def body_mask(volumes: Sequence[Values], ranges: Sequence[Range]) -> Voxels:
    """Find the body's outline with a rim of air: the mask of the profiles `synthrad2023` and `synthrad2025`.

    The challenges provided masks and their evaluation code makes none; this follows their
    description (Thummerer et al., "SynthRAD2023 Grand Challenge dataset", Medical Physics 50(7), 2023):
    an outline, dilated in plane. Here it is the first volume above `BODY_HU`, holes filled in each axial
    slice, of that the largest connected component, dilated by a disc of `BODY_RIM` voxels. Empty if nothing
    lies above.

    Args:
        volumes: the reference [X, Y, Z] in HU; others are ignored, so that the mask does not depend on
            them.
        ranges: ignored.
    """
    from skimage.morphology import isotropic_dilation  # slow to load

    outline = body_outline(volumes[0])
    # An empty slice has no outline from which to measure distances.
    planes = [
        isotropic_dilation(plane, BODY_RIM) if plane.any() else plane for plane in np.moveaxis(outline, -1, 0)
    ]
    return np.stack(planes, axis=-1)


def body_outline(volume: Values) -> Voxels:
    """Find the body in a CT: above `BODY_HU`, holes filled in each axial slice, the largest component.

    Args:
        volume: HU [X, Y, Z].
    """
    return _largest_filled(volume > BODY_HU)


def _largest_filled(above: Voxels) -> Voxels:
    """Fill holes in each axial slice, then take the largest connected component."""
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(above, -1, 0)], axis=-1)
    labels, _ = ndimage.label(filled)
    sizes = np.bincount(labels.ravel(), minlength=2)
    largest: Voxels = labels == 1 + np.argmax(sizes[1:])
    return largest
