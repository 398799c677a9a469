"""What a reader hands over, before it becomes a MetaTensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Facts:
    """What a header alone says of a volume.

    Attributes:
        shape: lengths of the array's axes [X, Y, Z], within the bounds.
        affine: array index to RAS+ mm, [4, 4].
        dtype: the numbers' type in the file.
        notes: sentences on what was missing or changed.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    dtype: np.dtype[np.generic]
    notes: list[str]

    def scan(self, values: NDArray[np.float32]) -> Scan:
        """The volume with these voxels."""
        return Scan(values, self.affine, {"stored": self.dtype.name, "warnings": self.notes})


@dataclass(frozen=True)
class Scan:
    """A volume as its file holds it.

    Attributes:
        values: [X, Y, Z] float32 in physical units.
        affine: array index to RAS+ mm, [4, 4].
        meta: what the format knows beyond that (see `medtranslate.io`); no patient identity.
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    meta: dict[str, Any]
