"""What scanners make of painted slices: noise, the brightness near coils, and thick slices from the side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.phantom.tissues import Floats

_NEAR, _SHADED = {True: 3.0, False: 1.5}, {True: 0.5, False: 0.3}
"""Most that the skin is brighter than without coils, and the share of the slices in which it is so, in
pictures (True) and volumes. With more, muscle in a ring of fat looks like brain in a skull."""

_REACH = 1 / 32, 1 / 8
"""How deep that reaches, as shares of a slice's side."""

_COARSE, _COARSE_MM = 0.5, (2.5, 7.0)
"""Share of the coronal and sagittal cuts that show a volume of thick axial slices, and their thickness."""


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


def surface_gain(rng: np.random.Generator, inside: NDArray[np.bool_], *, picture: bool = False) -> Floats:
    """Draw how much brighter an MR is near its coils, [size, size]: some are so towards the skin.

    Args:
        inside: True in the head.
        picture: of a slice that is shown by itself.
    """
    most, depth = rng.uniform(0.0, _NEAR[picture]), rng.uniform(*_REACH) * len(inside)
    most *= rng.random() < _SHADED[picture]
    shallow = 1.0 - ndimage.gaussian_filter(inside.astype(np.float32), depth, mode="constant")
    gain: Floats = 1.0 + np.float32(2.0 * most) * shallow.clip(max=0.5)
    return gain


def thick_rows(rng: np.random.Generator, size: int, row_mm: float) -> Floats | None:
    """Draw what the rows of a slice become that is seen in a volume of thick axial slices.

    An axial slice is the mean of the rows that it holds, and a row is interpolated between the two slices
    next to it, as when the volume is resampled.

    Args:
        size: rows of the slice.
        row_mm: from row to row.

    Returns:
        Shares of the rows in each one, [size, size], or None in a thin volume.
    """
    if rng.random() >= _COARSE:
        return None
    thick = max(1.0, rng.uniform(*_COARSE_MM) / row_mm)
    starts = (np.arange(-1, size / thick + 1) + rng.random()) * thick
    rows = np.arange(size)
    held = np.minimum(starts[:, None] + thick, rows + 1) - np.maximum(starts[:, None], rows)
    near = 1.0 - np.abs(rows[:, None] - (starts + (thick - 1) / 2)) / thick
    mean, between = held.clip(0.0), near.clip(0.0)
    seen = mean.sum(1) > thick / 2
    mean, between = mean[seen], between[:, seen]
    mixed: Floats = (between / between.sum(1, keepdims=True)) @ (mean / mean.sum(1, keepdims=True))
    return mixed.astype(np.float32)
