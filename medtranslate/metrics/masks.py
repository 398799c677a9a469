"""Which voxels count where the user does not say it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.morphology import isotropic_dilation

from medtranslate.metrics.arrays import Range, Volume, Voxels

BODY_HU = -500.0
"""Halfway between air and water: above it lies the body, and a couch."""
BODY_RIM = 10
"""Voxels in plane by which the challenges' masks reach beyond the body's outline."""


def head_mask(volumes: Sequence[Volume], ranges: Sequence[Range]) -> Voxels:
    """Voxels of the head: the mask of the profile `image`.

    The union of what lies above 3 % of each volume's range; holes filled in each axial slice; the
    largest connected component. Empty if nothing lies above.

    Args:
        volumes: one or more volumes [X, Y, Z] on one grid, in the units of `ranges`.
        ranges: lowest and highest value of each.
    """
    return _largest_filled(
        np.logical_or.reduce(
            [volume > low + 0.03 * (high - low) for volume, (low, high) in zip(volumes, ranges, strict=True)]
        )
    )


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
