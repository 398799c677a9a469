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
"""HU from which a CT shows bone; a narrower window shows it near its upper end."""

BONE_SHARE = 0.95
"""Share of a window that ends below `BONE_HU` from which on a pixel is bone."""

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
"""Likeness from which a translation says something of polarity; early models, which show little, have 0.5
to 0.55."""

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
"""Share of a run from which traps are named; early models show grey discs of any size and polarity."""

PASSING = ("identity_", "polarity_", "framing_")
"""Beginnings of the names of signs that a run can come out of; one that has passed is dropped."""

VICTORY = 0.05
"""Mean loss below which the discriminators tell every real slice from every translation: heads are within
0.16 of their targets. Discriminators that can't tell have 0.5; over 100 steps healthy runs stay within 0.36
and 0.52."""

WINDOW = 100
"""Steps over which the discriminators' loss is averaged."""


def linear_correlation(source: Tensor, translation: Tensor) -> float:
    """Compute the |correlation| of two sets of slices where the source is visible; 0 if one is constant.

    It is the correlation of the translation with the linear map of `source` that comes closest to it.
    """
    visible = source > VISIBLE
    pair = torch.stack([source[visible], translation[visible]]).double()
    spread = (pair - pair.mean(dim=1, keepdim=True)) / pair.shape[1] ** 0.5
    variance, covariance = spread.square().sum(dim=1), (spread[0] * spread[1]).sum()
    return float(covariance.abs() / variance.prod().sqrt()) if variance.min() > 1e-8 else 0.0


def target_likeness(source: Tensor, translation: Tensor, target: Tensor) -> float:
    """Compare intensities of translations with the source's (0) and the target's (1).

    a / (a + b) with the first Wasserstein distances, that is the mean distances of equal ranks, from the
    translation to the source (a) and to the target (b), over the visible pixels; 0.5 without any.
    """
    ranks = np.linspace(0, 1, 201)
    sets = [images[images > VISIBLE].float().cpu().numpy() for images in (source, translation, target)]
    if not all(map(len, sets)):
        return 0.5
    first, second, third = (np.quantile(values, ranks) for values in sets)
    from_source, to_target = np.abs(second - first).mean(), np.abs(second - third).mean()
    total = float(from_source + to_target)
    return float(from_source) / total if total else 0.5


def bone_brightness(ct: Tensor, mr: Tensor, scale: ScaleSettings) -> float:
    """Compute the chance that the CT's bone is brighter in the MR than another pixel of the head.

    Whatever the sequence, cortical bone gives hardly any signal, so that it lies far below 0.5. It is the
    statistic of Mann and Whitney, over the product of the counts; the median over slices.

    Returns:
        The chance; 0 where no slice shows bone.
    """
    lower, upper = scale.ct_window
    bone = torch.tensor(min(BONE_HU, lower + BONE_SHARE * (upper - lower)))
    level = float(scale_ct(bone, scale.ct_curve))
    chances = []
    for hu, signal in zip(ct[:, 0].float().cpu().numpy(), mr[:, 0].float().cpu().numpy(), strict=True):
        head = np.maximum(hu, signal) > VISIBLE
        bone = hu[head] > level
        count, others = np.count_nonzero(bone), np.count_nonzero(~bone)
        if min(count, others) > SMALLEST * hu.size:
            above = rankdata(signal[head])[bone].sum() - count * (count + 1) / 2
            chances.append(above / (count * others))
    return float(np.median(chances)) if chances else 0.0


def relative_size(source: Tensor, translation: Tensor, to: Modality) -> float | None:
    """Divide the extent of heads in translations by that in their sources; the median over slices.

    The extent is the geometric mean of a head's height and width. Slices without a head in either, or filled
    to every edge, are left out; None without any others.
    """
    before = _extents(source, "mr" if to == "ct" else "ct")
    ratios = _extents(translation, to) / before
    known = ratios[np.isfinite(ratios)]
    return float(np.median(known)) if len(known) else None


def _extents(images: Tensor, modality: Modality) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Measure the head in each slice, in pixels; not a number where there is none."""
    extents = []
    for image in images.float().cpu():
        head = find_head(overview(image[None]), modality)
        size = image.shape[-2] * image.shape[-1]
        area = (head.rows[1] - head.rows[0]) * (head.columns[1] - head.columns[0]) if head else size
        extents.append(area**0.5 if area < size else np.nan)
    return np.array(extents)


def signs(scores: Mapping[str, float], latent_channels: int, share: float = 1.0) -> dict[str, str]:
    """List the failures by name: one line each, with its numbers and a remedy.

    Args:
        scores: of one validation. For each SIDE that is translated those of its latent (`kl_SIDE`,
            `active_SIDE`, `prior_gap_SIDE`) and of the traps (`linear_SIDE`, `likeness_SIDE`, `bone_SIDE`,
            `size_SIDE`; bone and size of heads alone); `discriminator` where there are discriminators.
        latent_channels: of the generators.
        share: of the run that lies behind.
    """
    failures: dict[str, str] = {}
    for side in (name.removeprefix("kl_") for name in scores if name.startswith("kl_")):
        own = {name.removesuffix(f"_{side}"): value for name, value in scores.items()}
        texts = _of_the_latent(side, own, latent_channels)
        if share >= TOLD_FROM:
            texts |= _of_the_traps(side, own)
        failures |= {f"{name}_{side}": text for name, text in texts.items()}
    if discriminators_won(scores.get("discriminator", 0.5)):
        failures["discriminators_won"] = (
            f"the discriminators tell every translation: mean loss {scores['discriminator']:.3g} over the"
            f" last {WINDOW} steps (healthy above {VICTORY}, 0.5 when they can't tell); train with a lower"
            " --discriminator-rate or a higher --loss.adversarial"
        )
    return failures


def _of_the_latent(side: str, scores: Mapping[str, float], latent_channels: int) -> dict[str, str]:
    kl, active, gap = (scores[name] for name in ("kl", "active", "prior_gap"))
    failures = {}
    if collapsed(kl, active, latent_channels):
        failures["collapsed"] = (
            f"the posterior of {side} slices has collapsed: KL {kl:.3g} per element (healthy above"
            f" {COLLAPSED_KL}), {active:.0f} of {latent_channels} channels active;"
            " train with a lower --loss.kl or a longer --loss.warmup"
        )
    elif gap > PRIOR_GAP:
        failures["prior_ignored"] = (
            f"the latent of {side} slices ignores its prior: {gap:.3g} nats per channel between them (healthy"
            f" below {PRIOR_GAP:g}); train with a higher --loss.kl"
        )
    return failures


def _of_the_traps(side: str, scores: Mapping[str, float]) -> dict[str, str]:
    linear, likeness = scores["linear"], scores["likeness"]
    bone, size = scores.get("bone", 0.0), scores.get("size", 1.0)
    failures = {}
    if bone > BRIGHT_BONE and likeness > LIKE_ITS_TARGET:
        failures["polarity"] = (
            f"polarity is turned around in translations of {side} slices: bone is brighter in MR than"
            f" {bone:.0%} of the head (healthy below {BRIGHT_BONE:.0%}); train with a higher --loss.anchor"
            " or a lower --loss.cycle"
        )
    elif near_identity(linear, likeness):
        failures["identity"] = (
            f"translations of {side} slices are their source in other grey values: correlation"
            f" {linear:.3f} (healthy below {IDENTITY}), likeness to the target {likeness:.2f} (healthy above"
            f" {NEARER}); train with lower --loss.identity and --loss.cycle, or a higher --loss.anchor"
        )
    if not 1 / RESIZED <= size <= RESIZED:
        failures["framing"] = (
            f"heads change their size in translations of {side} slices, {size:.2f} times what it should be"
            f" (healthy within {1 / RESIZED:.2f} and {RESIZED}); look whether both sets show heads alike, and"
            " train with a higher --loss.anchor"
        )
    return failures


def collapsed(kl: float, active: float, latent_channels: int) -> bool:
    """Tell whether a posterior carries nothing: it is the prior, or hardly a channel moves with the slice."""
    return kl < COLLAPSED_KL or active <= ACTIVE_SHARE * latent_channels


def near_identity(linear: float, likeness: float) -> bool:
    """Tell whether a source is handed on, as a strong identity or cycle term makes it.

    Either a linear map explains all of the translation, or half of it and the intensities stay the source's.
    """
    return linear > IDENTITY or (likeness < NEARER and linear > LIKE_ITS_SOURCE)


def discriminators_won(loss: float) -> bool:
    """Tell whether the discriminators separate real and fake so well that generators learn nothing."""
    return loss < VICTORY
