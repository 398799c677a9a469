"""A CT in HU as a label map: of all heads, it alone knows where thin bone and air lie.

Bone, fat and air follow from their HU. The brain is the largest part of soft tissue that stays in one piece
without its outermost millimetres. Within it, fluid is darker than the rest. Grey and white matter differ by
less than the noise of a thin slice, so they come out roughly; the maps of MR know them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.phantom.tissues import LABEL, Floats

Mask = NDArray[np.bool_]

LOWEST_HU = -500.0
"""A volume with values below this is a CT in HU; labels are not."""

_AIR_HU, _FAT_HU, _BONE_HU, _TOOTH_HU = -250.0, -25.0, 150.0, 1900.0
"""Highest HU of air and of fat, and lowest of bone and of teeth."""

_LOOSE_MM = 2.5
"""What is thinner, such as a sheet or a headrest, does not hold pieces of the head together."""

_NECK_MM = 6.0
"""The brain stays in one piece without so much of its surface, and is cut off from neck and orbits."""

_FLUID_HU = 9.0
"""So much darker than the median of the brain is fluid."""

_CORTEX_MM = 2.5
"""White matter lies deeper than this."""

_SKIN_MM, _MUCOSA_MM, _EYE_MM = 1.8, 2.5, 5.0
"""Thickness of skin, and of mucosa about air; and the least radius of an eye."""

_EYE_HU, _LEAN_HU = (-8.0, 22.0), 90.0
"""Ends of the mean of an eye, and highest mean of brain."""

_IN_PLANE = np.ones((3, 3, 1), np.bool_)


def tissues_of(hu: Floats, spacing: Floats, parts: dict[str, int]) -> NDArray[np.uint8]:
    """Tell the tissues of a CT of a head, [X, Y, Z].

    Args:
        hu: [X, Y, Z].
        spacing: of the voxels in mm.
        parts: number of `skull`, `grey matter` and `white matter`, which are divided by depth later.

    Returns:
        Labels of `TISSUES`, or a part's number; all 0, which is air, if there is no brain.
    """
    head = _largest(hu > _AIR_HU, _LOOSE_MM, spacing)
    # A nose is open at its nostrils, and closed in most axial planes.
    filled = ndimage.binary_fill_holes(head) | ndimage.binary_fill_holes(head, _IN_PLANE)
    bone = head & (hu >= _BONE_HU)
    soft = _mean(hu, head & ~bone, 0.8 / spacing)
    lean = head & ~bone & (soft > _FAT_HU)
    brain = _largest(lean & (soft < _LEAN_HU), _NECK_MM, spacing)
    found = np.zeros(hu.shape, np.uint8)
    if not brain.any():
        return found
    found[head] = LABEL["fat"]
    found[lean] = LABEL["muscle"]
    wet = _mean(hu, lean & ~brain, 2.0 / spacing)
    watery = lean & ~brain & (wet > _EYE_HU[0]) & (wet < _EYE_HU[1])
    found[_opened(watery, _EYE_MM, spacing)] = LABEL["vitreous"]
    found[head & (_depth(head | ~filled, spacing) <= _MUCOSA_MM)] = LABEL["mucosa"]
    found[head & (_depth(filled, spacing) <= _SKIN_MM)] = LABEL["skin"]
    found = np.where(brain, _brain(hu, brain, spacing, parts), found)
    found[bone] = parts["skull"]
    found[head & (hu >= _TOOTH_HU)] = LABEL["tooth"]
    return found.astype(np.uint8)


def _brain(hu: Floats, brain: Mask, spacing: Floats, parts: dict[str, int]) -> NDArray[np.uint8]:
    """Tell fluid, grey and white matter apart in the brain."""
    fine = _mean(hu, brain, 1.2 / spacing)
    fluid = brain & (fine < np.median(fine[brain]) - _FLUID_HU)
    firm = brain & ~fluid
    broad = _mean(hu, firm, 2.5 / spacing)
    deep = _depth(firm, spacing) > _CORTEX_MM
    white = deep & (broad < np.median(broad[firm]))
    found = np.where(white, parts["white matter"], parts["grey matter"])
    return np.where(fluid, LABEL["csf"], found).astype(np.uint8)


def _mean(hu: Floats, where: Mask, sigma: Floats) -> Floats:
    """Average HU over a part within a Gaussian window."""
    weight = ndimage.gaussian_filter(where.astype(np.float32), sigma)
    mean: Floats = ndimage.gaussian_filter(np.where(where, hu, 0), sigma) / np.maximum(weight, 1e-3)
    return mean


def _largest(where: Mask, margin: float, spacing: Floats) -> Mask:
    """Select the largest piece of what lies deeper than a margin, and what surrounds it by that margin."""
    pieces, count = ndimage.label(_depth(where, spacing) > margin)
    if not count:
        return np.zeros_like(where)
    core = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    near: Mask = where & (_depth(~core, spacing) <= margin + float(spacing.max()))
    return near


def _opened(where: Mask, radius: float, spacing: Floats) -> Mask:
    """Select what balls of a radius fill."""
    core = _depth(where, spacing) > radius
    opened: Mask = where & (_depth(~core, spacing) <= radius) if core.any() else core
    return opened


def _depth(where: Mask, spacing: Floats) -> Floats:
    """Measure the distance of each voxel of a part to its edge in mm; 0 outside."""
    if where.all():
        return np.full(where.shape, np.inf, np.float32)
    depth: Floats = ndimage.distance_transform_edt(where, sampling=spacing).astype(np.float32)
    return depth
