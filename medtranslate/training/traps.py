"""Measures that tell whether translations fell into a trap; none of them needs pairs.

Identity: the source comes back. Polarity: every tissue is mapped one to one, wrongly, so that what is bright
in MR becomes bone. Framing: heads change their size, as those of the two sets differ. Cycle error falls
nicely in all three. Slices are [B, 1, S, S] in [-1, 1].
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from medtranslate.config import Modality, ScaleSettings
from medtranslate.transforms import find_head, overview, scale_ct

VISIBLE = -0.94
"""Value from which a pixel shows something."""

BONE_HU = 300.0
"""From here on CT shows bone; a narrower window shows it near its upper end."""

BONE_SHARE = 0.95
"""Where in a window that ends below `BONE_HU` bone begins."""

SMALLEST = 1e-3
"""Share of a slice that bone has to fill to be ranked."""


def linear_correlation(source: Tensor, made: Tensor) -> float:
    """|Correlation| of two sets of slices where the source shows something, 0 where either is constant.

    It is the correlation of `made` with the linear map of `source` that comes closest to it.
    """
    seen = source > VISIBLE
    pair = torch.stack([source[seen], made[seen]]).double()
    spread = (pair - pair.mean(dim=1, keepdim=True)) / pair.shape[1] ** 0.5
    variance, covariance = spread.square().sum(dim=1), (spread[0] * spread[1]).sum()
    return float(covariance.abs() / variance.prod().sqrt()) if variance.min() > 1e-8 else 0.0


def target_likeness(source: Tensor, made: Tensor, target: Tensor) -> float:
    """How near the intensities of translations are to the target's: 0 those of the source, 1 of the target.

    a / (a + b) with the first Wasserstein distances, that is the mean distances of equal ranks, from `made`
    to `source` (a) and to `target` (b), over what is visible; 0.5 where nothing is.
    """
    ranks = np.linspace(0, 1, 201)
    sets = [images[images > VISIBLE].float().cpu().numpy() for images in (source, made, target)]
    if not all(map(len, sets)):
        return 0.5
    first, second, third = (np.quantile(values, ranks) for values in sets)
    from_source, to_target = np.abs(second - first).mean(), np.abs(second - third).mean()
    total = float(from_source + to_target)
    return float(from_source) / total if total else 0.5


def bone_brightness(ct: Tensor, mr: Tensor, scale: ScaleSettings) -> float:
    """How bright the CT's bone is in the MR: the chance that it is brighter than another pixel of the head.

    Whatever the sequence, cortical bone gives hardly any signal, so that it lies far below 0.5. It is the
    statistic of Mann and Whitney, over the product of the counts; the median over slices.

    Returns:
        0 where no slice shows bone, for then nothing can be told.
    """
    lower, upper = scale.ct_window
    level = float(scale_ct(torch.tensor(min(BONE_HU, lower + BONE_SHARE * (upper - lower))), (lower, upper)))
    found = []
    for seen, shown in zip(ct[:, 0].float().cpu().numpy(), mr[:, 0].float().cpu().numpy(), strict=True):
        head = np.maximum(seen, shown) > VISIBLE
        bone = seen[head] > level
        count, others = np.count_nonzero(bone), np.count_nonzero(~bone)
        if min(count, others) > SMALLEST * seen.size:
            above = rankdata(shown[head])[bone].sum() - count * (count + 1) / 2
            found.append(above / (count * others))
    return float(np.median(found)) if found else 0.0


def relative_size(source: Tensor, made: Tensor, to: Modality) -> float | None:
    """Extent of the heads in translations over that in their sources, the median over slices.

    The extent is the geometric mean of a head's height and width. Slices without a head in either, or filled
    to every edge, tell nothing; None where all are so.
    """
    before = _extents(source, "mr" if to == "ct" else "ct")
    ratios = _extents(made, to) / before
    known = ratios[np.isfinite(ratios)]
    return float(np.median(known)) if len(known) else None


def _extents(images: Tensor, modality: Modality) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of the head in each slice, in pixels; not a number where there is none."""
    extents = []
    for image in images.float().cpu():
        head = find_head(overview(image[None]), modality)
        size = image.shape[-2] * image.shape[-1]
        area = (head.rows[1] - head.rows[0]) * (head.columns[1] - head.columns[0]) if head else size
        extents.append(area**0.5 if area < size else np.nan)
    return np.array(extents)
