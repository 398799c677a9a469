"""Voxels that are scored."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from medtranslate.metrics import PROFILES, Range, Values, Voxels, blank_slices, invented, percentile_range

LARGEST_HEAD = 0.8
"""Share of the image above which a mask can't be a head: an ellipse fills pi/4 of its bounding box."""


def scored_voxels(
    arrays: Mapping[str, Values],
    ranges: Mapping[str, Range | None],
    field: Voxels | None,
    profile: str,
) -> tuple[Voxels, str, list[str]]:
    """Choose the voxels that count; give the rule in words and a warning where the mask is odd.

    What a prediction shows where its reference shows nothing counts, and slices in which both show nothing do
    not, unless the profile fixes its range, and with it the mask.

    Args:
        arrays: volumes by role; `mask` where it was given.
        ranges: of the roles that a profile may take a mask from, the reference first; None where not known.
        field: voxels where there is a reference; None for all.
        profile: takes its rule where no mask is given.
    """
    if "mask" in arrays:
        mask, rule = arrays["mask"] > 0, "given: voxels above 0"
    else:
        definition = PROFILES[profile]
        roles = [role for role in ranges if role in arrays]
        seen = [ranges[role] or percentile_range(arrays[role]) for role in roles]
        mask = definition.mask([arrays[role] for role in roles], seen)
        if not definition.hu_range:
            mask |= invented(arrays["prediction"], arrays["reference"], seen[0])
        rule = definition.mask_rule
    if field is not None:
        mask &= field
    if not PROFILES[profile].hu_range:
        idle = mask.any(axis=(0, 1)) & _background(arrays, ranges["reference"])
        mask[..., idle] = False
        rule += f"; without {idle.sum()} slices of pure background" if idle.any() else ""
    if not mask.any():
        return mask, rule, ["no voxel lies in the mask: nothing was scored"]
    share = float(mask.mean())
    if "mask" in arrays or PROFILES[profile].hu_range or share <= LARGEST_HEAD:
        return mask, rule, []
    odd = (
        f"the head mask covers {share:.0%} of the image, more than a head can: background is scored with"
        " it, which flatters; give --mask"
    )
    return mask, rule, [odd]


def _background(arrays: Mapping[str, Values], declared: Range | None) -> npt.NDArray[np.bool_]:
    """Slices in which neither prediction nor reference shows anything; none if the reference is constant."""
    low, high = declared or percentile_range(arrays["reference"])
    found = blank_slices([arrays["prediction"], arrays["reference"]], (low, high))
    return found & (low < high)
