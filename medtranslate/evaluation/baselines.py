"""Baselines: scores of images that need no translation, which a model has to better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medtranslate.metrics import Range, Values, Voxels, score
from medtranslate.records import Scores


@dataclass(frozen=True)
class SourceImage:
    """What was translated, and how it becomes a baseline.

    Attributes:
        values: [X, Y, Z] in its own unit.
        range: its lowest and highest value.
        copied_range: values that these become in the copy (default: the range of the scores).
    """

    values: Values
    range: Range
    copied_range: Range | None = None


def baselines(
    reference: Values,
    mask: Voxels,
    data_range: Range,
    *,
    source: SourceImage | None = None,
    mean_image: Values | None = None,
    profile: str = "image",
    reversed_axes: Sequence[int] = (),
) -> dict[str, Scores]:
    """Score images that need no translation, on the same voxels.

    `source copied` maps the source's range linearly to `copied_range` and saturates outside it.
    `histogram match` gives the source's voxels in the mask the reference's histogram
    (`skimage.exposure.match_histograms`); it sees the truth, so it is stronger than any rule that
    could be used in practice. `mean image` is the mean of the target modality on this grid.

    Args:
        reference: [X, Y, Z] in the unit of `data_range`.
        mask: voxels that count.
        data_range: lowest and highest value that scores refer to.
        source: what was translated.
        mean_image: in the reference's unit.
        profile: definition of the scores.
        reversed_axes: as for `metrics.score`.
    """
    images = {}
    if source is not None and mask.any():
        from skimage.exposure import match_histograms  # slow to import

        copied = np.interp(source.values, source.range, source.copied_range or data_range)
        images["source copied"] = copied.astype(np.float32)
        images["histogram match"] = images["source copied"].copy()
        images["histogram match"][mask] = match_histograms(source.values[mask], reference[mask])
    if mean_image is not None:
        images["mean image"] = mean_image
    return {
        name: score(image, reference, mask, data_range, profile, reversed_axes)[0]
        for name, image in images.items()
    }
