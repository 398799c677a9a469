"""Tells whether a picture published as MR is a CT in a brain window.

There the skull is a closed white ring, and what lies right inside it is grey: the window shows neither
scalp nor anything darker than CSF. In MR a bright ring is scalp; between it and the brain lies dark bone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIZE = 128
"""Pixels along each side of the picture that is judged."""

_WHITE = 0.85
_DARK = 0.15
_SEEN = 0.12
"""Shares of the brightest grey value: the ring is above the first, bone in MR below the second."""

_INSIDE = 0.4
"""Least share of what is visible that the ring must hold; faces and the vertex are not judged."""

_DARK_RIM = 0.15
"""Largest share of dark pixels right inside the ring."""

_SPREAD = 0.15
"""Largest distance between the quartiles inside: a brain window shows brain in little contrast."""


def shows_skull(picture: NDArray[np.float32]) -> bool:
    """Tell whether a picture [SIZE, SIZE] has the closed white ring, with grey inside, of a CT.

    It is sure of what it finds only on slices through the vault; CT elsewhere is not told from MR.
    """
    grey = picture / max(float(np.percentile(picture, 99.8)), 1e-6)
    ring = ndimage.binary_closing(np.pad(grey > _WHITE, 4), np.ones((3, 3)))[4:-4, 4:-4]
    labels, count = ndimage.label(ndimage.binary_fill_holes(ring) & ~ring)
    if count == 0:
        return False
    inside = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    rim = inside & ~ndimage.binary_erosion(inside, iterations=3)
    lower, upper = np.percentile(grey[inside], (25, 75))
    return bool(
        inside.sum() > _INSIDE * (grey > _SEEN).sum()
        and (grey[rim] < _DARK).mean() < _DARK_RIM
        and upper - lower < _SPREAD
    )
