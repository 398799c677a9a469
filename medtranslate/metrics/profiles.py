"""Profiles: named definitions of the scores, of the mask and of the range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np

from medtranslate import plugins
from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.metrics.arrays import Range, Values, Voxels, require_finite
from medtranslate.metrics.masks import BODY_HU, BODY_RIM, INVENTED, VISIBLE, body_mask, head_mask
from medtranslate.metrics.scores import (
    Pair,
    ScoreFunction,
    score_clipped_psnr,
    score_mae,
    score_psnr,
    score_ssim,
)
from medtranslate.metrics.ssim3d import score_ms_ssim, score_ssim_3d
from medtranslate.records import Scores

WHOLE_CT: Range = (-1024.0, 3071.0)
"""HU of a CT of 12 bits; a model with a smaller range has no scores of the whole CT range."""

BODY_RULE = (
    f"body: reference above {BODY_HU:g} HU, holes filled, largest component, dilated in plane by {BODY_RIM}"
    " voxels (ours: the challenge handed out its masks)"
)


@dataclass(frozen=True)
class Definition:
    """Definition of a score in a profile: the function, and its description."""

    compute: ScoreFunction
    words: str


@dataclass(frozen=True)
class Grading:
    """Limits of a similarity for grades: a translation is poor below one, and can be good from the other."""

    score: str
    poor_below: float
    good_from: float


@dataclass(frozen=True)
class Profile:
    """One definition of the scores.

    Attributes:
        scores: definition of each score by its name in `SCORES`, in the order in which they are shown.
            `mae` is among them: pages rank slices and cases by it.
        mask: (volumes, their ranges) to the voxels that count when the user gives none; the reference
            comes first.
        mask_rule: what `mask` does, in words.
        hu_range: the range that the profile fixes; None where it depends on the images. A profile with
            a range of its own is for CT in HU.
        grading: similarity that the grade depends on; without it translations have no grade.

    Raises:
        ValueError: `mae` is missing.
    """

    scores: Mapping[str, Definition]
    mask: Callable[[Sequence[Values], Sequence[Range]], Voxels]
    mask_rule: str
    hu_range: Range | None = None
    grading: Grading | None = None

    def __post_init__(self) -> None:
        if "mae" not in self.scores:
            raise ValueError(f"a profile needs the score mae, this one has {', '.join(self.scores)}")


_ERRORS = {
    "mae": Definition(score_mae, "mean absolute difference over the scored voxels, nothing clipped"),
    "psnr": Definition(
        score_clipped_psnr,
        "10 log10(range² / mean squared difference) of the volumes clipped to the range, in dB",
    ),
}
"""Scores that both challenges define alike."""

PROFILES: MutableMapping[str, Profile] = plugins.load(
    "medtranslate.profiles",
    {
        "image": Profile(
            {
                "mae": Definition(score_mae, "mean absolute difference over the scored voxels"),
                "psnr": Definition(score_psnr, "10 log10(range² / mean squared difference), in dB"),
                "ssim": Definition(
                    score_ssim,
                    "structural similarity per axial slice (Gaussian window, sigma 1.5), mean over the scored"
                    " voxels",
                ),
            },
            head_mask,
            f"head: reference (and source, if given) above {VISIBLE:.0%} of their ranges, holes filled,"
            f" largest component; and what the prediction shows above {INVENTED:.0%} where the reference"
            " shows nothing",
            grading=Grading("ssim", 0.45, 0.7),
        ),
        "synthrad2023": Profile(
            _ERRORS
            | {
                "ssim": Definition(
                    score_ssim_3d,
                    "3-D structural similarity of the clipped volumes, air outside the mask (uniform window"
                    " of 7 voxels), mean over the scored voxels 3 voxels from the volume's edge",
                )
            },
            body_mask,
            BODY_RULE,
            (-1024.0, 3000.0),
            Grading("ssim", 0.75, 0.85),
        ),
        "synthrad2025": Profile(
            _ERRORS
            | {
                "ms_ssim": Definition(
                    score_ms_ssim,
                    "3-D structural similarity of the clipped volumes, air outside the mask, on five"
                    " scales (uniform window of 7 voxels), luminance on each of them",
                )
            },
            body_mask,
            BODY_RULE,
            WHOLE_CT,
            Grading("ms_ssim", 0.85, 0.9),
        ),
    },
)
"""Profiles by name; others may come from other packages (docs/extending.md)."""


def score(
    prediction: Values,
    reference: Values,
    mask: Voxels,
    data_range: Range,
    profile: str = "image",
    reversed_axes: Sequence[int] = (),
) -> tuple[Scores, list[Scores]]:
    """Compute the scores of a volume and of each of its slices by the definitions of `profile`.

    The multi-scale similarity keeps every second voxel of an axis, so it depends on the end at which the axis
    begins; the challenge begins where the file does. `reversed_axes` turn the arrays to that order. The order
    in which the axes are stored changes no score.

    Args:
        prediction: [X, Y, Z], axial slices along the last axis.
        reference: [X, Y, Z], in the same unit on the same grid.
        mask: [X, Y, Z], the scored voxels; an empty mask gives no scores.
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
    pair = Pair(
        np.flip(prediction, axes),
        np.flip(reference, axes),
        np.flip(mask, axes),
        definition.hu_range or data_range,
    )
    whole: Scores = {}
    slices: list[Scores] = [{} for _ in range(mask.shape[2])]
    for name, part in definition.scores.items():
        scored = part.compute(pair)
        values = scored.slices or [None] * len(slices)
        for scores, value in zip((whole, *slices), (scored.volume, *values), strict=True):
            if value is not None:
                scores[name] = float(value)
    return whole, slices[::-1] if 2 in axes else slices
