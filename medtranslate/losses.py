"""Terms of the generators' objective: one function of the passes of a step each, and one line.

    total = sum of weight x term over LOSSES          (weights: `medtranslate.config.LossSettings`)

CT is x, MR is y; G maps CT to MR and F maps MR to CT. Dataclasses that cross a module wrapped by
Fabric are not frozen, because Fabric rebuilds them field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from medtranslate import plugins
from medtranslate.config import LossSettings, Modality
from medtranslate.metrics import LIMIT_SHARE
from medtranslate.networks import Posterior

_LEAST_ERROR = 0.004
"""Error in [-1, 1], half a HU in the brain on the scale of `head-ct`, below which errors hardly differ."""

WARMED = ("cycle", "identity", "kl")
"""Terms whose weight grows from zero: early in a run they would keep the generators at the identity."""


@dataclass
class Anchor:
    """Slices of heads [B, 1, S, S] with their truth and their translations.

    The source MR may have any contrast; the target MR has the contrast that the model is to make. `known` has
    the ends of the range in which the CT is the truth, [B, 2]; beyond, a windowed picture does not tell it.
    `brightness` is that of the tissues in the source MR, and `seen` its estimate, both [B, seen]. `weight` is
    what an error of each pixel counts; without it, they count alike. `limit_ct` and `limit_mr` are ln of the
    error limits of the translations. A translation that was not made is None.
    """

    ct: Tensor
    mr: Tensor
    mr_wanted: Tensor
    fake_ct: Tensor | None
    fake_mr: Tensor | None
    known: Tensor | None = None
    brightness: Tensor | None = None
    seen: Tensor | None = None
    weight: Tensor | None = None
    limit_ct: Tensor | None = None
    limit_mr: Tensor | None = None


@dataclass
class Passes:
    """All images of one step, [B, 1, S, S] in [-1, 1]; `None` for a pass that was not made.

    Attributes:
        ct, mr: unpaired batches.
        fake_mr, fake_ct: G(ct) and F(mr).
        cycled_ct, cycled_mr: F(G(ct)) and G(F(mr)).
        identity_ct, identity_mr: F(ct) and G(mr).
        posteriors: posterior of every pass with a draw, by name.
        agreed_ct: F(y) where y is shown otherwise; without the other unpaired passes `mr` is absent.
        judged_ct, judged_mr: scores of the discriminators' heads on fake_ct and fake_mr.
        anchor: slices with known truth.
    """

    ct: Tensor | None = None
    mr: Tensor | None = None
    fake_mr: Tensor | None = None
    fake_ct: Tensor | None = None
    cycled_ct: Tensor | None = None
    cycled_mr: Tensor | None = None
    identity_ct: Tensor | None = None
    identity_mr: Tensor | None = None
    agreed_ct: Tensor | None = None
    posteriors: Mapping[str, Posterior] | None = None
    judged_ct: list[Tensor] | None = None
    judged_mr: list[Tensor] | None = None
    anchor: Anchor | None = None


def least_squares(heads: list[Tensor], *, real: bool) -> Tensor:
    """Average (score - 1)^2 for real and score^2 for fake slices over pixels and heads.

    Mao et al., "Least Squares Generative Adversarial Networks" (2017). MONAI's `PatchAdversarialLoss` is
    equal, but waits for the device each time to send it the target of the scores.
    """
    return torch.stack([(head.float() - float(real)).square().mean() for head in heads]).mean()


def adversarial(passes: Passes) -> Tensor:
    """Penalise translations that the discriminators recognise as fake."""
    judged = [heads for heads in (passes.judged_ct, passes.judged_mr) if heads is not None]
    return _total([least_squares(heads, real=True) for heads in judged])


def cycle(passes: Passes) -> Tensor:
    """Compute |F(G(x)) - x| + |G(F(y)) - y|, means over pixels (Zhu et al., CycleGAN, 2017)."""
    return _l1((passes.cycled_ct, passes.ct), (passes.cycled_mr, passes.mr))


def identity(passes: Passes) -> Tensor:
    """Compute |F(x) - x| + |G(y) - y|: images of the target domain should stay unchanged."""
    return _l1((passes.identity_ct, passes.ct), (passes.identity_mr, passes.mr))


def kl(passes: Passes) -> Tensor:
    """Compute KL(q(z|x) || N(0, I)) per latent element, mean over the passes; a fine part adds its own mean.

    0.5 (mu^2 + sigma^2 - 1 - log sigma^2), Kingma and Welling (2014), appendix B.
    """
    posteriors = list((passes.posteriors or {}).values())
    parts = [part for posterior in posteriors for part in posterior.parts]
    return _total([kl_map(part).mean() for part in parts]) / max(1, len(posteriors))


def kl_map(posterior: Posterior) -> Tensor:
    """Compute the KL of each latent element from a standard normal, [B, latent, h, w]."""
    variance = posterior.log_variance.exp()
    return 0.5 * (posterior.mean.square() + variance - 1.0 - posterior.log_variance)


def structure(passes: Passes) -> Tensor:
    """Compute |MIND(x) - MIND(G(x))| + |MIND(y) - MIND(F(y))|: edges stay in place, in any contrast."""
    pairs = [(passes.ct, passes.fake_mr), (passes.mr, passes.fake_ct)]
    return _l1(*((None if a is None else mind(a), None if b is None else mind(b)) for a, b in pairs))


def mind(image: Tensor, distance: int = 2) -> Tensor:
    """Describe slices [B, 1, H, W] by the modality-independent neighbourhood, [B, 4, H, W] in (0, 1].

    exp(-D(x, x + r) / V(x)) over the four neighbours r, D the mean squared difference of 3 x 3
    patches and V the mean of D over r; divided by its largest entry (Heinrich et al., "MIND",
    Medical Image Analysis 16, 2012, equations 2 to 5).
    """
    padded = functional.pad(image, (distance,) * 4, mode="replicate")
    height, width = image.shape[-2:]
    shifts = ((0, distance), (2 * distance, distance), (distance, 0), (distance, 2 * distance))
    shifted = torch.cat([padded[..., y : y + height, x : x + width] for y, x in shifts], dim=1)
    patches = functional.avg_pool2d((image - shifted).square(), 3, stride=1, padding=1)
    # The floor stands for image noise: flat regions would otherwise divide by zero.
    variance = patches.mean(dim=1, keepdim=True) + 1e-3
    descriptor = torch.exp(-patches / variance)
    return descriptor / descriptor.amax(dim=1, keepdim=True)


def anchor(passes: Passes) -> Tensor:
    """Compute the L1 distance to the known truth of the anchor, both directions, by the weights of pixels."""
    known = passes.anchor
    if known is None or known.weight is None:
        return _l1(*_anchor_pairs(known).values())
    return _total(
        [(known.weight * (made - truth).abs()).mean() for made, truth in _anchor_pairs(known).values()]
    )


def edges(passes: Passes) -> Tensor:
    """Compute the L1 distance of finite differences to those of the known truth, both directions.

    The gradient difference loss of Mathieu, Couprie and LeCun, "Deep multi-scale video prediction beyond mean
    square error" (2016), with signed differences.
    """
    pairs = _anchor_pairs(passes.anchor).values()
    return _l1(*((image.diff(dim=axis), truth.diff(dim=axis)) for image, truth in pairs for axis in (2, 3)))


def contrast(passes: Passes) -> Tensor:
    """Compute the L1 distance of the seen brightness of the tissues to the known one."""
    known = passes.anchor
    return torch.zeros(()) if known is None else _l1((known.seen, known.brightness))


def limit(passes: Passes) -> Tensor:
    """Compute the quantile loss of error limits against the errors of the anchor, both directions.

    max(q d, (q - 1) d), d = ln(error) - ln(limit) and q = `LIMIT_SHARE` (Koenker and Bassett, "Regression
    quantiles", Econometrica 46, 1978). ln gives small errors, as in the brain, as much weight as large
    ones. No gradient reaches the translation.
    """
    known, terms = passes.anchor, []
    if known is None:
        return torch.zeros(())
    limits: dict[Modality, Tensor | None] = {"ct": known.limit_ct, "mr": known.limit_mr}
    for to, (made, truth) in _anchor_pairs(known).items():
        if (found := limits[to]) is not None:
            above = ((made.detach() - truth).abs() + _LEAST_ERROR).log() - found
            lost = torch.maximum(LIMIT_SHARE * above, (LIMIT_SHARE - 1) * above)
            terms.append((lost if known.weight is None else known.weight * lost).mean())
    return _total(terms)


def agreement(passes: Passes) -> Tensor:
    """Compute |F(y) - F(b(y))|, b another gain, shading, coarseness, window and gamma: anatomy is the same.

    Consistency under changes of the input (Sajjadi, Javanmardi and Tasdizen, NeurIPS 2016), by
    absolute differences.
    """
    return _l1((passes.fake_ct, passes.agreed_ct))


def _anchor_pairs(known: Anchor | None) -> dict[Modality, tuple[Tensor, Tensor]]:
    """Pair the translations that were made with their truth; CT is compared where the truth is known."""
    pairs: dict[Modality, tuple[Tensor, Tensor]] = {}
    if known is None:
        return pairs
    if known.fake_ct is not None:
        made, truth = known.fake_ct, known.ct
        if known.known is not None:
            lower, upper = known.known[:, :, None, None, None].unbind(1)
            made, truth = (torch.clamp(image, lower, upper) for image in (made, truth))
        pairs["ct"] = made, truth
    if known.fake_mr is not None:
        pairs["mr"] = known.fake_mr, known.mr_wanted
    return pairs


LOSSES: Mapping[str, Callable[[Passes], Tensor]] = plugins.load(
    "medtranslate.losses",
    {
        "adversarial": adversarial,
        "cycle": cycle,
        "identity": identity,
        "kl": kl,
        "structure": structure,
        "anchor": anchor,
        "edges": edges,
        "contrast": contrast,
        "agreement": agreement,
        "limit": limit,
    },
)


def weights(settings: LossSettings, progress: float) -> dict[str, float]:
    """Give the weight of each term at a share `progress` of the run; terms of weight 0 are absent."""
    grown = min(1.0, progress / settings.warmup) if settings.warmup > 0 else 1.0
    full = {name: settings.weight(name) for name in LOSSES}
    return {name: value * (grown if name in WARMED else 1.0) for name, value in full.items() if value > 0}


def _l1(*pairs: tuple[Tensor | None, Tensor | None]) -> Tensor:
    return _total([functional.l1_loss(a, b) for a, b in pairs if a is not None and b is not None])


def _total(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum() if terms else torch.zeros(())
