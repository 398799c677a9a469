"""The window of a CT picture, as its brain and its fluid tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BRAIN_HU, FLUID_HU = 33.6, 9.1
"""HU of brain and of wide fluid by `greys_of`, in 374 published slices of level 40 and width 120."""

_LEAST_FLUID_HU, _MOST_APART = 0.0, 35.0
"""Least HU of wide fluid, and most HU by which brain is denser."""

_BONE, _MARGIN, _LEAST_INSIDE, _LEAST_DARK = 235, 12, 5000, 50
"""Least grey value of bone; pixels from it to the inside of the skull; the least pixels there, and dark ones
among them, of a slice that is measured. Pixels are of slices of about 256."""

_SMOOTH, _WITHIN, _HALF_WIDTH, _MIDDLE, _SHARE = 1.5, 15.0, 5.0, 0.6, 0.75
"""Sigma in pixels; grey values about the median that are brain; the least pixels from the edge of fluid to
its middle, and the share of them from which it is measured; and the share of slices with less contrast than
the one that counts, because fluid does not fill their thickness."""


@dataclass(frozen=True)
class Greys:
    """Grey values of brain and of wide fluid, of 255."""

    brain: float
    fluid: float

    def in_hu(self, window: tuple[float, float]) -> Greys:
        """Convert both to HU, for the HU of black and white."""
        black, white = window
        slope = (white - black) / 255
        return Greys(black + slope * self.brain, black + slope * self.fluid)

    def possible_in(self, window: tuple[float, float]) -> bool:
        """Return False if no head has such HU, so that the window is another one."""
        hu = self.in_hu(window)
        return hu.fluid >= _LEAST_FLUID_HU and hu.brain - hu.fluid <= _MOST_APART


def seems_other(grey: NDArray[np.float32], levels: int, window: tuple[float, float]) -> bool:
    """Return True for a CT picture whose fluid and brain cannot have the HU that its window gives.

    It is True of 3 of 431 published slices that have the window, and of 79 of 127 that have others
    (`benchmarks.quality.windows`).

    Args:
        grey: axial slices [X, Y, Z] of grey values from 0 to `levels`.
        window: HU of black and white.
    """
    measured = greys_of_each(np.moveaxis(grey, 2, 0) * np.float32(255 / levels))
    return bool(measured) and not pooled(measured).possible_in(window)


def greys_of_each(slices: Iterable[NDArray[np.float32]]) -> list[Greys]:
    """Measure those of some slices that show wide fluid."""
    return [found for each in slices if (found := greys_of(each))]


def greys_of(grey: NDArray[np.float32]) -> Greys | None:
    """Measure the grey values of brain and wide fluid in a slice [X, Y]; None if it shows no wide fluid."""
    step = max(1, round(max(grey.shape) / 256))
    grey = grey[::step, ::step]
    bone = grey >= _BONE
    inside = ndimage.binary_fill_holes(bone) & ~ndimage.binary_dilation(bone, iterations=_MARGIN)
    if np.count_nonzero(inside) < _LEAST_INSIDE:
        return None
    smooth, middle = ndimage.gaussian_filter(grey, _SMOOTH), float(np.median(grey[inside]))
    dark = inside & (smooth < middle - 20)
    if np.count_nonzero(dark) < _LEAST_DARK:
        return None
    darkest = float(np.percentile(smooth[dark], 5))
    depth = ndimage.distance_transform_edt(inside & (smooth < (darkest + middle) / 2))
    brain = inside & (np.abs(smooth - middle) < _WITHIN)
    if depth.max() < _HALF_WIDTH or not brain.any():
        return None
    return Greys(float(np.median(grey[brain])), float(grey[depth >= _MIDDLE * depth.max()].mean()))


def pooled(slices: Sequence[Greys]) -> Greys:
    """Pool slices of a head: brain by its median, fluid by a contrast that few slices exceed."""
    brain = float(np.median([each.brain for each in slices]))
    return Greys(brain, brain - float(np.quantile([each.brain - each.fluid for each in slices], _SHARE)))


def window_of(slices: Sequence[Greys]) -> tuple[float, float]:
    """Find the HU of black and white in slices of a head.

    Fluid that is nearly black, and so cut by the window, makes it seem wider.
    """
    greys = pooled(slices)
    slope = (BRAIN_HU - FLUID_HU) / (greys.brain - greys.fluid)
    black = BRAIN_HU - slope * greys.brain
    return black, black + 255 * slope
