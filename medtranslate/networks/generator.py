"""The variational generator: a slice of one modality in, its posterior, a slice of the other out.

    x --fold--> encoder --> N(mu, diag sigma^2) = q(z|x) --draw or mean--> decoder --unfold--> y

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
from medtranslate.networks.blocks import GROUPS, AttentionBlock, Convolution, ResidualBlock

LOG_VARIANCE_BOUND = 6.0
"""|log sigma^2| stays below this: sigma between 0.05 and 20, where exp is harmless in any precision."""

FIRST_LOG_VARIANCE = -4.0
"""log sigma^2 before training."""


_SHARES = 8
"""Last features of a generator that is told brightness."""

_MIXING = 32
"""Width of the layer that turns brightness into their weights."""


@dataclass
class Posterior:
    """q(z|x) = N(mean, diag exp(log_variance)), both [B, latent, h, w] in float32."""

    mean: Tensor
    log_variance: Tensor

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
    """

    image: Tensor
    posterior: Posterior
    seen: Tensor | None = None


def coordinates(image: Tensor) -> Tensor:
    """Row and column of each pixel, [B, 2, H, W], from -1 at one edge of the frame to 1 at the other."""
    batch, _, height, width = image.shape
    rows = torch.linspace(-1, 1, height, device=image.device, dtype=image.dtype)
    columns = torch.linspace(-1, 1, width, device=image.device, dtype=image.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(batch, -1, -1, -1)


class VariationalGenerator(nn.Module):
    """Translates slices [B, 1, S, S] in [-1, 1] into the other modality, likewise.

    A generator that is told the brightness of some tissues (`settings.told`) has it beside the latent, and
    mixes its last features by it: a tissue's share of a pixel times its brightness.

    The slice is folded `fold` x `fold` pixels into channels first, so that no layer of the encoder
    works at full resolution. Encoder and decoder work at that scale, where the latent lies too, so that
    detail need not squeeze through a coarser grid; each looks at the whole head once, in an hourglass.
    On the way out bilinear upsampling and convolutions undo the fold; neither leaves a checkerboard, as
    sub-pixel and transposed convolutions do (Odena et al., "Deconvolution and Checkerboard Artifacts",
    2016).
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        width, latent = settings.channels[0], settings.latent_channels
        self.fold = settings.fold
        self.coordinates = settings.coordinates
        inputs = (1 + 2 * settings.coordinates) * settings.fold**2
        self.encoder = nn.Sequential(Convolution(inputs, width), *_body(settings), _norm(width), nn.SiLU())
        self.posterior = nn.Conv2d(width, 2 * latent, kernel_size=1)
        self.sees = settings.seen > 0
        if self.sees:
            self.see = nn.Sequential(
                nn.Linear(2 * width, _MIXING), nn.SiLU(), nn.Linear(_MIXING, settings.seen), nn.Tanh()
            )
        # A sure posterior to begin with: at sigma = 1 the noise would bury what the mean has to say.
        nn.init.constant_(_bias(self.posterior)[latent:], FIRST_LOG_VARIANCE)
        self.told = settings.told
        self.decoder = nn.Sequential(
            Convolution(latent + self.told, width), *_body(settings), _norm(width), nn.SiLU()
        )
        self.unfold = _unfold(width, settings.fold, _SHARES if self.told else 1)
        if self.told:
            self.mix = nn.Sequential(nn.Linear(self.told, _MIXING), nn.SiLU(), nn.Linear(_MIXING, _SHARES))

    def encode(self, image: Tensor) -> Posterior:
        """q(z|x) of slices [B, 1, S, S] in [-1, 1]; computed in float32 whatever the precision."""
        return self._posterior(self._features(image))

    def seen(self, image: Tensor) -> Tensor:
        """Estimate the brightness of the tissues in slices [B, 1, S, S], [B, seen] in [-1, 1]."""
        return self._seen(self._features(image))

    def _features(self, image: Tensor) -> Tensor:
        if self.coordinates:
            image = torch.cat([image, coordinates(image)], dim=1)
        features: Tensor = self.encoder(functional.pixel_unshuffle(image, self.fold))
        return features

    def _posterior(self, features: Tensor) -> Posterior:
        with torch.autocast(features.device.type, enabled=False):
            mean, raw = self.posterior(features.float()).chunk(2, dim=1)
            log_variance = LOG_VARIANCE_BOUND * torch.tanh(raw / LOG_VARIANCE_BOUND)
        return Posterior(mean, log_variance)

    def _seen(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            places = features.float()
            seen: Tensor = self.see(torch.cat([places.mean(dim=(2, 3)), places.amax(dim=(2, 3))], dim=1))
        return seen

    def decode(self, latent: Tensor, brightness: Tensor | None = None) -> Tensor:
        """Slices [B, 1, S, S] in [-1, 1] from latents [B, latent, S / fold, S / fold].

        Args:
            latent: drawn from a posterior, or its mean.
            brightness: of the tissues that the generator is told, [B, told] in [-1, 1].
        """
        if brightness is None:
            return torch.tanh(self.unfold(self.decoder(latent)).float())
        planes = brightness[:, :, None, None].expand(-1, -1, *latent.shape[2:]).to(latent.dtype)
        shares = self.unfold(self.decoder(torch.cat([latent, planes], dim=1)))
        mixed = (shares * self.mix(brightness)[:, :, None, None]).sum(dim=1, keepdim=True)
        return torch.tanh(mixed.float())

    def forward(self, image: Tensor, brightness: Tensor | None = None, *, draw: bool = False) -> Generated:
        """Translate; from one draw of the posterior (training) or from its mean (inference)."""
        features = self._features(image)
        posterior = self._posterior(features)
        latent = posterior.draw() if draw else posterior.mean
        seen = self._seen(features) if self.sees else None
        return Generated(self.decode(latent, brightness), posterior, seen)


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


def input_channels(generator: nn.Module) -> int:
    """Count the channels of a generator's input by its first layer; 1 for a network of another form."""
    if not isinstance(generator, VariationalGenerator):
        return 1
    first = generator.encoder[0]
    assert isinstance(first, Convolution)
    return first.conv.in_channels // generator.fold**2 - 2 * generator.coordinates


class Hourglass(nn.Module):
    """x + what is seen at half the resolution, and so on down the channels, with attention at the bottom.

    Args:
        channels: of x, and of each coarser level.
        blocks: residual blocks per level.
        attention: look at all places at once at the coarsest level.
    """

    def __init__(self, channels: tuple[int, ...], blocks: int, attention: bool) -> None:
        super().__init__()
        width, coarse, *deeper = channels
        layers: list[nn.Module] = [Convolution(width, coarse, stride=2), *_residuals(coarse, blocks)]
        if deeper:
            layers.append(Hourglass((coarse, *deeper), blocks, attention))
        elif attention:
            layers.append(AttentionBlock(coarse))
        layers += [*_residuals(coarse, blocks), nn.Upsample(scale_factor=2, mode="nearest")]
        self.around = nn.Sequential(*layers, Convolution(coarse, width))

    def forward(self, features: Tensor) -> Tensor:
        seen: Tensor = self.around(features)
        return features + seen


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias.data


def _body(settings: NetworkSettings) -> list[nn.Module]:
    width, blocks = settings.channels[0], settings.blocks
    around = [Hourglass(settings.channels, blocks, settings.attention)] if len(settings.channels) > 1 else []
    return [*_residuals(width, blocks), *around, *_residuals(width, blocks)]


def _residuals(channels: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(count)]


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels)


def _unfold(channels: int, fold: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    while fold > 1:
        narrower = max(channels // 2, 8)
        layers += [
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(channels, narrower, kernel_size=3, padding=1),
            nn.SiLU(),
        ]
        channels, fold = narrower, fold // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, outputs, kernel_size=3, padding=1))
