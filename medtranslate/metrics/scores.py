"""Single scores: functions of a pair of volumes to one number for the volume and one for each slice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from medtranslate.metrics.arrays import Range, Values, Voxels

SSIM_SIGMA = 1.5
SSIM_WINDOW = 11
"""Pixels that the Gaussian of `SSIM_SIGMA` spans, cut at 3.5 sigma."""


@dataclass(frozen=True)
class ErrorSums:
    """Sums of errors over voxels; those of slices add up to those of the volume.

    Attributes:
        voxels: their number.
        absolute: sum of the absolute differences.
        squared: sum of the squared differences.
        clipped: sum of the squared differences after both volumes were clipped to a range.
    """

    voxels: int = 0
    absolute: float = 0.0
    squared: float = 0.0
    clipped: float = 0.0

    def __add__(self, other: ErrorSums) -> ErrorSums:
        return ErrorSums(
            self.voxels + other.voxels,
            self.absolute + other.absolute,
            self.squared + other.squared,
            self.clipped + other.clipped,
        )

    @property
    def mae(self) -> float | None:
        """Mean absolute difference; None of nothing."""
        return self.absolute / self.voxels if self.voxels else None

    def psnr(self, data_range: Range, *, clipped: bool = False) -> float | None:
        """10 log10(range² / MSE) in dB, infinite for equal voxels; None of nothing."""
        if not self.voxels:
            return None
        width, error = (
            data_range[1] - data_range[0],
            (self.clipped if clipped else self.squared) / self.voxels,
        )
        return 10 * math.log10(width**2 / error) if error else math.inf


@dataclass(frozen=True)
class Pair:
    """Two volumes on one grid, with mask and range of their comparison.

    Attributes:
        prediction: [X, Y, Z], axial slices along the last axis.
        reference: [X, Y, Z], in the same unit.
        mask: [X, Y, Z], the scored voxels.
        data_range: lowest and highest value, for scores that need a range.
    """

    prediction: Values
    reference: Values
    mask: Voxels
    data_range: Range

    @cached_property
    def errors(self) -> list[ErrorSums]:
        """Errors of each axial slice."""
        return [
            error_sums(prediction, reference, mask, self.data_range)
            for prediction, reference, mask in zip(
                self.prediction.T, self.reference.T, self.mask.T, strict=True
            )
        ]

    def slices(self) -> Iterator[Pair]:
        """Each axial slice as a pair, [X, Y, 1]."""
        for index in range(self.mask.shape[2]):
            plane = np.s_[..., index : index + 1]
            yield Pair(self.prediction[plane], self.reference[plane], self.mask[plane], self.data_range)


@dataclass(frozen=True)
class Scored:
    """One score of a volume and of each of its axial slices; None where it is not defined.

    A score that a slice has not by itself, since its definition reaches across slices, has no `slices`.
    """

    volume: float | None
    slices: Sequence[float | None] = ()


ScoreFunction = Callable[[Pair], Scored]


def by_slice(function: Callable[[Pair], float | None]) -> ScoreFunction:
    """Make a score of a function of a pair: of the volume, and of each slice taken by itself."""
    return lambda pair: Scored(function(pair), [function(plane) for plane in pair.slices()])


def score_mae(pair: Pair) -> Scored:
    """Mean absolute difference of the volumes as they are."""
    return Scored(sum(pair.errors, ErrorSums()).mae, [plane.mae for plane in pair.errors])


def score_psnr(pair: Pair, *, clipped: bool = False) -> Scored:
    """Peak signal-to-noise ratio of the volumes as they are, or of both clipped to the range."""
    parts = (sum(pair.errors, ErrorSums()), *pair.errors)
    whole, *planes = (part.psnr(pair.data_range, clipped=clipped) for part in parts)
    return Scored(whole, planes)


score_clipped_psnr: ScoreFunction = partial(score_psnr, clipped=True)


def score_ssim(pair: Pair) -> Scored:
    """Structural similarity per axial slice (`ssim_map`), averaged over the mask."""
    similarity = ssim_map(pair.prediction, pair.reference, pair.data_range)
    return Scored(None) if similarity is None else over_map(similarity, pair.mask)


def over_map(similarity: npt.NDArray[np.floating], counted: Voxels) -> Scored:
    """Mean of a map over the voxels that count, in the volume and slice by slice."""
    planes = zip(similarity.T, counted.T, strict=True)
    return Scored(mean(similarity[counted]), [mean(values[voxels]) for values, voxels in planes])


def error_sums(
    prediction: Values, reference: Values, mask: Voxels, data_range: Range | None = None
) -> ErrorSums:
    """Sum errors over the mask's voxels; without a range the clipped squares are those of all."""
    fake, real = (volume[mask].astype(np.float64) for volume in (prediction, reference))
    errors = np.abs(fake - real)
    squared = clipped = float(errors @ errors)
    if data_range is not None:
        inside = fake.clip(*data_range, out=fake) - real.clip(*data_range, out=real)
        clipped = float(inside @ inside)
    return ErrorSums(errors.size, float(errors.sum()), squared, clipped)


def mae(prediction: Values, reference: Values, mask: Voxels) -> float | None:
    """Mean absolute difference over the mask's voxels; None for an empty mask."""
    return error_sums(prediction, reference, mask).mae


def psnr(prediction: Values, reference: Values, mask: Voxels, data_range: Range) -> float | None:
    """Peak signal-to-noise ratio in dB over the mask's voxels (`ErrorSums.psnr`); None for an empty mask."""
    return error_sums(prediction, reference, mask).psnr(data_range)


def ssim_map(prediction: Values, reference: Values, data_range: Range) -> Values | None:
    """Structural similarity of each voxel with its surroundings in the axial slice, [X, Y, Z].

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE
    TIP 13(4), 2004: Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, population covariance. SSIM
    depends on where zero lies, so both are shifted until the range begins there: HU may be negative.
    None for slices with a side below `SSIM_WINDOW`, on which the window does not fit.
    """
    from skimage.metrics import structural_similarity  # slow to load

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


def difference(prediction: Values, reference: Values, mask: Voxels) -> npt.NDArray[np.float64]:
    """Prediction minus reference at the mask's voxels, a list of them."""
    return np.subtract(prediction[mask], reference[mask], dtype=np.float64)


def mean(values: npt.NDArray[np.floating]) -> float | None:
    """Mean in double precision; None of nothing."""
    return float(np.mean(values, dtype=np.float64)) if values.size else None
