"""What scanners add to painted slices: noise, and the brightness near coils."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.phantom.tissues import Floats

_NEAR, _SHADED, _REACH = 1.5, 0.3, (1 / 32, 1 / 8)
"""Most that the skin is brighter than without coils, the share of the slices in which it is so, and how deep
that reaches, as shares of a slice's side. With more, muscle in a ring of fat looks like brain in a skull."""


def ct_noise(rng: np.random.Generator, shape: tuple[int, int], spread: float) -> Floats:
    """Draw the noise of a reconstruction, in which neighbours are correlated."""
    white = rng.standard_normal(shape, np.float32)
    smooth = 0.5 * white
    smooth[1:] += 0.25 * white[:-1]
    smooth[:-1] += 0.25 * white[1:]
    grain = 0.5 * smooth
    grain[:, 1:] += 0.25 * smooth[:, :-1]
    grain[:, :-1] += 0.25 * smooth[:, 1:]
    grain *= np.float32(spread / 0.375)
    return grain


def rician(image: Floats, rng: np.random.Generator, level: float) -> Floats:
    """Compute the magnitude of a complex image with normal noise (Gudbjartsson, Patz, MRM 34 (1995) 910)."""
    noise = rng.standard_normal((2, *image.shape), np.float32) * np.float32(level)
    magnitude: Floats = np.sqrt((image + noise[0]) ** 2 + noise[1] ** 2)
    return magnitude


def surface_gain(rng: np.random.Generator, inside: NDArray[np.bool_]) -> Floats:
    """Draw how much brighter an MR is near its coils, [size, size]: some are so towards the skin.

    Args:
        inside: True in the head.
    """
    most, depth = rng.uniform(0.0, _NEAR) * (rng.random() < _SHADED), rng.uniform(*_REACH) * len(inside)
    shallow = 1.0 - ndimage.gaussian_filter(inside.astype(np.float32), depth, mode="constant")
    gain: Floats = 1.0 + np.float32(2.0 * most) * shallow.clip(max=0.5)
    return gain
