"""Measures, without a reference, of implausible anatomy in a translated CT.

They examine the core of slices through the brain, well within the skull. The fluid is found in the source, by
its contrast to brain, and measured in the translation: fluid as dense as brain shows that the model mistook
the contrast for another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medtranslate.metrics.arrays import BONE_HU, Range, Values, Voxels
from medtranslate.metrics.outline import IN_PLANE, core_of

CORE_MM = 20.0
"""Thickness of scalp, skull and the fluid beneath it, which are not part of the core of a slice."""

CORE_CM2 = 40.0
"""Least core of a slice through the brain."""

BASE_CM2, SINUS_CM2 = 5.0, 1.0
"""Bone that reaches into the core from the skull, and air in it; more of both marks the base of the skull."""

VERTEX_CM2 = 10.0
"""Bone in the core, without air, of a slice that cuts the vault obliquely."""

DARK, BRIGHT = 0.6, 1.5
"""Limits of fluid in the source: below and above these shares of the brain's median."""

VERY_DARK = 0.5
"""Share of brain below which dark parts are fluid even beside bright ones."""

DARK_SHARE = 4
"""Largest ratio of bright to dark parts at which very dark ones are still the fluid."""

PART_CM2 = 1.0
"""Least area of a part of the fluid in one slice."""

SMOOTH_MM = 1.0
"""Standard deviation of the Gaussian that removes noise before the search for fluid."""

RAYS = 90
"""Number of directions in which the skull is searched for."""


FLUID_HU = -4.0
"""Fluid is darker than brain by at least this, or the translation is doubtful."""

LOOSE_BONE_ML, LOOSE_BONE_CM2 = 4.0, 2.0
"""Most bone in the core that is not part of the skull; the maximum of twenty true digital heads is 3.1 ml."""

BLACK_SHARE = 0.02
"""Share of the range at whose lower end a voxel is black."""

BLACK = 0.05
"""Largest share of the core at the lower end of the range."""

CLOSED = 0.7
"""Least share of the directions with a skull."""


@dataclass(frozen=True)
class Brain:
    """Measures of a translated CT in slices through the brain.

    Attributes:
        fluid: mean HU of the fluid; None if none is found in the source.
        brain: median HU of the rest of the core.
        bone: bone of the core without connection to the skull, in ml; in cm2 for a single picture.
        black: share of the core at the lower end of the translation's range.
        closed: share of the directions from the core's middle with a skull.
        picture: True for one slice of unknown thickness.
    """

    fluid: float | None
    brain: float
    bone: float
    black: float
    closed: float
    picture: bool


def bone_from(ct_range: Range) -> float:
    """Return the HU of the lower end of bone in a translation of the range `ct_range`."""
    low, high = ct_range
    return min(BONE_HU, low + 0.9 * (high - low))


def look_at_brain(
    source: Values, made: Values, head: Voxels, spacing_mm: tuple[float, float, float], ct_range: Range
) -> Brain | None:
    """Measure a CT in slices through the brain; None if there are none.

    Args:
        source: MR slices [Z, Y, X] as shares of their range, 0 to 1.
        made: their translation to CT, in HU.
        head: the head's outline in the source.
        spacing_mm: between slices, rows and columns.
        ct_range: HU that the translation can hold.
    """
    pixels = spacing_mm[1:]
    cm2 = pixels[0] * pixels[1] / 100
    core = core_of(head, (0, *(round(CORE_MM / length) for length in pixels)))
    bone = made > bone_from(ct_range)
    loose = _parts(bone, 0, ~core)
    air = core & (made <= ct_range[0] + BLACK_SHARE * (ct_range[1] - ct_range[0]))
    area, reaching, hollow = ((part.sum(axis=(1, 2)) * cm2) for part in (core, bone & core & ~loose, air))
    is_base = (reaching > BASE_CM2) & (hollow > SINUS_CM2) | (reaching > VERTEX_CM2)
    chosen = (area >= CORE_CM2) & ~is_base
    if not chosen.any():
        return None
    source, made, head, core = (part[chosen] for part in (source, made, head, core))
    bone, loose, air = (part[chosen] for part in (bone, loose, air))
    sigma = 0, *(SMOOTH_MM / length for length in pixels)
    contrast = ndimage.gaussian_filter(source, sigma)
    for plane, inside in zip(contrast, core, strict=True):
        plane /= max(float(np.median(plane[inside])), 1e-3)
    dark, bright = contrast < DARK, contrast > BRIGHT
    rest = core & ~dark & ~bright & ~bone
    brain = float(np.median(made[rest])) if rest.any() else ct_range[1]
    least = PART_CM2 / cm2
    dark, bright = _parts(dark, least, ~core), _parts(bright & core, least)
    # Fluid is dark in T1 and FLAIR. In T2 it is bright; dark parts are grey nuclei, less dark, or small.
    darkest = dark.any() and (not bright.any() or float(contrast[dark].mean()) < VERY_DARK)
    is_dark = darkest and DARK_SHARE * dark.sum() >= bright.sum()
    fluid = dark if is_dark else bright
    smooth = ndimage.gaussian_filter(made, sigma)
    picture = len(chosen) == 1
    return Brain(
        fluid=float(smooth[fluid].mean()) if fluid.any() else None,
        brain=brain,
        bone=float(loose.sum()) * cm2 * (1.0 if picture else spacing_mm[0] / 10),
        black=float(air.sum() / core.sum()),
        closed=_closed(bone & head, core),
        picture=picture,
    )


def doubts(found: Brain) -> list[str]:
    """Describe the measures beyond their limits, each in a sentence with its numbers."""
    sentences = []
    if found.fluid is not None and found.fluid - found.brain > FLUID_HU:
        how = "hardly darker" if found.fluid < found.brain else "no darker"
        sentences.append(
            f"fluid ({found.fluid:.0f} HU) is {how} than brain ({found.brain:.0f} HU); in a true CT it is"
            f" darker by {-FLUID_HU:g} HU or more"
        )
    most, unit = (LOOSE_BONE_CM2, "cm2") if found.picture else (LOOSE_BONE_ML, "ml")
    if found.bone > most:
        sentences.append(
            f"{found.bone:.1f} {unit} of bone inside the skull join no skull (limit {most:g} {unit})"
        )
    if found.black > BLACK:
        sentences.append(f"{found.black:.0%} of the brain is black (limit {BLACK:.0%})")
    if found.closed < CLOSED:
        sentences.append(f"the skull closes {found.closed:.0%} of its ring (limit {CLOSED:.0%})")
    return sentences


def _parts(mask: Voxels, least: float, apart_from: Voxels | None = None) -> Voxels:
    """Keep the connected parts of each slice with enough pixels that do not touch `apart_from`."""
    labels, count = ndimage.label(mask, IN_PLANE)
    keep = np.bincount(labels.ravel(), minlength=count + 1) >= least
    if apart_from is not None:
        keep[np.unique(labels[apart_from])] = False
    keep[0] = False
    kept: Voxels = keep[labels]
    return kept


def _closed(bone: Voxels, core: Voxels) -> float:
    """Return the share of directions from the core's middle that meet bone around it, a mean over slices."""
    shares = []
    for skull, inside in zip(bone & ~core, core, strict=True):
        middle, places = np.argwhere(inside).mean(axis=0), np.argwhere(skull)
        turns = np.arctan2(*(places - middle).T) / (2 * np.pi) + 0.5
        shares.append(len(np.unique(np.floor(turns * RAYS) % RAYS)) / RAYS)
    return float(np.mean(shares))
