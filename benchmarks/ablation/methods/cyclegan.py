"""Builds CycleGAN as it was published, from the paper alone: what medtranslate is measured against.

Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
Networks" (2017), section 4 and appendix (section 7): ResNet generators of nine blocks, 70 x 70
PatchGANs, least squares, cycle weight 10, identity weight half of that, a pool of 50 images, Adam at
2e-4 with batches of one, constant for the first half of the run and then linear to zero. Slices are
[B, 1, S, S] in [-1, 1]; one channel instead of three is the only departure.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.ablation.methods.published import Published, draw_weights
from medtranslate.model import ImagePool

CYCLE = 10.0
IDENTITY = 0.5 * CYCLE
POOL = 50
RATE = 2e-4


class CycleGAN(nn.Module):
    """Both generators and both discriminators, with the objective of each side."""

    def __init__(self) -> None:
        super().__init__()
        self.to_ct, self.to_mr = ResNetGenerator(), ResNetGenerator()
        self.judge_ct, self.judge_mr = PatchDiscriminator(), PatchDiscriminator()
        self.apply(draw_weights)

    def generator_loss(self, ct: Tensor, mr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum the weighted terms of the generators; return the translations fake_ct and fake_mr too."""
        fake_ct, fake_mr = self.to_ct(mr), self.to_mr(ct)
        adversarial = least_squares(self.judge_ct(fake_ct), 1.0) + least_squares(self.judge_mr(fake_mr), 1.0)
        cycle = functional.l1_loss(self.to_ct(fake_mr), ct) + functional.l1_loss(self.to_mr(fake_ct), mr)
        identity = functional.l1_loss(self.to_ct(ct), ct) + functional.l1_loss(self.to_mr(mr), mr)
        return adversarial + CYCLE * cycle + IDENTITY * identity, fake_ct, fake_mr

    def discriminator_loss(self, ct: Tensor, mr: Tensor, fake_ct: Tensor, fake_mr: Tensor) -> Tensor:
        """Judge real slices against (pooled, detached) translations; halved, so that judges learn slower."""
        real = least_squares(self.judge_ct(ct), 1.0) + least_squares(self.judge_mr(mr), 1.0)
        fake = least_squares(self.judge_ct(fake_ct), 0.0) + least_squares(self.judge_mr(fake_mr), 0.0)
        return 0.5 * (real + fake)


class Trainer(Published):
    """A CycleGAN and its pools.

    Args:
        precision: in bfloat16 on CUDA the layout is channels-last. On a CPU bfloat16 is slower for these
            networks, as instance normalisation turns every feature map around.
    """

    networks: CycleGAN

    def __init__(
        self, seed: int = 0, device: str = "cpu", precision: torch.dtype = torch.float32, rate: float = RATE
    ) -> None:
        torch.manual_seed(seed)
        super().__init__(CycleGAN(), device, precision, rate)
        if precision is torch.bfloat16 and self.device.type == "cuda":
            self.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
        self.pools = {"ct": ImagePool(POOL), "mr": ImagePool(POOL)}

    def step(self, ct: Tensor, mr: Tensor) -> dict[str, Tensor]:
        """Step both directions; return the losses, left on the device."""
        generators, judges = self.optimisers
        loss, fake_ct, fake_mr = self.derive(ct, mr)
        generators.step()
        shown_ct = self.pools["ct"].exchange(fake_ct, torch.default_generator)
        shown_mr = self.pools["mr"].exchange(fake_mr, torch.default_generator)
        judged = self.judge(ct, mr, shown_ct, shown_mr)
        judges.step()
        return {"generators": loss, "discriminators": judged}

    def derive(self, ct: Tensor, mr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Derive the gradients of the generators; return their loss, fake_ct and fake_mr."""
        self.optimisers[0].zero_grad()
        with self.frozen_judges():
            with self.autocast():
                loss, fake_ct, fake_mr = self.networks.generator_loss(ct, mr)
            loss.backward()
        return loss.detach(), fake_ct.detach(), fake_mr.detach()

    def judge(self, ct: Tensor, mr: Tensor, shown_ct: Tensor, shown_mr: Tensor) -> Tensor:
        """Derive the gradients of the judges; return their loss."""
        self.optimisers[1].zero_grad()
        with self.autocast():
            judged = self.networks.discriminator_loss(ct, mr, shown_ct, shown_mr)
        judged.backward()
        return judged.detach()


class ResNetGenerator(nn.Sequential):
    """c7s1-64, d128, d256, R256 x 9, u128, u64, c7s1-1 and tanh, in the paper's names."""

    def __init__(self, blocks: int = 9, width: int = 64) -> None:
        super().__init__(
            nn.ReflectionPad2d(3),
            nn.Conv2d(1, width, kernel_size=7),
            *_normed(width),
            nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
            *_normed(2 * width),
            nn.Conv2d(2 * width, 4 * width, kernel_size=3, stride=2, padding=1),
            *_normed(4 * width),
            *(Residual(4 * width) for _ in range(blocks)),
            nn.ConvTranspose2d(4 * width, 2 * width, kernel_size=3, stride=2, padding=1, output_padding=1),
            *_normed(2 * width),
            nn.ConvTranspose2d(2 * width, width, kernel_size=3, stride=2, padding=1, output_padding=1),
            *_normed(width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 1, kernel_size=7),
            nn.Tanh(),
        )


class Residual(nn.Module):
    """x + two convolutions with reflection padding and instance normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, kernel_size=3),
            *_normed(width),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, kernel_size=3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = self.around(features)
        return features + added


class PatchDiscriminator(nn.Sequential):
    """C64, C128, C256, C512 and one score for each patch of 70 x 70 pixels."""

    def __init__(self, width: int = 64) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, width, kernel_size=4, stride=2, padding=1), _leaky()]
        for before, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
            layers += [
                nn.Conv2d(before, 2 * before, kernel_size=4, stride=stride, padding=1),
                nn.InstanceNorm2d(2 * before),
                _leaky(),
            ]
        super().__init__(*layers, nn.Conv2d(8 * width, 1, kernel_size=4, padding=1))


def least_squares(scores: Tensor, target: float) -> Tensor:
    """Average (score - target)^2 over patches."""
    return (scores.float() - target).square().mean()


def _normed(width: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(width), nn.ReLU(inplace=True)]


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)
