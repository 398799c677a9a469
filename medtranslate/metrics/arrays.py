"""Arrays of the scores, and checks of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtranslate.errors import InputRefused

Values = npt.NDArray[np.float32]
Voxels = npt.NDArray[np.bool_]
Range = tuple[float, float]

BONE_HU = 200.0
"""HU above which a voxel is bone."""


def percentile_range(volume: Values, mask: Voxels | None = None) -> Range:
    """Compute the 0.5 and 99.5 percentile of `volume`, inside `mask` if one is given."""
    low, high = np.percentile(volume if mask is None else volume[mask], (0.5, 99.5))
    return float(low), float(high)


def require_finite(volume: Values, what: str) -> None:
    """Refuse a volume with NaN or infinity, whose mean would be meaningless.

    Raises:
        InputRefused: some voxels are not finite; the message has their number.
    """
    odd = volume.size - np.count_nonzero(np.isfinite(volume))
    if odd:
        raise InputRefused(f"{what}: {odd} of {volume.size} voxels are not finite; mend the volume first")


SOFT_TISSUE: Range = (-160.0, 240.0)
"""HU of the window for soft tissue: level 40, width 400."""


def shown_range(ends: Range, unit: str) -> Range:
    """Choose what pictures show as black and white: from air to bone, the brain would be of one grey."""
    return SOFT_TISSUE if unit == "HU" and ends != SOFT_TISSUE and covers(ends, SOFT_TISSUE) else ends


def covers(outer: Range, inner: Range) -> bool:
    """Return True if the outer range contains the inner one."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]
