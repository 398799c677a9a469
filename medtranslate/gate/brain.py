"""Where the brain is in a slice of a head, roughly: what a tool for skull stripping would keep."""

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
"""Least depth at which a brain begins, as a share of the head's largest."""

WHITE = 0.97
"""Of the range: bone in a brain window."""


@dataclass(frozen=True)
class Cut:
    """A slice without its skull.

    Attributes:
        grey: [S, S] from 0 to 1.
        brain: what a tool for skull stripping would keep, roughly.
        head: brain, skull and scalp.
    """

    grey: Floats
    brain: Flags
    head: Flags

    @property
    def share(self) -> float:
        """Of the head that is brain, and not bone that was left."""
        return float((self.brain & (self.grey <= WHITE)).sum()) / max(float(self.head.sum()), 1.0)


def cut_out(picture: Tensor, rng: np.random.Generator) -> Cut:
    """Head and brain of a slice [S, S] in [-1, 1].

    Going inwards the grey is brightest in the scalp (CT: in the bone) and then darkest in the bone (CT: in
    what lies within): there the brain begins. White bone that is left is taken away. The outline is smooth
    and a little generous, as networks for skull stripping draw it, or follows the tissue.
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
    found: Flags = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return found
