"""CUT as it was published: a patch of the translation says which patch of its source it came from.

Park, Efros, Zhang and Zhu, "Contrastive Learning for Unpaired Image-to-Image Translation" (2020). A network
for each direction, without a way back. To its adversarial term (least squares) comes the PatchNCE loss: the
features of a place in the translation should be nearer to those of the same place in the source than to those
of 255 other places, and likewise between a target slice and what the network makes of it (identity). Features
are the generator's own at five depths: pixels, both halvings, first and fifth residual block; 256 places of
each go through a perceptron of two layers to 256 numbers of unit length; temperature 0.07. Networks, batches
of one, Adam and its rate are CycleGAN's (`published`), as the paper has it, with no pool of past images.
Both PatchNCE losses have weight one half and are means over places and depths, as in the released code
(taesungp/contrastive-unpaired-translation).

Departures: one channel instead of three; strided and transposed convolutions where the released code halves
and doubles by a blurring filter. Slices are [B, 1, S, S] in [-1, 1].
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.published import (
    BETAS,
    RATE,
    PatchDiscriminator,
    ResNetGenerator,
    draw_weights,
    least_squares,
)

DEPTHS = {0: 1, 4: 128, 7: 256, 10: 256, 14: 256}
"""Layers of `ResNetGenerator` whose features are compared, with their channels."""

PLACES = 256
WIDTH = 256
TEMPERATURE = 0.07


class Direction(nn.Module):
    """One translation: generator, judge, and a perceptron for each depth."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.judge = ResNetGenerator(), PatchDiscriminator()
        self.perceptrons = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
            for channels in DEPTHS.values()
        )
        self.apply(draw_weights)

    def translate(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Translations, and the features of their sources."""
        features = []
        for index, layer in enumerate(self.generator):
            images = layer(images)
            if index in DEPTHS:
                features.append(images)
        return images, features

    def features(self, images: Tensor) -> list[Tensor]:
        """Of images that are not translated: the first half of the generator."""
        found = []
        for index in range(max(DEPTHS) + 1):
            images = self.generator[index](images)
            if index in DEPTHS:
                found.append(images)
        return found

    def nce(self, made: Tensor, sources: list[Tensor]) -> Tensor:
        """PatchNCE of translations [B, 1, S, S] against the features of their sources, mean over depths."""
        terms = []
        for query, key, perceptron in zip(self.features(made), sources, self.perceptrons, strict=True):
            places = torch.randperm(query[0, 0].numel(), device=query.device)[:PLACES]
            # No derivative flows into the features that are to be found.
            terms.append(patch_nce(embed(query, places, perceptron), embed(key, places, perceptron).detach()))
        return torch.stack(terms).mean()


class Networks(nn.Module):
    """Both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.into_ct, self.into_mr = Direction(), Direction()

    def to_ct(self, mr: Tensor) -> Tensor:
        return self.into_ct.translate(mr)[0]

    def to_mr(self, ct: Tensor) -> Tensor:
        return self.into_mr.translate(ct)[0]


class Trainer:
    """Both directions with what a step changes beside their weights."""

    def __init__(self, seed: int = 0, device: str = "cpu") -> None:
        torch.manual_seed(seed)
        self.networks = Networks().to(device)
        both = (self.networks.into_ct, self.networks.into_mr)
        self.judges = [weight for one in both for weight in one.judge.parameters()]
        generators = [
            weight
            for one in both
            for weight in chain(one.generator.parameters(), one.perceptrons.parameters())
        ]
        self.optimisers = [torch.optim.Adam(part, RATE, BETAS) for part in (generators, self.judges)]

    def set_rate(self, share: float) -> None:
        """Learning rate at a share of the run: constant for half of it, then linear to zero."""
        for group in chain.from_iterable(optimiser.param_groups for optimiser in self.optimisers):
            group["lr"] = RATE * min(1.0, 2.0 * (1.0 - share))

    def step(self, ct: Tensor, mr: Tensor) -> dict[str, Tensor]:
        """One step of both directions; the losses, left on the device."""
        generators, judges = self.optimisers
        ways = ((self.networks.into_ct, mr, ct), (self.networks.into_mr, ct, mr))
        # Source and target go through together: translation and identity.
        made = [way.translate(torch.cat([source, target])) for way, source, target in ways]
        judged = torch.stack(
            [
                0.5 * least_squares(way.judge(target), 1.0)
                + 0.5 * least_squares(way.judge(images[: len(source)].detach()), 0.0)
                for (way, source, target), (images, _) in zip(ways, made, strict=True)
            ]
        ).sum()
        judges.zero_grad()
        judged.backward()
        judges.step()
        for weight in self.judges:
            weight.requires_grad_(False)
        loss = torch.stack(
            [
                # The mean over translation and identity is the half of each.
                least_squares(way.judge(images[: len(source)]), 1.0) + way.nce(images, features)
                for (way, source, _), (images, features) in zip(ways, made, strict=True)
            ]
        ).sum()
        generators.zero_grad()
        loss.backward()
        generators.step()
        for weight in self.judges:
            weight.requires_grad_(True)
        return {"generators": loss.detach(), "discriminators": judged.detach()}


def embed(features: Tensor, places: Tensor, perceptron: nn.Module) -> Tensor:
    """Features [B, C, h, w] at some places as vectors of unit length, [B, places, WIDTH]."""
    vectors: Tensor = perceptron(features.flatten(2)[:, :, places].transpose(1, 2))
    return functional.normalize(vectors, dim=2)


def patch_nce(queries: Tensor, keys: Tensor) -> Tensor:
    """Cross-entropy of finding each query [B, places, n] among the keys of its own image, likewise.

    InfoNCE (van den Oord et al., 2018): the key of the same place against those of the others.
    """
    likeness = queries @ keys.transpose(1, 2) / TEMPERATURE
    same = torch.arange(likeness.shape[1], device=likeness.device).expand(len(likeness), -1)
    return functional.cross_entropy(likeness.flatten(0, 1), same.flatten())
