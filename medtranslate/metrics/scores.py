"""The single scores: functions of a prediction, a reference and a mask, each [X, Y, Z]."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.metrics import structural_similarity

from medtranslate.errors import InputRefused
from medtranslate.metrics.arrays import Range, Volume, Voxels

SSIM_SIGMA = 1.5
SSIM_WINDOW = 11
"""Pixels that the Gaussian of `SSIM_SIGMA` spans, cut at 3.5 sigma."""
UNIFORM_WINDOW = 7
"""Voxels along each axis of the uniform window of the 3-D similarities."""
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales from fine to coarse, by Wang et al. 2003."""
MS_SSIM_SIDE = 97
"""Voxels along an axis at least, so that the window still fits after four halvings."""

_EDGE = UNIFORM_WINDOW // 2
_INNER = (slice(_EDGE, -_EDGE),) * 3
"""Voxels around which the window lies inside the volume."""


def mae(prediction: Volume, reference: Volume, mask: Voxels) -> float | None:
    """Mean absolute difference over the mask's voxels; None for an empty mask."""
    return mean(np.abs(difference(prediction, reference, mask)))


def psnr(prediction: Volume, reference: Volume, mask: Voxels, data_range: Range) -> float | None:
    """Peak signal-to-noise ratio over the mask's voxels, 10 log10(range² / MSE), in dB.

    Infinite for equal voxels; None for an empty mask.
    """
    error = mean(np.square(difference(prediction, reference, mask)))
    if error is None:
        return None
    return 10 * math.log10((data_range[1] - data_range[0]) ** 2 / error) if error else math.inf


def ssim_map(prediction: Volume, reference: Volume, data_range: Range) -> Volume | None:
    """Structural similarity of each voxel with its surroundings in the axial slice, [X, Y, Z].

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE
    TIP 13(4), 2004: Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, population covariance. SSIM
    depends on where zero lies, so both are shifted until the range begins there: HU may be negative.
    None for slices with a side below `SSIM_WINDOW`, on which the window does not fit.
    """
    if min(reference.shape[:2]) < SSIM_WINDOW:
        return None
    low, high = data_range
    similarity = np.empty(reference.shape, np.float32)
    for index in range(reference.shape[2]):
        _, similarity[..., index] = structural_similarity(
            reference[..., index].astype(np.float64) - low,
            prediction[..., index].astype(np.float64) - low,
            data_range=high - low,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            full=True,
        )
    return similarity


def ssim_map_3d(
    prediction: Volume, reference: Volume, mask: Voxels, data_range: Range
) -> tuple[npt.NDArray[np.float64], Voxels]:
    """Structural similarity of each voxel with its surroundings in space, and the voxels that count.

    The definition of SynthRAD2023 (functions/image_metrics.py of SynthRAD2023/metrics): both volumes are
    clipped to the range, air outside the mask, shifted so that the range begins at zero; uniform window
    of 7 x 7 x 7, K1 = 0.01, K2 = 0.03, sample covariance. What lies within 3 voxels of the volume's
    edge does not count.

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
    pair = [_above_air(volume, mask, data_range) for volume in (reference, prediction)]
    return _uniform_map(pair[0], pair[1], data_range), counted


def ms_ssim(prediction: Volume, reference: Volume, mask: Voxels, data_range: Range) -> float | None:
    """Multi-scale structural similarity of two volumes over the mask; None for an empty mask.

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
    short = [max(0, MS_SSIM_SIDE - side) for side in mask.shape]
    margins = [(lack // 2, lack - lack // 2) for lack in short]
    fake, real = (
        np.pad(_above_air(volume, mask, data_range), margins, mode="edge")
        for volume in (prediction, reference)
    )
    voxels = np.pad(mask, margins, mode="edge")
    product = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        counted = voxels[_INNER]
        if not counted.any():
            raise InputRefused(
                f"mask of {mask.sum()} voxels: none is left for the multi-scale similarity on a grid"
                f" {2**scale} times as coarse; use the profile synthrad2023 or image"
            )
        similarity = _uniform_map(real, fake, data_range)[_INNER][counted]
        product *= float(np.mean(similarity.clip(0.0) ** weight))
        fake, real, voxels = _halve(fake), _halve(real), voxels[::2, ::2, ::2]
    return product


def difference(prediction: Volume, reference: Volume, mask: Voxels) -> npt.NDArray[np.float64]:
    """Prediction minus reference at the mask's voxels, a list of them."""
    return np.subtract(prediction[mask], reference[mask], dtype=np.float64)


def mean(values: npt.NDArray[np.floating]) -> float | None:
    """Mean in double precision; None of nothing."""
    return float(np.mean(values, dtype=np.float64)) if values.size else None


def _above_air(volume: Volume, mask: Voxels, data_range: Range) -> npt.NDArray[np.float64]:
    """Clipped to the range and counted from its lower end; zero outside the mask."""
    low, high = data_range
    return np.where(mask, volume.astype(np.float64).clip(low, high) - low, 0.0)


def _uniform_map(
    reference: npt.NDArray[np.float64], prediction: npt.NDArray[np.float64], data_range: Range
) -> npt.NDArray[np.float64]:
    similarity: npt.NDArray[np.float64] = structural_similarity(
        reference,
        prediction,
        win_size=UNIFORM_WINDOW,
        data_range=data_range[1] - data_range[0],
        use_sample_covariance=True,
        full=True,
    )[1]
    return similarity


def _halve(volume: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    averaged: npt.NDArray[np.float64] = ndimage.uniform_filter(volume, 2, mode="constant")
    return averaged[::2, ::2, ::2]
