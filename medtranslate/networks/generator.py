"""The variational generator: a slice of one modality in, its posterior, a slice of the other out.

    x --fold--> encoder --> N(mu, diag sigma^2) = q(z|x) --draw or mean--> decoder --unfold--> y
    x --2 x 2--> near ----> its fine part                --draw or mean-----------------^
    x, y, features of encoder and decoder --> limits --> ln of the error limit of y

Nothing goes around the latent (there are no skip connections), so the posterior has to carry the
anatomy. Kingma and Welling, "Auto-Encoding Variational Bayes" (2014), give the reparameterisation
and the KL term; residual and attention blocks are those of MONAI's `AutoencoderKL` (`blocks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtranslate.config import NetworkSettings
from medtranslate.networks.blocks import Convolution
from medtranslate.networks.hourglass import LAST, body, norm, unfolding
from medtranslate.networks.limits import Limits

LOG_VARIANCE_BOUND = 6.0
"""|log sigma^2| stays below this: sigma between 0.05 and 20, where exp is harmless in any precision."""

FIRST_LOG_VARIANCE = -4.0
"""log sigma^2 before training."""


_SHARES = 8
"""Last features of a generator that is told brightness."""

_MIXING = 32
"""Width of the layer that turns brightness into their weights."""

_NEAR = 24
"""Width of the layers that make and use the fine part of the latent."""


@dataclass
class Posterior:
    """q(z|x) = N(mean, diag exp(log_variance)), both [B, latent, h, w] in float32.

    Attributes:
        fine: channels at the end that are the fine part, the cells of a place.
    """

    mean: Tensor
    log_variance: Tensor
    fine: int = 0

    @property
    def parts(self) -> list[Posterior]:
        """The coarse part, and the fine one if there is any."""
        if not self.fine:
            return [self]
        channels = [self.mean.shape[1] - self.fine, self.fine]
        halves = zip(self.mean.split(channels, 1), self.log_variance.split(channels, 1), strict=True)
        return [Posterior(mean, log_variance) for mean, log_variance in halves]

    def at(self, noise: Tensor) -> Tensor:
        """Turn standard normal noise into a sample (reparameterisation): mean + sigma * noise."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def draw(self) -> Tensor:
        """One sample."""
        return self.at(torch.randn_like(self.mean))


@dataclass(frozen=True)
class Generated:
    """What one pass of a generator gives.

    Attributes:
        image: [B, 1, H, W] in [-1, 1].
        posterior: of the slice that was translated.
        seen: brightness of the tissues in that slice, [B, seen] in [-1, 1]; None where it is not estimated.
        limit: ln of the error limit of each pixel of `image`, likewise; None where it is not estimated.
    """

    image: Tensor
    posterior: Posterior
    seen: Tensor | None = None
    limit: Tensor | None = None

    def split(self, sizes: list[int]) -> list[Generated]:
        """Divide the slices of a pass."""
        moments = zip(self.posterior.mean.split(sizes), self.posterior.log_variance.split(sizes), strict=True)
        posteriors = [Posterior(*each, fine=self.posterior.fine) for each in moments]
        none = [None] * len(sizes)
        seen, limit = (none if each is None else each.split(sizes) for each in (self.seen, self.limit))
        return [
            Generated(*each) for each in zip(self.image.split(sizes), posteriors, seen, limit, strict=True)
        ]


def coordinates(image: Tensor) -> Tensor:
    """Row and column of each pixel, [B, 2, H, W], from -1 at one edge of the frame to 1 at the other."""
    batch, _, height, width = image.shape
    rows = torch.linspace(-1, 1, height, device=image.device, dtype=image.dtype)
    columns = torch.linspace(-1, 1, width, device=image.device, dtype=image.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(batch, -1, -1, -1)


def beside_itself(image: Tensor, shown: int) -> Tensor:
    """Let slices [B, 1, S, S] that have no neighbours stand for their own, [B, shown, S, S]."""
    return image.expand(-1, shown, -1, -1) if image.shape[1] == 1 else image


class VariationalGenerator(nn.Module):
    """Translates slices [B, 1, S, S] in [-1, 1] into the other modality, likewise.

    Neighbours (`settings.neighbours`) are further channels of the input: the slice, those below it from the
    nearest on, and those above it likewise.

    A generator that is told the brightness of some tissues (`settings.told`) has it beside the latent, and
    mixes its last features by it: a tissue's share of a pixel times its brightness.

    The slice is folded `fold` x `fold` pixels into channels first, so that no layer of the encoder
    works at full resolution. Encoder and decoder work at that scale, where the latent lies too, so that
    detail need not squeeze through a coarser grid; each looks at the whole head once, in an hourglass.
    A fine part of the latent (`settings.fine`) has a cell for each 2 x 2 pixels. A few layers that see no
    further than some pixels make it, and the decoder, which knows the anatomy, takes edges from it.

    On the way out bilinear upsampling and convolutions undo the fold; neither leaves a checkerboard, as
    sub-pixel and transposed convolutions do (Odena et al., "Deconvolution and Checkerboard Artifacts",
    2016).
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        width, latent = settings.channels[0], settings.latent_channels
        self.fold = settings.fold
        self.coordinates = settings.coordinates
        self.shown = settings.shown
        inputs = (self.shown + 2 * settings.coordinates) * settings.fold**2
        self.encoder = nn.Sequential(Convolution(inputs, width), *body(settings), norm(width), nn.SiLU())
        self.posterior = nn.Conv2d(width, 2 * latent, kernel_size=1)
        self.sees = settings.seen > 0
        if self.sees:
            self.see = nn.Sequential(
                nn.Linear(2 * width, _MIXING), nn.SiLU(), nn.Linear(_MIXING, settings.seen), nn.Tanh()
            )
        # A sure posterior to begin with: at sigma = 1 the noise would bury what the mean has to say.
        nn.init.constant_(_bias(self.posterior)[latent:], FIRST_LOG_VARIANCE)
        self.latent, self.fine = latent, settings.fine
        self.told = settings.told
        self.decoder = nn.Sequential(
            Convolution(latent + self.told, width), *body(settings), norm(width), nn.SiLU()
        )
        self.unfold = unfolding(width, settings.fold, _SHARES if self.told else 1)
        if self.fine:
            features = _half(self.unfold)
            self.near = nn.Sequential(Convolution(4, _NEAR), nn.SiLU(), Convolution(_NEAR, _NEAR), nn.SiLU())
            self.near_posterior = nn.Conv2d(_NEAR, 2 * self.fine, kernel_size=1)
            nn.init.constant_(_bias(self.near_posterior)[self.fine :], FIRST_LOG_VARIANCE)
            # Anatomy comes first: to begin with, edges change nothing.
            last = nn.Conv2d(_NEAR, features, kernel_size=1)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(_bias(last))
            self.edges = nn.Sequential(Convolution(features + self.fine, _NEAR), nn.SiLU(), last)
        if self.told:
            self.mix = nn.Sequential(nn.Linear(self.told, _MIXING), nn.SiLU(), nn.Linear(_MIXING, _SHARES))
        # The last to be made, so that a seed gives the other layers the same weights without it.
        self.limits = Limits(settings) if settings.limits else None

    def encode(self, image: Tensor) -> Posterior:
        """q(z|x) of slices [B, shown or 1, S, S] in [-1, 1]; in float32 whatever the precision."""
        return self._posterior(image, self._features(image))

    def seen(self, image: Tensor) -> Tensor:
        """Estimate the brightness of the tissues in slices, [B, seen] in [-1, 1]."""
        return self._seen(self._features(image))

    def _features(self, image: Tensor) -> Tensor:
        image = beside_itself(image, self.shown)
        if self.coordinates:
            image = torch.cat([image, coordinates(image)], dim=1)
        features: Tensor = self.encoder(functional.pixel_unshuffle(image, self.fold))
        return features

    def _posterior(self, image: Tensor, features: Tensor) -> Posterior:
        near = self.near(functional.pixel_unshuffle(image[:, :1], 2)) if self.fine else None
        with torch.autocast(features.device.type, enabled=False):
            mean, raw = self.posterior(features.float()).chunk(2, dim=1)
            channels = 0
            if near is not None:
                cells = functional.pixel_unshuffle(self.near_posterior(near.float()), self.fold // 2)
                fine, spread = cells.chunk(2, dim=1)
                mean, raw, channels = torch.cat([mean, fine], 1), torch.cat([raw, spread], 1), fine.shape[1]
            log_variance = LOG_VARIANCE_BOUND * torch.tanh(raw / LOG_VARIANCE_BOUND)
        return Posterior(mean, log_variance, channels)

    def _seen(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            places = features.float()
            seen: Tensor = self.see(torch.cat([places.mean(dim=(2, 3)), places.amax(dim=(2, 3))], dim=1))
        return seen

    def decode(self, latent: Tensor, brightness: Tensor | None = None) -> Tensor:
        """Slices [B, 1, S, S] in [-1, 1] from latents [B, channels, S / fold, S / fold].

        Args:
            latent: drawn from a posterior, or its mean.
            brightness: of the tissues that the generator is told, [B, told] in [-1, 1].
        """
        return self._image(self._anatomy(latent, brightness), latent, brightness)

    def _anatomy(self, latent: Tensor, brightness: Tensor | None) -> Tensor:
        """Decode what the coarse part of a latent knows of each place, [B, width, h, w]."""
        known = latent[:, : self.latent]
        if brightness is not None:
            planes = brightness[:, :, None, None].expand(-1, -1, *latent.shape[2:])
            known = torch.cat([known, planes.to(latent.dtype)], dim=1)
        features: Tensor = self.decoder(known)
        return features

    def _image(self, anatomy: Tensor, latent: Tensor, brightness: Tensor | None) -> Tensor:
        """Bring the anatomy to pixels, with the edges of the latent's fine part."""
        features = self.unfold[:-LAST](anatomy)
        if self.fine:
            fine = functional.pixel_shuffle(latent[:, self.latent :], self.fold // 2)
            features = features + self.edges(torch.cat([features, fine.to(features.dtype)], dim=1))
        shares = self.unfold[-LAST:](features)
        if brightness is not None:
            shares = (shares * self.mix(brightness)[:, :, None, None]).sum(dim=1, keepdim=True)
        return torch.tanh(shares.float())

    def forward(self, image: Tensor, brightness: Tensor | None = None, *, draw: bool = False) -> Generated:
        """Translate; from one draw of the posterior (training) or from its mean (inference)."""
        features = self._features(image)
        posterior = self._posterior(image, features)
        latent = posterior.draw() if draw else posterior.mean
        seen = self._seen(features) if self.sees else None
        anatomy = self._anatomy(latent, brightness)
        made, limit = self._image(anatomy, latent, brightness), None
        if self.limits is not None:
            limit = self.limits(beside_itself(image, self.shown), made, features, anatomy)
        return Generated(made, posterior, seen, limit)


class Told(nn.Module):
    """A generator that is told one brightness of the tissues, whatever it translates.

    Args:
        generator: of MR.
        brightness: of its tissues, [told] in [-1, 1].
    """

    brightness: Tensor

    def __init__(self, generator: VariationalGenerator, brightness: Tensor) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("brightness", brightness)

    def encode(self, image: Tensor) -> Posterior:
        """Compute q(z|x), as the generator's own; it does not depend on the contrast."""
        return self.generator.encode(image)

    def decode(self, latent: Tensor) -> Tensor:
        """Slices from latents, as the generator's own."""
        # A length would be a constant of a traced graph; a shape is one of its dimensions.
        return self.generator.decode(latent, self.brightness.expand(latent.shape[0], -1))

    def forward(self, image: Tensor) -> Generated:
        """Translate from the mean of the posterior."""
        told: Generated = self.generator(image, self.brightness.expand(image.shape[0], -1))
        return told


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias.data


def _half(unfold: nn.Sequential) -> int:
    """Count the features of half the resolution."""
    first = unfold[-LAST + 1]
    assert isinstance(first, nn.Conv2d)
    return first.in_channels
