"""3-D similarities of the challenges, slab by slab, which need few copies of a volume.

Inside, arrays are [Z, Y, X], so that a slab of axial slices lies together in memory; outside, [X, Y, Z].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medtranslate.errors import InputRefused
from medtranslate.metrics.arrays import Range, Values, Voxels
from medtranslate.metrics.scores import Pair, Scored, over_map

UNIFORM_WINDOW = 7
"""Voxels along each axis of the uniform window."""
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales from fine to coarse (Wang et al. 2003)."""
MS_SSIM_SIDE = 97
"""Least number of voxels along an axis, so that the window fits after four halvings."""
SLAB = 32
"""Slices of a slab."""

Floats = npt.NDArray[np.float64]
Planes = tuple[Floats, Floats, Voxels]
"""Slices of prediction, reference and mask."""
Read = Callable[[int, int], Planes]
"""Function of the first slice and the end; it returns these slices."""

_EDGE = UNIFORM_WINDOW // 2
_INNER = (slice(_EDGE, -_EDGE),) * 3
"""Voxels whose window lies inside the volume."""


def score_ssim_3d(pair: Pair) -> Scored:
    """Average `ssim_map_3d` over the scored voxels.

    Raises:
        InputRefused: the volume is too small for the window.
    """
    return over_map(*ssim_map_3d(pair.prediction, pair.reference, pair.mask, pair.data_range))


def score_ms_ssim(pair: Pair) -> Scored:
    """Compute the multi-scale similarity (`ms_ssim`) of a volume; window and scales reach across slices.

    Raises:
        InputRefused: the mask is too small for the coarsest scale.
    """
    return Scored(ms_ssim(pair.prediction, pair.reference, pair.mask, pair.data_range))


def ssim_map_3d(
    prediction: Values, reference: Values, mask: Voxels, data_range: Range
) -> tuple[Floats, Voxels]:
    """Compute the structural similarity of each voxel with its surroundings, and select the scored voxels.

    The definition of SynthRAD2023 (functions/image_metrics.py of SynthRAD2023/metrics): both volumes are
    clipped to the range, air outside the mask, shifted so that the range begins at zero; uniform window
    of 7 x 7 x 7, K1 = 0.01, K2 = 0.03, sample covariance. What lies within 3 voxels of the volume's
    edge does not count; the map is zero there.

    Raises:
        InputRefused: an axis is shorter than the window, or the mask holds voxels at the edge only.
    """
    counted = np.zeros_like(mask)
    counted[_INNER] = mask[_INNER]
    if min(mask.shape) < UNIFORM_WINDOW or (mask.any() and not counted.any()):
        shape = " x ".join(map(str, mask.shape))
        raise InputRefused(
            f"{mask.sum()} voxels of the mask in a volume of {shape}: none around which a window of"
            f" {UNIFORM_WINDOW} voxels along each axis fits; use the profile image"
        )
    read, depth = _above_air(prediction, reference, mask, data_range, 0)
    similarity = np.zeros(mask.shape[::-1])
    for start, end in _slabs(depth):
        low, high = max(start - _EDGE, 0), min(end + _EDGE, depth)
        fake, real, _ = read(low, high)
        similarity[low:high][_INNER] = _similarity(fake, real, data_range)
    return similarity.T, counted


def ms_ssim(prediction: Values, reference: Values, mask: Voxels, data_range: Range) -> float | None:
    """Compute the multi-scale structural similarity of two volumes in the mask; None for an empty mask.

    The definition of SynthRAD2025 (image_metrics.py of SynthRAD2025/evaluation at commit 17cac47), after
    Wang et al., "Multiscale structural similarity for image quality assessment", Asilomar 2003: both volumes
    are clipped to the range, air outside the mask, shifted so that the range begins at zero; an axis
    shorter than 97 is padded with its edge values on both sides, the mask too. On each of five scales the
    similarity of `ssim_map_3d`, at least 0, is raised to the scale's weight voxel by voxel and averaged over
    the mask, 3 voxels from the edge left out; the score is the product of the averages. Unlike in the paper,
    luminance enters on every scale, as it does in the published code. Between scales, volumes are averaged
    over 2 x 2 x 2 voxels (each with its predecessors; zero before the first) and every second voxel is kept,
    of the mask too.

    That code multiplies the contrast and the structure term; with its C3 = C2 / 2 the product is the
    second factor of the ordinary SSIM.

    Raises:
        InputRefused: no voxel of the mask is left on a coarse scale.
    """
    if not mask.any():
        return None
    read, depth = _above_air(prediction, reference, mask, data_range, MS_SSIM_SIDE)
    product = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        sums, counts, coarse = zip(*_scale(read, depth, weight, data_range), strict=True)
        if not sum(counts):
            raise InputRefused(
                f"mask of {mask.sum()} voxels: none is left for the multi-scale similarity on a grid"
                f" {2**scale} times as coarse; use the profile synthrad2023 or image"
            )
        product *= sum(sums) / sum(counts)
        read, depth = _joined(coarse)
    return product


def _scale(read: Read, depth: int, weight: float, data_range: Range) -> Iterator[tuple[float, int, Planes]]:
    """Yield for each slab the sum of the weighted similarity in the mask, its voxels, the coarser slab."""
    for start, end in _slabs(depth):
        low, high = max(start - _EDGE, 0), min(end + _EDGE, depth)
        fake, real, voxels = read(low, high)
        values = np.zeros(0)
        if high - low >= UNIFORM_WINDOW:
            values = _similarity(fake, real, data_range)[voxels[_INNER]]
        weighted = np.power(values.clip(0.0, out=values), weight, out=values)
        before, last = start - low, end - low
        # A voxel is averaged with its predecessor, so the slice before the slab takes part.
        halves = [_halve(volume[before % 2 : last])[before // 2 :] for volume in (fake, real)]
        yield float(weighted.sum()), values.size, (halves[0], halves[1], voxels[before:last:2, ::2, ::2])


def _similarity(fake: Floats, real: Floats, data_range: Range) -> Floats:
    """Compute the structural similarity (Wang et al. 2004) of uniform windows inside the volume.

    With means m, variances v and covariance c of the windows (2 mm' + C1)(2c + C2) over
    (m² + m'² + C1)(v + v' + C2); the variances add up, so their sum is filtered as one.
    """
    width = data_range[1] - data_range[0]
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    size = UNIFORM_WINDOW**3
    unbiased = size / (size - 1)
    means = _window_means(fake), _window_means(real)
    product = means[0] * means[1]
    squares = np.square(means[0], out=means[0])
    squares += np.square(means[1], out=means[1])

    covariance = _window_means(fake * real)
    covariance -= product
    covariance *= 2 * unbiased
    covariance += c2
    product *= 2
    product += c1
    covariance *= product
    del product

    both = np.square(fake)
    both += np.square(real)
    variances = _window_means(both)
    variances -= squares
    variances *= unbiased
    variances += c2
    squares += c1
    variances *= squares
    covariance /= variances
    return covariance


def _window_means(volume: Floats) -> Floats:
    means: Floats = ndimage.uniform_filter(volume, UNIFORM_WINDOW)[_INNER]
    return means


def _above_air(
    prediction: Values, reference: Values, mask: Voxels, data_range: Range, side: int
) -> tuple[Read, int]:
    """Make a reader of slices, clipped and shifted so that the range begins at zero; zero outside the mask.

    Args:
        side: least number of voxels along each axis; fewer are padded with the values at the edge.

    Returns:
        The reader, and the number of slices.
    """
    short = [max(0, side - length) for length in mask.shape[::-1]]
    margins = [(lack // 2, lack - lack // 2) for lack in short]
    low, high = data_range

    def padded(volume: npt.NDArray[np.generic], start: int, end: int) -> npt.NDArray[np.generic]:
        places = (np.arange(start, end) - margins[0][0]).clip(0, volume.shape[2] - 1)
        planes = np.ascontiguousarray(volume.T[places[0] : places[-1] + 1])
        if not any(short):
            return planes
        return np.pad(planes[places - places[0]], [(0, 0), *margins[1:]], mode="edge")

    def read(start: int, end: int) -> Planes:
        voxels = padded(mask, start, end).astype(bool, copy=False)
        volumes = []
        for volume in (prediction, reference):
            planes = padded(volume, start, end).astype(np.float64)
            planes.clip(low, high, out=planes)
            planes -= low
            planes *= voxels
            volumes.append(planes)
        return volumes[0], volumes[1], voxels

    return read, mask.shape[2] + short[0]


def _joined(slabs: tuple[Planes, ...]) -> tuple[Read, int]:
    """Join the slabs of a coarser scale into one volume: a reader of its slices, and their number."""
    fake, real, voxels = (np.concatenate(parts) for parts in zip(*slabs, strict=True))
    return lambda start, end: (fake[start:end], real[start:end], voxels[start:end]), len(voxels)


def _slabs(depth: int) -> Iterator[tuple[int, int]]:
    for start in range(0, depth, SLAB):
        yield start, min(start + SLAB, depth)


def _halve(volume: Floats) -> Floats:
    """Halve the resolution: average every second voxel with its predecessor, zero before the first."""
    for axis in (2, 1, 0):
        ahead = np.moveaxis(volume, axis, 0)
        pairs = ahead[::2].copy()
        pairs[1:] += ahead[1:-1:2]
        volume = np.moveaxis(pairs, 0, axis)
    return volume / 8
