"""Finds the outline of the head in a stack of axial slices; outside it a translation is air."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from medtranslate.metrics.arrays import Voxels

REACH_MM = 2.0
"""Rim around the source's head in which a translation keeps its values."""

GAP_MM = 6.0
"""Half of the widest gap in the visible head that is closed: dark bone, susceptibility, a nostril."""

IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
"""Neighbours of a voxel in its own slice [Z, Y, X]."""
IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)

_AROUND = np.zeros((3, 3, 3), dtype=bool)
_AROUND[1] = True


def outline(visible: Voxels, spacing_mm: tuple[float, float, float]) -> Voxels:
    """Find the head, with its gaps and cavities, in the visible voxels.

    Parts of a slice without a square of 3 x 3 pixels are noise and left out. Gaps of up to 2 `GAP_MM` are
    closed, holes are filled slice by slice, and the largest connected component is kept. Where the edge of
    the field of view cuts the head, the cut is filled from one side of the head to the other.

    Args:
        visible: visible voxels [Z, Y, X] of the head.
        spacing_mm: between slices, rows and columns.

    Returns:
        The head [Z, Y, X]; empty if nothing is visible.
    """
    head = np.zeros_like(visible)
    if not visible.any():
        return head
    # The mask gets a margin of a voxel, so that it meets an edge only at the field of view's own.
    box = tuple(_ends(np.any(visible, axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    head[box] = _largest_head(visible[box], spacing_mm)
    return head


def _ends(shown: Voxels) -> slice:
    """Find the extent of the visible places, with one more on either side."""
    places = np.flatnonzero(shown)
    return slice(max(0, int(places[0]) - 1), int(places[-1]) + 2)


def _largest_head(visible: Voxels, spacing_mm: tuple[float, float, float]) -> Voxels:
    steps = tuple(math.floor(GAP_MM / length) for length in spacing_mm)
    parts, count = ndimage.label(visible, _AROUND)
    solid = np.zeros(count + 1, dtype=bool)
    solid[parts[shrunk(visible, (0, 1, 1))]] = True
    solid[0] = False
    # The margin prevents a head near the edge of the volume from growing onto that edge.
    room, within = _room(solid[parts], steps)
    labels, _ = ndimage.label(filled(shrunk(grown(room, steps), steps)[within]))
    largest: Voxels = labels == 1 + np.argmax(np.bincount(labels.ravel(), minlength=2)[1:])
    return largest


ENCLOSED = 3
"""Sides of a pixel, of four, on which bone lies if bone encloses it."""


def enclosed(bone: Voxels) -> Voxels:
    """Find bone and what it encloses in slices [..., Y, X]: pixels with bone on `ENCLOSED` sides at least.

    A skull may be open, as it is at its base; there holes that are filled would come and go with the slices.
    """
    sides = np.zeros(bone.shape, np.uint8)
    for turned in (np.s_[..., :, :], np.s_[..., ::-1, ::-1]):
        for axis in (-1, -2):
            sides[turned] += np.maximum.accumulate(bone[turned], axis=axis)
    found: Voxels = sides >= ENCLOSED
    return found


def with_rim(head: Voxels, spacing_mm: tuple[float, float, float], reach_mm: float = REACH_MM) -> Voxels:
    """Return the head with a rim of `reach_mm` around it, at least one pixel wide in plane."""
    slices, *pixels = (reach_mm / length for length in spacing_mm)
    return grown(head, (math.floor(slices), *(max(1, round(steps)) for steps in pixels)))


def grown(mask: Voxels, steps: tuple[int, ...]) -> Voxels:
    """Dilate a mask by a box that reaches `steps` voxels to either side along each axis.

    It is an OR of shifted copies, each twice as wide as the last: on a large volume many times faster than
    distances.
    """
    dilated = mask.copy()
    for axis, reach in enumerate(steps):
        done = 0
        while done < reach:
            step = min(done + 1, reach - done, mask.shape[axis])
            before = dilated.copy()
            upper, lower = ((*[slice(None)] * axis, part) for part in (slice(step, None), slice(None, -step)))
            dilated[upper] |= before[lower]
            dilated[lower] |= before[upper]
            done += step
    return dilated


def shrunk(mask: Voxels, steps: tuple[int, ...]) -> Voxels:
    """Erode a mask by the box of `grown`; voxels beyond the volume count as inside."""
    return ~grown(~mask, steps)


def core_of(mask: Voxels, steps: tuple[int, ...]) -> Voxels:
    """Erode a mask by the box of `grown`; voxels beyond the volume count as outside."""
    room, within = _room(mask, steps)
    return shrunk(room, steps)[within]


def _room(mask: Voxels, steps: tuple[int, ...]) -> tuple[Voxels, tuple[slice, ...]]:
    """Pad the mask by `steps` empty voxels; return it and the place of the mask in it."""
    within = tuple(slice(step, step + extent) for step, extent in zip(steps, mask.shape, strict=True))
    return np.pad(mask, [(step, step) for step in steps]), within


def filled(mask: Voxels) -> Voxels:
    """Fill holes in each slice.

    On an edge of the slice, all voxels between the first and the last one of the mask count as closed.
    """
    framed = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    reached = np.logical_or.accumulate
    for inner, edge in (
        (mask[:, 0], framed[:, 0, 1:-1]),
        (mask[:, -1], framed[:, -1, 1:-1]),
        (mask[:, :, 0], framed[:, 1:-1, 0]),
        (mask[:, :, -1], framed[:, 1:-1, -1]),
    ):
        edge[:] = reached(inner, axis=1) & reached(inner[:, ::-1], axis=1)[:, ::-1]
    labels, count = ndimage.label(~framed, IN_PLANE)
    inside = np.ones(count + 1, dtype=bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        inside[edge] = False
    inside[0] = True
    closed: Voxels = inside[labels][:, 1:-1, 1:-1]
    return closed
