"""Builds UNIT as it was published: one latent space that both modalities share.

Liu, Breuel and Kautz, "Unsupervised Image-to-Image Translation Networks" (2017). Each modality has an encoder
and a decoder; the last residual block of the encoders and the first of the decoders are one and the same for
both. The posterior is N(E(x), I), so a draw is the code plus standard normal noise and KL from the prior is
half the code's mean square. Objective, in the paper's weights:

    10 adversarial + 100 L1 of x in its own modality + 0.1 KL + 100 L1 of the round trip + 0.1 KL of its code

with the log loss of the first GANs, one image of each modality a step, Adam at 1e-4 with momenta 0.5 and
0.999, constant. Widths, weight decay (1e-4) and the order of a step (judges first) are those of the settings
that were released with the paper (`exps/unit/*.yaml` of mingyuliutw/UNIT in 2017), and so are means where the
paper has sums: over pixels in L1, over elements in KL, whose half is left out.

Departures: one channel instead of three; the judges learn from the very translations on which they then judge
the generators, where the released code draws noise anew. Slices are [B, 1, S, S] in [-1, 1], S a multiple
of 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.ablation.methods.published import Published, draw_weights

ADVERSARIAL = 10.0
RECONSTRUCTION = 100.0
KL = 0.1
RATE = 1e-4
DECAY = 1e-4


class UNIT(nn.Module):
    """Both autoencoders around what they share, and both judges."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        code = 4 * width
        self.encode_ct, self.encode_mr = _encoder(width), _encoder(width)
        self.shared_encoder, self.shared_decoder = Residual(code), Residual(code)
        self.decode_ct, self.decode_mr = _decoder(width), _decoder(width)
        self.judge_ct, self.judge_mr = _judge(width), _judge(width)
        self.apply(draw_weights)

    def to_ct(self, mr: Tensor) -> Tensor:
        """Translate; nothing is drawn."""
        made: Tensor = self.decode_ct(self.shared_decoder(self.shared_encoder(self.encode_mr(mr))))
        return made

    def to_mr(self, ct: Tensor) -> Tensor:
        made: Tensor = self.decode_mr(self.shared_decoder(self.shared_encoder(self.encode_ct(ct))))
        return made

    def draw(self, code: Tensor) -> Tensor:
        """Draw around a code; return features that are ready for either decoder."""
        drawn: Tensor = self.shared_decoder(code + torch.randn_like(code))
        return drawn

    def generator_loss(self, ct: Tensor, mr: Tensor, passes: Passes) -> Tensor:
        """Sum the weighted terms of the autoencoders."""
        code_ct = self.shared_encoder(self.encode_ct(passes.fake_ct))
        code_mr = self.shared_encoder(self.encode_mr(passes.fake_mr))
        cycled_ct, cycled_mr = self.decode_ct(self.draw(code_mr)), self.decode_mr(self.draw(code_ct))
        judged = (self.judge_ct(passes.fake_ct), self.judge_mr(passes.fake_mr))
        adversarial = log_loss(judged[0], 1.0) + log_loss(judged[1], 1.0)
        pairs = ((passes.own_ct, ct), (passes.own_mr, mr), (cycled_ct, ct), (cycled_mr, mr))
        likelihood = torch.stack([functional.l1_loss(made, image) for made, image in pairs]).sum()
        codes = (passes.code_ct, passes.code_mr, code_ct, code_mr)
        kl = torch.stack([code.square().mean() for code in codes]).sum()
        return ADVERSARIAL * adversarial + RECONSTRUCTION * likelihood + KL * kl

    def discriminator_loss(self, ct: Tensor, mr: Tensor, passes: Passes) -> Tensor:
        """Judge real slices against translations."""
        real_ct, fake_ct = self.judge_ct(torch.cat([ct, passes.fake_ct.detach()])).chunk(2)
        real_mr, fake_mr = self.judge_mr(torch.cat([mr, passes.fake_mr.detach()])).chunk(2)
        real = log_loss(real_ct, 1.0) + log_loss(real_mr, 1.0)
        return ADVERSARIAL * (real + log_loss(fake_ct, 0.0) + log_loss(fake_mr, 0.0))


class Passes:
    """What a step makes of its slices: codes, each slice in its own modality, and in the other."""

    def __init__(self, networks: UNIT, ct: Tensor, mr: Tensor) -> None:
        self.code_ct = networks.shared_encoder(networks.encode_ct(ct))
        self.code_mr = networks.shared_encoder(networks.encode_mr(mr))
        of_both = networks.draw(torch.cat([self.code_ct, self.code_mr]))
        self.own_ct, self.fake_ct = networks.decode_ct(of_both).chunk(2)
        self.fake_mr, self.own_mr = networks.decode_mr(of_both).chunk(2)


class Trainer(Published):
    """UNIT; what the judges' part of a step makes, the autoencoders' part goes on with."""

    networks: UNIT

    def __init__(
        self, seed: int = 0, device: str = "cpu", precision: torch.dtype = torch.float32, width: int = 64
    ) -> None:
        torch.manual_seed(seed)
        super().__init__(UNIT(width), device, precision, RATE, DECAY)

    def set_rate(self, share: float) -> None:
        """Keep the learning rate, which is constant."""

    def step(self, ct: Tensor, mr: Tensor) -> dict[str, Tensor]:
        """Step the judges, then the autoencoders; return the losses, left on the device."""
        generators, judges = self.optimisers
        judged = self.judge(ct, mr)
        judges.step()
        loss = self.derive(ct, mr)
        generators.step()
        return {"generators": loss, "discriminators": judged}

    def judge(self, ct: Tensor, mr: Tensor) -> Tensor:
        """Derive the gradients of the judges; return their loss."""
        self.optimisers[1].zero_grad()
        with self.autocast():
            self.passes = Passes(self.networks, ct, mr)
            judged = self.networks.discriminator_loss(ct, mr, self.passes)
        judged.backward()
        return judged.detach()

    def derive(self, ct: Tensor, mr: Tensor) -> Tensor:
        """Derive the gradients of the autoencoders, whose judges have just learnt; return their loss."""
        self.optimisers[0].zero_grad()
        with self.frozen_judges():
            with self.autocast():
                loss = self.networks.generator_loss(ct, mr, self.passes)
            loss.backward()
        return loss.detach()


class Residual(nn.Module):
    """x + two convolutions with zero padding and instance normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            *_normed(width),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.InstanceNorm2d(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = self.around(features)
        return features + added


def log_loss(scores: Tensor, target: float) -> Tensor:
    """Return the cross-entropy of the scores' sigmoid, mean over patches."""
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


def _encoder(width: int) -> nn.Sequential:
    """Build the way to the block that is shared: a quarter of the resolution, four times the width."""
    return nn.Sequential(
        nn.Conv2d(1, width, kernel_size=7, padding=3),
        nn.LeakyReLU(inplace=True),
        nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
        *_normed(2 * width),
        nn.Conv2d(2 * width, 4 * width, kernel_size=3, stride=2, padding=1),
        *_normed(4 * width),
        *(Residual(4 * width) for _ in range(3)),
    )


def _decoder(width: int) -> nn.Sequential:
    """Build the way back from the block that is shared."""
    return nn.Sequential(
        *(Residual(4 * width) for _ in range(3)),
        nn.ConvTranspose2d(4 * width, 2 * width, kernel_size=3, stride=2, padding=1, output_padding=1),
        *_normed(2 * width),
        nn.ConvTranspose2d(2 * width, width, kernel_size=3, stride=2, padding=1, output_padding=1),
        *_normed(width),
        nn.ConvTranspose2d(width, 1, kernel_size=1),
        nn.Tanh(),
    )


def _judge(width: int, layers: int = 6) -> nn.Sequential:
    """Build six halvings without normalisation, and one score for each place that is left."""
    found: list[nn.Module] = []
    for before, after in zip(
        (1, *(width * 2**k for k in range(layers - 1))), (width * 2**k for k in range(layers)), strict=True
    ):
        found += [
            nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1),
            nn.LeakyReLU(inplace=True),
        ]
    return nn.Sequential(*found, nn.Conv2d(width * 2 ** (layers - 1), 1, kernel_size=1))


def _normed(width: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(width), nn.ReLU(inplace=True)]
