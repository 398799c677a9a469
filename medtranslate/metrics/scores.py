"""The single scores: functions of a prediction, a reference and a mask, each [X, Y, Z]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from medtranslate.metrics.arrays import Range, Volume, Voxels

SSIM_SIGMA = 1.5
SSIM_WINDOW = 11
"""Pixels that the Gaussian of `SSIM_SIGMA` spans, cut at 3.5 sigma."""


@dataclass(frozen=True)
class Sums:
    """What mean errors are made of; those of slices add up to those of the volume.

    Attributes:
        voxels: how many there are.
        absolute: sum of the absolute differences.
        squared: sum of the squared differences.
    """

    voxels: int = 0
    absolute: float = 0.0
    squared: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.voxels + other.voxels, self.absolute + other.absolute, self.squared + other.squared)

    @property
    def mae(self) -> float | None:
        """Mean absolute difference; None of nothing."""
        return self.absolute / self.voxels if self.voxels else None

    def psnr(self, data_range: Range) -> float | None:
        """10 log10(range² / MSE) in dB, infinite for equal voxels; None of nothing."""
        if not self.voxels:
            return None
        width, error = data_range[1] - data_range[0], self.squared / self.voxels
        return 10 * math.log10(width**2 / error) if error else math.inf


def error_sums(prediction: Volume, reference: Volume, mask: Voxels, clip: Range | None = None) -> Sums:
    """Sums over the mask's voxels; the squares those of both volumes clipped to `clip`, if there is one."""
    fake, real = (volume[mask].astype(np.float64) for volume in (prediction, reference))
    errors = np.abs(fake - real)
    clipped = errors if clip is None else fake.clip(*clip, out=fake) - real.clip(*clip, out=real)
    return Sums(errors.size, float(errors.sum()), float(clipped @ clipped))


def mae(prediction: Volume, reference: Volume, mask: Voxels) -> float | None:
    """Mean absolute difference over the mask's voxels; None for an empty mask."""
    return error_sums(prediction, reference, mask).mae


def psnr(prediction: Volume, reference: Volume, mask: Voxels, data_range: Range) -> float | None:
    """Peak signal-to-noise ratio over the mask's voxels, `Sums.psnr`; None for an empty mask."""
    return error_sums(prediction, reference, mask).psnr(data_range)


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


def difference(prediction: Volume, reference: Volume, mask: Voxels) -> npt.NDArray[np.float64]:
    """Prediction minus reference at the mask's voxels, a list of them."""
    return np.subtract(prediction[mask], reference[mask], dtype=np.float64)


def mean(values: npt.NDArray[np.floating]) -> float | None:
    """Mean in double precision; None of nothing."""
    return float(np.mean(values, dtype=np.float64)) if values.size else None
