"""What scores are computed from, and what is asked of it."""

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
    """Refuse a volume that holds NaN or infinity: a mean over it would say nothing.

    Raises:
        InputRefused: says how many voxels of `what` are not finite.
    """
    odd = volume.size - np.count_nonzero(np.isfinite(volume))
    if odd:
        raise InputRefused(f"{what}: {odd} of {volume.size} voxels are not finite; mend the volume first")


def covers(outer: Range, inner: Range) -> bool:
    """Whether a range holds all of another."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]
