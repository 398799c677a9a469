"""The VAE-CycleGAN: two generators, two discriminators, and the passes of one step by name.

ct --to_mr--> fake_mr --(noise)--> to_ct --> cycled_ct
mr --to_ct--> fake_ct --(noise)--> to_mr --> cycled_mr
phantom ct --to_mr--> fake, phantom mr --to_ct--> fake, both with a known truth
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from medtranslate.config import Modality, NetworkSettings
from medtranslate.losses import Anchor, Passes, least_squares
from medtranslate.networks import DISCRIMINATORS, GENERATORS, Generated, Posterior, beside_itself


@dataclass
class Batch:
    """Slices of one step, [B, 1, S, S] in [-1, 1]; either half may be absent.

    Slices of the anchor to be translated may have their neighbours beside them, [B, shown, S, S].

    Attributes:
        ct, mr: unpaired.
        mr_otherwise: those MR, shown otherwise.
        anchor_ct, anchor_mr, anchor_wanted: CT whose MR is known, that MR in any contrast and in the contrast
            that the model makes.
        anchor_shown: that CT as it is given to be translated; where absent, as it is.
        anchor_known: ends of the range in which the CT is the truth, [B, 2]: a picture's window, say.
        anchor_told: brightness of the tissues in the wanted MR, [B, told], for a generator that is told it.
        anchor_seen: that in the MR to be translated, [B, seen], for a generator that estimates it.
        anchor_weight: what an error of each pixel of the anchor counts, [B, 1, S, S]; 1 where absent.
    """

    ct: Tensor | None = None
    mr: Tensor | None = None
    anchor_ct: Tensor | None = None
    anchor_mr: Tensor | None = None
    anchor_wanted: Tensor | None = None
    anchor_shown: Tensor | None = None
    anchor_known: Tensor | None = None
    anchor_told: Tensor | None = None
    anchor_seen: Tensor | None = None
    anchor_weight: Tensor | None = None
    mr_otherwise: Tensor | None = None


@dataclass
class PassSettings:
    """The passes that a step makes beside the translations.

    Attributes:
        shown: ends of what unpaired CT shows, in [-1, 1]; and CT is judged and comes back; None for all.
        only: the one modality that slices are translated to, where none are unpaired CT; None for both.
    """

    cycle: bool
    identity: bool
    noise: float
    shown: tuple[float, float] | None = None
    only: Modality | None = None


class Generators(nn.Module):
    """Both translations; `forward` makes all passes of a step, so that DDP sees one call."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.to_ct = GENERATORS[settings.generator](replace(settings, told=0))
        self.to_mr = GENERATORS[settings.generator](replace(settings, seen=0))
        self.told, self.shown = settings.told > 0, settings.shown

    def forward(self, batch: Batch, passes: PassSettings) -> Passes:
        unpaired, otherwise = _count(batch.mr), _count(batch.mr_otherwise)
        into_ct = into_mr = own = None
        # What can go through a generator together does: one call, the same arithmetic.
        if passes.only != "mr":
            into_ct = self.to_ct(self._beside(batch.mr, batch.mr_otherwise, batch.anchor_mr), draw=True)
            # A CT becomes an MR in the contrast of the MR beside it, among which it is judged.
            own = into_ct.seen[:unpaired].detach() if self.told and batch.ct is not None else None
        if passes.only != "ct":
            shown = batch.anchor_ct if batch.anchor_shown is None else batch.anchor_shown
            told = self._told(own, batch.anchor_told)
            into_mr = self.to_mr(self._beside(batch.ct, shown), *told, draw=True)
        anchor = _anchor(batch, _after(into_ct, unpaired + otherwise), _after(into_mr, _count(batch.ct)))
        made = {"mr": into_ct, "ct": into_mr}
        posteriors: dict[str, Posterior] = {
            name: into.posterior for name, into in made.items() if into is not None
        }
        fake_ct = into_ct.image[:unpaired] if into_ct is not None and unpaired else None
        agreed_ct = into_ct.image[unpaired:][:otherwise] if into_ct is not None and otherwise else None
        if batch.ct is None or batch.mr is None or fake_ct is None or into_mr is None:
            return Passes(fake_ct=fake_ct, agreed_ct=agreed_ct, posteriors=posteriors, anchor=anchor)
        fake_mr = into_mr.image[:unpaired]
        cycled_ct = cycled_mr = identity_ct = identity_mr = None
        if passes.cycle or passes.identity:
            again_ct = self.to_ct(_again(fake_mr, batch.ct, passes), draw=True)
            times = passes.cycle + passes.identity
            again_mr = self.to_mr(_again(fake_ct, batch.mr, passes), *self._told(*times * [own]), draw=True)
            posteriors |= {"again_ct": again_ct.posterior, "again_mr": again_mr.posterior}
            made_ct, made_mr = _within(again_ct.image, passes), again_mr.image
            if passes.cycle:
                cycled_ct, cycled_mr = made_ct[:unpaired], made_mr[:unpaired]
            if passes.identity:
                identity_ct, identity_mr = made_ct[-unpaired:], made_mr[-unpaired:]
        return Passes(
            ct=batch.ct,
            mr=batch.mr,
            fake_mr=fake_mr,
            fake_ct=_within(fake_ct, passes),
            cycled_ct=cycled_ct,
            cycled_mr=cycled_mr,
            identity_ct=identity_ct,
            identity_mr=identity_mr,
            agreed_ct=None if agreed_ct is None else _within(agreed_ct, passes),
            posteriors=posteriors,
            anchor=anchor,
        )

    def _beside(self, *parts: Tensor | None) -> Tensor:
        """Join slices with their neighbours; those that have none stand for their own."""
        return _joined(*(part if part is None else beside_itself(part, self.shown) for part in parts))

    def _told(self, *parts: Tensor | None) -> tuple[Tensor, ...]:
        """Join the brightness of tissues that the generator of MR is told, if it is told any."""
        return (_joined(*parts),) if self.told else ()


class Discriminators(nn.Module):
    """One discriminator per modality."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.ct = DISCRIMINATORS[settings.discriminator](settings)
        self.mr = DISCRIMINATORS[settings.discriminator](settings)

    def forward(self, ct: Tensor, mr: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        return self.ct(ct), self.mr(mr)

    def loss(self, real_ct: Tensor, real_mr: Tensor, fake_ct: Tensor, fake_mr: Tensor) -> Tensor:
        """Compute the least-squares loss of both; half on real and half on fake, as in CycleGAN."""
        count = real_ct.shape[0]
        judged = self(torch.cat([real_ct, fake_ct]), torch.cat([real_mr, fake_mr]))
        terms = [
            least_squares([head[:count] for head in heads], real=True)
            + least_squares([head[count:] for head in heads], real=False)
            for heads in judged
        ]
        return 0.5 * torch.stack(terms).sum()


class VAECycleGAN(nn.Module):
    """Everything that trains, built of MONAI's blocks."""

    def __init__(self, settings: NetworkSettings) -> None:
        from medtranslate.networks.monai_blocks import with_monai_blocks

        super().__init__()
        self.generators = with_monai_blocks(Generators(settings))
        self.discriminators = Discriminators(settings)


class ImagePool:
    """Past translations that a discriminator sees again (Shrivastava et al., 2017).

    Once the pool is full, each new image is exchanged for a stored one with probability one half.

    Args:
        size: images kept; with 0 every translation is used once, as it comes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, fresh: Tensor, generator: torch.Generator) -> Tensor:
        """Exchange some images for past ones; returns detached images [B, 1, S, S] in place of `fresh`."""
        images = []
        for image in fresh.detach():
            image = image.clone()  # a view would keep its whole batch in memory and in checkpoints
            if len(self.images) < self.size:
                self.images.append(image)
                images.append(image)
            elif self.size and torch.rand((), generator=generator) < 0.5:
                place = int(torch.randint(self.size, (), generator=generator))
                images.append(self.images[place])
                self.images[place] = image
            else:
                images.append(image)
        return torch.stack(images)


def _after(made: Generated | None, count: int) -> Generated | None:
    """Leave out the first slices of a pass."""
    return None if made is None else made.split([count, len(made.image) - count])[1]


def _anchor(batch: Batch, into_ct: Generated | None, into_mr: Generated | None) -> Anchor | None:
    """Put the anchor beside its translations."""
    if batch.anchor_ct is None or batch.anchor_mr is None or batch.anchor_wanted is None:
        return None
    return Anchor(
        ct=batch.anchor_ct,
        mr=batch.anchor_mr,
        mr_wanted=batch.anchor_wanted,
        fake_ct=None if into_ct is None else into_ct.image,
        fake_mr=None if into_mr is None else into_mr.image,
        known=batch.anchor_known,
        brightness=batch.anchor_seen,
        seen=None if into_ct is None else into_ct.seen,
        weight=batch.anchor_weight,
        limit_ct=None if into_ct is None else into_ct.limit,
        limit_mr=None if into_mr is None else into_mr.limit,
    )


def _joined(*parts: Tensor | None) -> Tensor:
    return torch.cat([part for part in parts if part is not None])


def _count(slices: Tensor | None) -> int:
    return 0 if slices is None else slices.shape[0]


def _within(ct: Tensor, passes: PassSettings) -> Tensor:
    return ct if passes.shown is None else ct.clamp(*passes.shown)


def _again(fake: Tensor, real: Tensor, passes: PassSettings) -> Tensor:
    """Join the inputs of the generator that leads back: the translation, and images of its own domain."""
    cycle = _noisy(fake, passes.noise) if passes.cycle else None
    return _joined(cycle, real if passes.identity else None)


def _noisy(image: Tensor, sigma: float) -> Tensor:
    return image + sigma * torch.randn_like(image) if sigma > 0 else image
