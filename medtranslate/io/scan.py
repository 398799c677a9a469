"""What a reader hands over, before it becomes a MetaTensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
