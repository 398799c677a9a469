"""Structures of a head in CT: thickness of the skull's vault, and volume of the ventricles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medtranslate.metrics.arrays import Values, Voxels
from medtranslate.metrics.outline import core_of

Floats = npt.NDArray[np.float64]
Spacing = tuple[float, float, float]

DEPTH_MM = 80.0
"""Depth of the middle of the head below the vertex of the skull, where the head is widest."""
RAYS = 1000
"""Rays from the middle of the head to the vault."""
STEP_MM = 0.25
"""Distance of the samples of a ray."""
REACH_MM = (40.0, 130.0)
"""Part of a ray with the vault."""
LEAST_SLOPE = 0.2
"""Sine of the least angle of a ray above the axial plane; below lie the base of the skull and the ears."""
CLOSED = 0.7
"""Least share of the rays that meet the vault."""
VERTEX_CM2 = 1.0
"""Bone in the uppermost slice of the skull."""

CORE_MM = 20.0
"""Thickness of scalp, skull and the fluid beneath it in plane."""
LEVELS_MM = (25.0, 95.0)
"""Depths below the vertex between which the ventricles lie."""
CONTRAST_HU = 10.0
"""Least contrast of fluid to the median of the brain: about half of that between 8 and 32 HU."""
DEEPEST_HU = 60.0
"""Voxels darker than the brain by more are air or fat."""
SMOOTH_MM = 1.5
"""Standard deviation of the Gaussian that removes noise before the search for fluid."""
PART_ML = 0.5
"""Least volume of a part of the ventricles."""
CENTRAL_MM = 35.0
"""Distance from the head's middle, across and along, within which a part of the ventricles begins."""


@dataclass(frozen=True)
class Middle:
    """Middle of a head: array index of the point `DEPTH_MM` below the vertex, and index of the vertex."""

    index: tuple[float, float, float]
    vertex: int


def find_middle(bone: Voxels, body: Voxels, spacing_mm: Spacing) -> Middle | str:
    """Find the middle of a head, or say why there is none.

    Args:
        bone: bone of the reference [X, Y, Z] in the layout LPS.
        body: its body.
        spacing_mm: along x, y and z.
    """
    cm2 = spacing_mm[0] * spacing_mm[1] / 100
    levels = np.flatnonzero(bone.sum(axis=(0, 1)) * cm2 >= VERTEX_CM2)
    if not levels.size:
        return "the reference has no bone"
    vertex = int(levels[-1])
    level = vertex - DEPTH_MM / spacing_mm[2]
    if level < 0:
        return f"the volume reaches less than {DEPTH_MM:g} mm below the vertex of the skull"
    places = np.argwhere(body[..., round(level)])
    if not places.size:
        return f"the reference shows no body {DEPTH_MM:g} mm below its uppermost bone"
    x, y = places.mean(axis=0)
    return Middle((float(x), float(y), level), vertex)


def vault(volume: Values, body: Voxels, middle: Middle, spacing_mm: Spacing, bone_hu: float) -> Floats:
    """Measure the thickness of the skull's vault along rays from the middle of the head.

    A ray's thickness is the length of its samples above `bone_hu`, interpolated linearly. The rays are spread
    evenly over the upper half of a sphere (Swinbank and Purser, Q J R Meteorol Soc 132, 2006); they meet the
    vault nearly at right angles.

    Args:
        volume: HU [X, Y, Z] in the layout LPS.
        body: voxels outside do not count.
        middle: of the head.
        spacing_mm: along x, y and z.
        bone_hu: HU above which bone begins.

    Returns:
        Thickness in mm [RAYS]; NaN for a ray without bone, or one that leaves the volume in bone.
    """
    turn = np.pi * (3 - math.sqrt(5)) * np.arange(RAYS)
    up = np.linspace(LEAST_SLOPE, 1.0, RAYS)
    flat = np.sqrt(1 - up**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), up])
    reach = np.arange(*REACH_MM, STEP_MM)
    steps = directions[:, :, None] * reach / np.reshape(spacing_mm, (3, 1, 1))
    places = steps + np.reshape(middle.index, (3, 1, 1))
    whole = np.rint(places).astype(np.intp)
    ends = np.reshape(volume.shape, (3, 1, 1))
    within = ((whole >= 0) & (whole < ends)).all(axis=0)
    whole = whole.clip(0, ends - 1)
    bone = ndimage.map_coordinates(volume, places, order=1, mode="nearest") > bone_hu
    bone &= within & body[tuple(whole)]
    last = within.sum(axis=1) - 1
    cut = (last < reach.size - 1) & bone[np.arange(RAYS), last.clip(0)]
    thickness: Floats = bone.sum(axis=1) * STEP_MM
    thickness[cut | (thickness == 0)] = np.nan
    return thickness


def compare_vaults(prediction: Floats, reference: Floats) -> dict[str, float] | str:
    """Compare the thickness along rays that meet both vaults, in mm, or say why it cannot be compared."""
    both = np.isfinite(prediction) & np.isfinite(reference)
    for name, rays in (("reference", reference), ("prediction", prediction)):
        if (closed := np.isfinite(rays).mean()) < CLOSED:
            return f"the vault of the {name} closes {closed:.0%} of its dome (limit {CLOSED:.0%})"
    ours, theirs = prediction[both], reference[both]
    return {
        "prediction": float(ours.mean()),
        "reference": float(theirs.mean()),
        "difference": float(np.abs(ours - theirs).mean()),
    }


def ventricles(volume: Values, body: Voxels, middle: Middle, spacing_mm: Spacing) -> float:
    """Measure the volume of the ventricles in ml, by their contrast to brain.

    Fluid is darker than the median of the brain by `CONTRAST_HU`. It counts in parts that begin near the
    middle of the head, well within the skull. Wide fissures that join them count, too.

    Args:
        volume: HU [X, Y, Z] in the layout LPS.
        body: the reference's body.
        middle: of the head.
        spacing_mm: along x, y and z.
    """
    low, high = (max(0, round(middle.vertex - depth / spacing_mm[2])) for depth in reversed(LEVELS_MM))
    level = np.s_[..., low : high + 1]
    core = core_of(body[level], (*(round(CORE_MM / length) for length in spacing_mm[:2]), 0))
    if not core.any():
        return 0.0
    smooth = ndimage.gaussian_filter(volume[level], [SMOOTH_MM / length for length in spacing_mm])
    brain = float(np.median(smooth[core]))
    core &= (smooth < brain - CONTRAST_HU) & (smooth > brain - DEEPEST_HU)
    return float(np.count_nonzero(_central(core, middle, spacing_mm)) * np.prod(spacing_mm)) / 1000


def _central(fluid: Voxels, middle: Middle, spacing_mm: Spacing) -> Voxels:
    """Keep the parts of at least `PART_ML` that begin within `CENTRAL_MM` of the head's middle."""
    labels, count = ndimage.label(fluid)
    keep = np.zeros(count + 1, dtype=bool)
    x, y = (
        slice(max(0, round(place - CENTRAL_MM / length)), round(place + CENTRAL_MM / length) + 1)
        for place, length in zip(middle.index[:2], spacing_mm[:2], strict=True)
    )
    keep[np.unique(labels[x, y])] = True
    keep &= np.bincount(labels.ravel(), minlength=count + 1) * np.prod(spacing_mm) / 1000 >= PART_ML
    keep[0] = False
    found: Voxels = keep[labels]
    return found
