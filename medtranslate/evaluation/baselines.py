"""What needs no translation: the scores that a model has to better."""

from __future__ import annotations

import numpy as np
from skimage.exposure import match_histograms

from medtranslate.config import ProfileName
from medtranslate.metrics import Range, Volume, Voxels, score
from medtranslate.result import Scores


def baselines(
    reference: Volume,
    mask: Voxels,
    data_range: Range,
    *,
    source: Volume | None = None,
    source_range: Range = (0.0, 1.0),
    mean_image: Volume | None = None,
    profile: ProfileName = "image",
) -> dict[str, Scores]:
    """Scores of what needs no translation, on the same voxels.

    `source copied` maps the source's range linearly to the data range and saturates outside it.
    `histogram match` gives the source's voxels in the mask the reference's histogram
    (`skimage.exposure.match_histograms`); it sees the truth, so it is stronger than any rule that
    could be used in practice. `mean image` is the mean of the target modality on this grid.

    Args:
        reference: [X, Y, Z] in the unit of `data_range`.
        mask: voxels that count.
        data_range: lowest and highest value that scores refer to.
        source: what was translated, in its own unit.
        source_range: lowest and highest value of `source`.
        mean_image: in the reference's unit.
        profile: definition of the scores.
    """
    images = {}
    if source is not None and mask.any():
        images["source copied"] = np.interp(source, source_range, data_range).astype(np.float32)
        images["histogram match"] = images["source copied"].copy()
        images["histogram match"][mask] = match_histograms(source[mask], reference[mask])
    if mean_image is not None:
        images["mean image"] = mean_image
    return {name: score(image, reference, mask, data_range, profile)[0] for name, image in images.items()}
