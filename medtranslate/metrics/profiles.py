"""Profiles: named definitions of the scores, one function and one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medtranslate.config import ProfileName
from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.metrics.arrays import Range, Volume, Voxels, require_finite
from medtranslate.metrics.masks import BODY_HU, BODY_RIM, INVENTED, VISIBLE, body_mask, head_mask
from medtranslate.metrics.scores import Sums, error_sums, mean, ssim_map
from medtranslate.metrics.ssim3d import ms_ssim, ssim_map_3d
from medtranslate.records import Scores

WHOLE_CT: Range = (-1024.0, 3071.0)
"""HU that a CT of 12 bits can hold; a model that cannot say all of it has no scores of the whole CT range."""

BODY_RULE = (
    f"body: reference above {BODY_HU:g} HU, holes filled, largest component, dilated in plane by {BODY_RIM}"
    " voxels (ours: the challenge handed out its masks)"
)
_SYNTHRAD = {
    "MAE": "mean absolute difference over the scored voxels, nothing clipped",
    "PSNR": "10 log10(range² / mean squared difference) of the volumes clipped to the range, in dB",
}


@dataclass(frozen=True)
class Profile:
    """One definition of the scores.

    Attributes:
        score: (prediction, reference, mask, data_range) to the scores of the volume and of each slice.
        mask: (volumes, their ranges) to the voxels that count when the user gives none; the reference
            comes first.
        mask_rule: what `mask` does, in words.
        definitions: each score in words, by its name.
        hu_range: the range that the profile fixes; None where it depends on the images. A profile with
            a range of its own is for CT in HU.
    """

    score: Callable[[Volume, Volume, Voxels, Range], tuple[Scores, list[Scores]]]
    mask: Callable[[Sequence[Volume], Sequence[Range]], Voxels]
    mask_rule: str
    definitions: Mapping[str, str]
    hu_range: Range | None = None


def score_image(
    prediction: Volume, reference: Volume, mask: Voxels, data_range: Range
) -> tuple[Scores, list[Scores]]:
    """Profile `image`: MAE and PSNR over the mask, SSIM per axial slice averaged over the mask."""
    whole, slices = _errors(prediction, reference, mask, data_range)
    similarity = ssim_map(prediction, reference, data_range)
    return (whole, slices) if similarity is None else _with_ssim(whole, slices, similarity, mask)


def score_synthrad2023(
    prediction: Volume, reference: Volume, mask: Voxels, data_range: Range
) -> tuple[Scores, list[Scores]]:
    """Profile `synthrad2023`: MAE as it is, PSNR of the clipped volumes, 3-D SSIM inside the mask.

    Raises:
        InputRefused: the volume is too small for the SSIM's window.
    """
    errors = _errors(prediction, reference, mask, data_range, clip=True)
    return _with_ssim(*errors, *ssim_map_3d(prediction, reference, mask, data_range))


def score_synthrad2025(
    prediction: Volume, reference: Volume, mask: Voxels, data_range: Range
) -> tuple[Scores, list[Scores]]:
    """Profile `synthrad2025`: MAE as it is, PSNR of the clipped volumes, 3-D MS-SSIM inside the mask.

    A slice has no MS-SSIM of its own: the window and the scales reach across slices.

    Raises:
        InputRefused: the mask is too small for the coarsest scale of the MS-SSIM.
    """
    whole, slices = _errors(prediction, reference, mask, data_range, clip=True)
    return replace(whole, ms_ssim=ms_ssim(prediction, reference, mask, data_range)), slices


PROFILES: dict[ProfileName, Profile] = {
    "image": Profile(
        score_image,
        head_mask,
        f"head: reference (and source, if given) above {VISIBLE:.0%} of their ranges, holes filled, largest"
        f" component; and what the prediction shows above {INVENTED:.0%} where the reference shows nothing",
        {
            "MAE": "mean absolute difference over the scored voxels",
            "PSNR": "10 log10(range² / mean squared difference), in dB",
            "SSIM": "structural similarity per axial slice (Gaussian window, sigma 1.5), mean over the scored"
            " voxels",
        },
    ),
    "synthrad2023": Profile(
        score_synthrad2023,
        body_mask,
        BODY_RULE,
        _SYNTHRAD
        | {
            "SSIM": "3-D structural similarity of the clipped volumes, air outside the mask (uniform window"
            " of 7 voxels), mean over the scored voxels 3 voxels from the volume's edge"
        },
        (-1024.0, 3000.0),
    ),
    "synthrad2025": Profile(
        score_synthrad2025,
        body_mask,
        BODY_RULE,
        _SYNTHRAD
        | {
            "MS-SSIM": "3-D structural similarity of the clipped volumes, air outside the mask, on five"
            " scales (uniform window of 7 voxels), luminance on each of them"
        },
        WHOLE_CT,
    ),
}


def score(
    prediction: Volume,
    reference: Volume,
    mask: Voxels,
    data_range: Range,
    profile: ProfileName = "image",
    reversed_axes: Sequence[int] = (),
) -> tuple[Scores, list[Scores]]:
    """Scores of a volume and of each of its slices by the definitions of `profile`.

    The multi-scale similarity keeps every second voxel of an axis, so it depends on the end at which the axis
    begins; the challenge begins where the file does. `reversed_axes` turn the arrays to that order. The order
    in which the axes are stored changes no score.

    Args:
        prediction: [X, Y, Z], axial slices along the last axis.
        reference: likewise, in the same unit on the same grid.
        mask: likewise, the voxels that count; where none does, the scores are None.
        data_range: lowest and highest value that PSNR and SSIM refer to; a profile with a range of its own
            takes that.
        profile: name in `PROFILES`.
        reversed_axes: axes along which the file holds the voxels from the other end.

    Raises:
        GeometryRefused: the shapes differ.
        InputRefused: a value is not finite, the range is empty, or the volume is too small.
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
    definition, axes = PROFILES[profile], tuple(reversed_axes)
    whole, slices = definition.score(
        np.flip(prediction, axes),
        np.flip(reference, axes),
        np.flip(mask, axes),
        definition.hu_range or data_range,
    )
    return whole, slices[::-1] if 2 in axes else slices


def _errors(
    prediction: Volume, reference: Volume, mask: Voxels, data_range: Range, *, clip: bool = False
) -> tuple[Scores, list[Scores]]:
    """MAE of the volumes as they are, PSNR of them as they are or clipped to the range."""
    sums = [
        error_sums(fake, real, voxels, data_range if clip else None)
        for fake, real, voxels in zip(prediction.T, reference.T, mask.T, strict=True)
    ]
    whole, *slices = (
        Scores(mae=found.mae, psnr=found.psnr(data_range)) for found in (sum(sums, Sums()), *sums)
    )
    return whole, slices


def _with_ssim(
    whole: Scores, slices: list[Scores], similarity: NDArray[np.floating], counted: Voxels
) -> tuple[Scores, list[Scores]]:
    """The scores with the mean of a map over the voxels that count."""
    planes = zip(slices, similarity.T, counted.T, strict=True)
    return (
        replace(whole, ssim=mean(similarity[counted])),
        [replace(scores, ssim=mean(values[voxels])) for scores, values, voxels in planes],
    )
