"""Builds CUT as it was published: a patch of the translation says which patch of its source it came from.

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

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.ablation.methods.cyclegan import RATE, PatchDiscriminator, ResNetGenerator, least_squares
from benchmarks.ablation.methods.published import Published, draw_weights

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
        """Translate, and return the features of the sources too."""
        features = []
        for index, layer in enumerate(self.generator):
            images = layer(images)
            if index in DEPTHS:
                features.append(images)
        return images, features

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the features of images that are not translated: the first half of the generator."""
        found = []
        for index in range(max(DEPTHS) + 1):
            images = self.generator[index](images)
            if index in DEPTHS:
                found.append(images)
        return found

    def nce(self, made: Tensor, sources: list[Tensor]) -> Tensor:
        """Compare translations [B, 1, S, S] with features of their sources: PatchNCE, mean over depths."""
        terms = []
        for query, key, perceptron in zip(self.features(made), sources, self.perceptrons, strict=True):
            places = torch.rand(query[0, 0].numel(), device=query.device).argsort()[:PLACES]
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


class Trainer(Published):
    """Both directions; what the judges' part of a step makes, the generators' part goes on with."""

    networks: Networks

    def __init__(self, seed: int = 0, device: str = "cpu", precision: torch.dtype = torch.float32) -> None:
        torch.manual_seed(seed)
        super().__init__(Networks(), device, precision, RATE)

    def step(self, ct: Tensor, mr: Tensor) -> dict[str, Tensor]:
        """Step both directions; return the losses, left on the device."""
        generators, judges = self.optimisers
        judged = self.judge(ct, mr)
        judges.step()
        loss = self.derive(ct, mr)
        generators.step()
        return {"generators": loss, "discriminators": judged}

    def judge(self, ct: Tensor, mr: Tensor) -> Tensor:
        """Derive the gradients of the judges; return their loss."""
        self.optimisers[1].zero_grad()
        terms, self.made = [], []
        with self.autocast():
            for way, source, target in self._ways(ct, mr):
                # Source and target go through together: translation and identity.
                images, features = way.translate(torch.cat([source, target]))
                self.made.append((images, features))
                terms.append(least_squares(way.judge(target), 1.0))
                terms.append(least_squares(way.judge(images[: len(source)].detach()), 0.0))
        judged = 0.5 * torch.stack(terms).sum()
        judged.backward()
        return judged.detach()

    def derive(self, ct: Tensor, mr: Tensor) -> Tensor:
        """Derive the gradients of the generators, whose judges have just learnt; return their loss."""
        self.optimisers[0].zero_grad()
        terms = []
        with self.frozen_judges():
            with self.autocast():
                for (way, source, _), (images, features) in zip(self._ways(ct, mr), self.made, strict=True):
                    # The mean over translation and identity is the half of each.
                    terms += [
                        least_squares(way.judge(images[: len(source)]), 1.0),
                        way.nce(images, features),
                    ]
            loss = torch.stack(terms).sum()
            loss.backward()
        return loss.detach()

    def _ways(self, ct: Tensor, mr: Tensor) -> tuple[tuple[Direction, Tensor, Tensor], ...]:
        """Pair each direction with its source and its target."""
        return (self.networks.into_ct, mr, ct), (self.networks.into_mr, ct, mr)


def embed(features: Tensor, places: Tensor, perceptron: nn.Module) -> Tensor:
    """Embed features [B, C, h, w] at some places as vectors of unit length, [B, places, WIDTH]."""
    vectors: Tensor = perceptron(features.flatten(2)[:, :, places].transpose(1, 2))
    return functional.normalize(vectors, dim=2)


def patch_nce(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the cross-entropy of finding each query [B, places, n] among the keys of its own image.

    InfoNCE (van den Oord et al., 2018): the key of the same place against those of the others.
    """
    likeness = queries @ keys.transpose(1, 2) / TEMPERATURE
    same = torch.arange(likeness.shape[1], device=likeness.device).expand(len(likeness), -1)
    return functional.cross_entropy(likeness.flatten(0, 1), same.flatten())
