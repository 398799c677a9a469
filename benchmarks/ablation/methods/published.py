"""Holds what a step of every published method has: networks, optimisers, pools, precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from medtranslate.model import ImagePool
from medtranslate.training.cuda_graph import Captured

BETAS = (0.5, 0.999)
"""Momenta of Adam, in all three papers."""


class Published(ABC):
    """Networks of a published method, with what a step changes beside their weights.

    On CUDA each part of a step is recorded once and replayed, as ours are.

    Args:
        networks: judges have `judge` in the names of their weights.
        precision: bfloat16 runs the forward passes under autocast.
    """

    def __init__(
        self, networks: nn.Module, device: str, precision: torch.dtype, rate: float, decay: float = 0.0
    ) -> None:
        self.networks = networks
        self.device, self.precision, self.rate = torch.device(device), precision, rate
        cuda = self.device.type == "cuda"
        networks.to(self.device)
        self.pools: dict[str, ImagePool] = {}
        named = list(networks.named_parameters())
        self.judges = [weight for name, weight in named if "judge" in name]
        self.generators = [weight for name, weight in named if "judge" not in name]
        self.optimisers = [
            torch.optim.Adam(part, rate, BETAS, weight_decay=decay, fused=True)
            for part in (self.generators, self.judges)
        ]
        for part in ("derive", "judge") if cuda else ():
            setattr(self, part, Captured(getattr(self, part)))

    @abstractmethod
    def step(self, ct: Tensor, mr: Tensor) -> dict[str, Tensor]:
        """Step both directions on slices [1, 1, S, S]; return the losses, left on the device."""

    def set_rate(self, share: float) -> None:
        """Set the learning rate at a share of the run: constant for half of it, then linear to zero."""
        for group in chain.from_iterable(optimiser.param_groups for optimiser in self.optimisers):
            group["lr"] = self.rate * min(1.0, 2.0 * (1.0 - share))

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision is torch.bfloat16)

    @contextmanager
    def frozen_judges(self) -> Iterator[None]:
        """Let the judges judge for the generators, without derivatives of their own weights."""
        for weight in self.judges:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in self.judges:
                weight.requires_grad_(True)


def draw_weights(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
