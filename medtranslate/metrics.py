"""How near a prediction comes to its reference: masks, scores and the profiles that combine them.

The same pair of volumes gives quite different numbers depending on mask, clipping, range and window,
so a score is only meant together with its profile (docs/metrics.md). Everything here is a pure
function of arrays [X, Y, Z] whose last axis counts the axial slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.metrics import structural_similarity

from medtranslate.config import ProfileName
from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.result import Scores

Volume = npt.NDArray[np.float32]
Voxels = npt.NDArray[np.bool_]
Range = tuple[float, float]

SSIM_SIGMA = 1.5
SSIM_WINDOW = 11
"""Pixels that the Gaussian of `SSIM_SIGMA` spans, cut at 3.5 sigma."""


@dataclass(frozen=True)
class Profile:
    """One definition of the scores.

    Attributes:
        score: (prediction, reference, mask, data_range) to the scores of the volume and of each slice.
        mask: (volumes, their ranges) to the voxels that count when the user gives none.
        mask_rule: what `mask` does, in words.
    """

    score: Callable[[Volume, Volume, Voxels, Range], tuple[Scores, list[Scores]]]
    mask: Callable[[Sequence[Volume], Sequence[Range]], Voxels]
    mask_rule: str


def percentile_range(volume: Volume, mask: Voxels | None = None) -> Range:
    """The 0.5 and 99.5 percentile of `volume`, inside `mask` where one is given."""
    low, high = np.percentile(volume if mask is None else volume[mask], (0.5, 99.5))
    return float(low), float(high)


def head_mask(volumes: Sequence[Volume], ranges: Sequence[Range]) -> Voxels:
    """Voxels of the head: the mask of the profile `image`.

    The union of what lies above 3 % of each volume's range; holes filled in each axial slice; the
    largest connected component. Empty if nothing lies above.

    Args:
        volumes: one or more volumes [X, Y, Z] on one grid, in the units of `ranges`.
        ranges: lowest and highest value of each.
    """
    above = np.logical_or.reduce(
        [volume > low + 0.03 * (high - low) for volume, (low, high) in zip(volumes, ranges, strict=True)]
    )
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(above, -1, 0)], axis=-1)
    labels, _ = ndimage.label(filled)
    sizes = np.bincount(labels.ravel(), minlength=2)
    largest: Voxels = labels == 1 + np.argmax(sizes[1:])
    return largest


def mae(prediction: Volume, reference: Volume, mask: Voxels) -> float | None:
    """Mean absolute difference over the mask's voxels; None for an empty mask."""
    return _mean(np.abs(_difference(prediction, reference, mask)))


def psnr(prediction: Volume, reference: Volume, mask: Voxels, data_range: Range) -> float | None:
    """Peak signal-to-noise ratio over the mask's voxels, 10 log10(range² / MSE), in dB.

    Infinite for equal voxels; None for an empty mask.
    """
    error = _mean(np.square(_difference(prediction, reference, mask)))
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


def score_image(
    prediction: Volume, reference: Volume, mask: Voxels, data_range: Range
) -> tuple[Scores, list[Scores]]:
    """Profile `image`: MAE and PSNR over the mask, SSIM per axial slice averaged over the mask."""
    similarity = ssim_map(prediction, reference, data_range)

    def inside(planes: slice) -> Scores:
        fake, real, voxels = prediction[..., planes], reference[..., planes], mask[..., planes]
        return Scores(
            mae=mae(fake, real, voxels),
            psnr=psnr(fake, real, voxels, data_range),
            ssim=None if similarity is None else _mean(similarity[..., planes][voxels]),
        )

    return inside(slice(None)), [inside(slice(k, k + 1)) for k in range(mask.shape[-1])]


PROFILES: dict[ProfileName, Profile] = {
    "image": Profile(
        score_image,
        head_mask,
        "head: reference (and source, if given) above 3 % of their ranges, holes filled, largest component",
    ),
}


def score(
    prediction: Volume,
    reference: Volume,
    mask: Voxels,
    data_range: Range,
    profile: ProfileName = "image",
) -> tuple[Scores, list[Scores]]:
    """Scores of a volume and of each of its slices by the definitions of `profile`.

    Args:
        prediction: [X, Y, Z], axial slices along the last axis.
        reference: likewise, in the same unit on the same grid.
        mask: likewise, the voxels that count; where none does, the scores are None.
        data_range: lowest and highest value that PSNR and SSIM refer to.
        profile: name in `PROFILES`.

    Raises:
        GeometryRefused: the shapes differ.
        InputRefused: a value is not finite, or the range is empty.
    """
    if not prediction.shape == reference.shape == mask.shape:
        raise GeometryRefused(
            f"prediction {prediction.shape}, reference {reference.shape} and mask {mask.shape}"
            " differ in shape; bring them to one grid"
        )
    require_finite(prediction, "prediction")
    require_finite(reference, "reference")
    if not data_range[0] < data_range[1]:
        raise InputRefused(f"range {data_range[0]:g} to {data_range[1]:g} is empty; give the lower end first")
    return PROFILES[profile].score(prediction, reference, mask, data_range)


def require_finite(volume: Volume, what: str) -> None:
    """Refuse a volume that holds NaN or infinity: a mean over it would say nothing.

    Raises:
        InputRefused: says how many voxels of `what` are not finite.
    """
    odd = volume.size - np.count_nonzero(np.isfinite(volume))
    if odd:
        raise InputRefused(f"{what}: {odd} of {volume.size} voxels are not finite; mend the volume first")


def _difference(prediction: Volume, reference: Volume, mask: Voxels) -> npt.NDArray[np.float64]:
    return np.subtract(prediction[mask], reference[mask], dtype=np.float64)


def _mean(values: npt.NDArray[np.floating]) -> float | None:
    return float(np.mean(values, dtype=np.float64)) if values.size else None
