"""Compares the grids of two volumes."""

from __future__ import annotations

from itertools import product

import numpy as np

from medtranslate.geometry import spacing
from medtranslate.io.volume import Volume

CORNER_TOLERANCE_MM = 0.01
DIRECTION_TOLERANCE = 1e-4


def mismatch(volume: Volume, reference: Volume, name: str = "reference") -> str | None:
    """Difference of two grids in words; None where there is none.

    Shapes have to be equal, corners within `CORNER_TOLERANCE_MM`, axes within `DIRECTION_TOLERANCE`.

    Args:
        volume: in axial layout.
        reference: likewise.
        name: of the second in the sentence.
    """
    if volume.shape != reference.shape:
        ours, theirs = (" x ".join(map(str, v.shape)) for v in (volume, reference))
        return f"{ours} voxels (LPS), the {name} has {theirs}"
    affines = [volume.affine, reference.affine]
    corners = np.array([(*c, 1.0) for c in product(*((-0.5, n - 0.5) for n in volume.shape))])
    apart = np.linalg.norm(corners @ (affines[0] - affines[1]).T, axis=1).max()
    directions = [affine[:3, :3] / spacing(affine) for affine in affines]
    turned = np.abs(directions[0] - directions[1]).max()
    if apart <= CORNER_TOLERANCE_MM and turned <= DIRECTION_TOLERANCE:
        return None
    return (
        f"its corners lie up to {apart:.3f} mm from the {name}'s (tolerance {CORNER_TOLERANCE_MM} mm),"
        f" its axes differ by {turned:.1e} (tolerance {DIRECTION_TOLERANCE:.0e})"
    )
