"""Groups near-identical pictures: neighbouring slices, copies, other exports of one slice.

Two pictures are alike where the grey values of their thumbnails correlate, which neither size nor
brightness nor contrast nor JPEG artefacts change much. Groups are what likeness connects (single
linkage), so that no two alike pictures are ever in different groups.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional

THUMBNAIL = 32
"""Pixels along each side: few enough that noise does not count, enough to tell slice from slice."""

ALIKE = 0.96
"""Correlation of two pictures' thumbnails from which they are look-alikes (`prepare --alike`)."""

_ROWS = 1024
"""Pictures that are compared with all others at a time."""


def thumbnail(picture: Tensor, size: int = THUMBNAIL) -> NDArray[np.float32]:
    """Resize grey values [H, W], whatever their unit, to [size, size]."""
    small = functional.interpolate(picture[None, None], (size, size), mode="bilinear", antialias=True)
    return np.asarray(small[0, 0].numpy(), np.float32)


def connect(thumbnails: NDArray[np.float32], least: float) -> NDArray[np.intp]:
    """Group thumbnails that are connected by correlations of at least `least`; returns numbers.

    Args:
        thumbnails: [N, size, size].
        least: Pearson correlation.
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    links = vstack(
        [csr_array(unit[start : start + _ROWS] @ unit.T >= least) for start in range(0, len(unit), _ROWS)]
    )
    numbers: NDArray[np.intp] = connected_components(links, directed=False)[1]
    return numbers
