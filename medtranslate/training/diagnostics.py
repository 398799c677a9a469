"""Diagnostics of a run: measures of translations that went astray, and the signs that they give.

Three traps, each of which lets the cycle error fall nicely. Identity: the source comes back. Polarity: every
tissue is mapped one to one, wrongly, so that what is bright in MR becomes bone. Framing: heads change their
size, as those of the two sets differ. The measures need no pairs; slices are [B, 1, S, S] in [-1, 1]. The
thresholds were set by what healthy models show on phantoms and on real pictures (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Mapping

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

COLLAPSED_KL = 0.05
"""KL per latent element, in nats, below which a posterior says next to nothing of its slice: that of
means spread by 0.3 around zero at sigma = 1. A run starts at 1.3 (a sure posterior), healthy ones stay
between 1.3 and 2."""

ACTIVE_SHARE = 1 / 8
"""Share of active channels up to which a posterior counts as collapsed; healthy runs use all of them."""

PRIOR_GAP = 1.0
"""Nats per channel between aggregated posterior and prior above which the prior was ignored: variances above
4.5 or below 0.05, or a mean beyond 1.4. Healthy runs stay below 0.4."""

IDENTITY = 0.9
"""|Correlation| of source and translation from which a translation is its source in other grey values:
four fifths of its variance are a linear function of the source. A phantom's true CT and MR correlate by
0.1 to 0.6, and so do translations of healthy models."""

NEARER = 0.5
"""Likeness to the target below which intensities are nearer to the source's; healthy models have 0.65 to
0.9, half-way copies 0.5."""

LIKE_ITS_TARGET = 0.6
"""Likeness from which a translation says something of polarity; beginners, which show hardly anything, have
0.5 to 0.55."""

LIKE_ITS_SOURCE = 0.5
"""|Correlation| from which intensities nearer to the source's mean that it is handed on."""

BRIGHT_BONE = 0.75
"""Chance that bone is brighter in MR than another pixel of the head from which polarity is turned around.
True pairs have 0.03 to 0.2, in random contrast too, healthy models up to 0.3, heads moved out of place up to
0.6, translations that make bone of what is bright 1."""

RESIZED = 1.15
"""Factor by which heads may grow or shrink, beyond what a phantom's CT and MR differ by. Healthy models stay
within 1.03."""

TOLD_FROM = 0.5
"""Share of a run from which traps are named; beginners show grey discs of any size and polarity."""

PASSING = ("identity_", "polarity_", "framing_")
"""Names of signs begin so that a run can come out of; those that hold no more are no longer told."""

VICTORY = 0.05
"""Mean loss below which the discriminators tell every real slice from every translation: heads are within
0.16 of their targets. Judges who can't tell stand at 0.5; over 100 steps healthy runs stay within 0.36 and
0.52."""

WINDOW = 100
"""Steps over which the discriminators' loss is averaged."""


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


def signs(scores: Mapping[str, float], latent_channels: int, share: float = 1.0) -> dict[str, str]:
    """List the signs of failure by name: one line each, with its numbers and a remedy.

    Args:
        scores: of one validation. For each SIDE that is translated those of its latent (`kl_SIDE`,
            `active_SIDE`, `prior_gap_SIDE`) and of the traps (`linear_SIDE`, `likeness_SIDE`, `bone_SIDE`,
            `size_SIDE`; bone and size of heads alone); `discriminator` where there are discriminators.
        latent_channels: of the generators.
        share: of the run that lies behind.
    """
    found: dict[str, str] = {}
    for side in (name.removeprefix("kl_") for name in scores if name.startswith("kl_")):
        own = {name.removesuffix(f"_{side}"): value for name, value in scores.items()}
        texts = _of_the_latent(side, own, latent_channels)
        if share >= TOLD_FROM:
            texts |= _of_the_traps(side, own)
        found |= {f"{name}_{side}": text for name, text in texts.items()}
    if discriminators_won(scores.get("discriminator", 0.5)):
        found["discriminators_won"] = (
            f"the discriminators tell every translation: mean loss {scores['discriminator']:.3g} over the"
            f" last {WINDOW} steps (healthy above {VICTORY}, 0.5 when they can't tell); train with a lower"
            " --discriminator-rate or a higher --loss.adversarial"
        )
    return found


def _of_the_latent(side: str, scores: Mapping[str, float], latent_channels: int) -> dict[str, str]:
    kl, active, gap = (scores[name] for name in ("kl", "active", "prior_gap"))
    found = {}
    if collapsed(kl, active, latent_channels):
        found["collapsed"] = (
            f"the posterior of {side} slices has collapsed: KL {kl:.3g} per element (healthy above"
            f" {COLLAPSED_KL}), {active:.0f} of {latent_channels} channels active;"
            " train with a lower --loss.kl or a longer --loss.warmup"
        )
    elif gap > PRIOR_GAP:
        found["prior_ignored"] = (
            f"the latent of {side} slices ignores its prior: {gap:.3g} nats per channel between them (healthy"
            f" below {PRIOR_GAP:g}); train with a higher --loss.kl"
        )
    return found


def _of_the_traps(side: str, scores: Mapping[str, float]) -> dict[str, str]:
    linear, likeness = scores["linear"], scores["likeness"]
    bone, size = scores.get("bone", 0.0), scores.get("size", 1.0)
    found = {}
    if bone > BRIGHT_BONE and likeness > LIKE_ITS_TARGET:
        found["polarity"] = (
            f"polarity is turned around in translations of {side} slices: bone is brighter in MR than"
            f" {bone:.0%} of the head (healthy below {BRIGHT_BONE:.0%}); train with a higher --loss.anchor"
            " or a lower --loss.cycle"
        )
    elif near_identity(linear, likeness):
        found["identity"] = (
            f"translations of {side} slices are their source in other grey values: correlation"
            f" {linear:.3f} (healthy below {IDENTITY}), likeness to the target {likeness:.2f} (healthy above"
            f" {NEARER}); train with lower --loss.identity and --loss.cycle, or a higher --loss.anchor"
        )
    if not 1 / RESIZED <= size <= RESIZED:
        found["framing"] = (
            f"heads change their size in translations of {side} slices, {size:.2f} times what it should be"
            f" (healthy within {1 / RESIZED:.2f} and {RESIZED}); look whether both sets show heads alike, and"
            " train with a higher --loss.anchor"
        )
    return found


def collapsed(kl: float, active: float, latent_channels: int) -> bool:
    """Whether a posterior carries nothing: it is the prior, or hardly a channel moves with the slice."""
    return kl < COLLAPSED_KL or active <= ACTIVE_SHARE * latent_channels


def near_identity(linear: float, likeness: float) -> bool:
    """Whether a source is handed on, as a strong identity or cycle term makes it.

    Either a linear map tells all of the translation, or half of it and its intensities stay the source's.
    """
    return linear > IDENTITY or (likeness < NEARER and linear > LIKE_ITS_SOURCE)


def discriminators_won(loss: float) -> bool:
    """Whether the discriminators separate real and fake so fully that generators learn nothing from them."""
    return loss < VICTORY
