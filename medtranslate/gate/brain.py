"""Approximate extraction of the brain from a slice of a head, as tools for skull stripping do it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from medtranslate.transforms import VISIBLE

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

RIND = 0.12
"""Least depth at which the brain begins, as a share of the head's largest depth."""

WHITE = 0.97
"""Share of the range above which a voxel is bone in a brain window."""


@dataclass(frozen=True)
class Cut:
    """A slice and the brain in it.

    Attributes:
        grey: [S, S] from 0 to 1.
        brain: approximate result of skull stripping.
        head: brain, skull and scalp.
    """

    grey: Floats
    brain: Flags
    head: Flags

    @property
    def share(self) -> float:
        """Share of the head that is brain, without remaining bone."""
        return float((self.brain & (self.grey <= WHITE)).sum()) / max(float(self.head.sum()), 1.0)


def cut_out(picture: Tensor, rng: np.random.Generator) -> Cut:
    """Find head and brain in a slice [S, S] in [-1, 1].

    From the skin inwards, the mean grey value has a maximum in the scalp (CT: in the bone) and then a minimum
    in the bone (CT: in the tissue within). The brain begins at this minimum. Remaining white bone is removed.
    The outline is smooth and slightly too large, like that of networks for skull stripping, or it follows the
    tissue.
    """
    grey = ((picture.numpy() + 1) / 2).astype(np.float32)
    head = _largest(ndimage.binary_fill_holes(ndimage.binary_opening(grey > VISIBLE, np.ones((3, 3)))))
    depth = ndimage.distance_transform_edt(head)
    reach = float(depth.max())
    if reach < 4:
        return Cut(grey, head, head)
    ends = np.linspace(0.0, 0.35, 15) * reach
    shells = np.digitize(depth, ends)
    means = np.array(
        [grey[shells == shell].mean() for shell in range(1, len(ends)) if (shells == shell).any()]
    )
    bright = int(np.argmax(means[: len(means) // 2]))
    start = ends[bright + 1 + int(np.argmin(means[bright:]))] + rng.uniform(-0.03, 0.05) * reach
    bone = ndimage.binary_dilation(ndimage.binary_opening(grey > WHITE), iterations=2)
    brain = (depth > max(start, RIND * reach)) & (~bone | (depth > 0.5 * reach))
    if rng.random() < 0.4:
        tissue = _largest(ndimage.binary_opening(brain & (grey > 1.5 * VISIBLE), iterations=2))
        brain = ndimage.binary_fill_holes(ndimage.binary_closing(tissue, iterations=3))
    brain = ndimage.gaussian_filter(brain.astype(np.float32), rng.uniform(0.01, 0.05) * reach) > 0.5
    return Cut(grey, _largest(brain), head)


def _largest(mask: Flags) -> Flags:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    largest: Flags = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return largest
