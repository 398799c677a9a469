"""The state of a run: everything that changes while it trains."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from medtranslate.checkpoint import Parent
from medtranslate.config import Modality, TrainSettings
from medtranslate.model import Generators, ImagePool, VAECycleGAN
from medtranslate.training.diagnostics import WINDOW


@dataclass
class State:
    """Everything that changes while training; a checkpoint holds it.

    Attributes:
        average: exponential moving average of the generators.
        means: mean framed training slice of each modality.
        digests: of the images by their source, in their order.
        judged: the discriminators' losses of the last steps.
        scores: of the last validation.
        warnings: signs of failure met so far, and changes of the settings, by name.
        parent, notice: the model that the run started from, and its terms; None and empty for noise.
        best: score, rank and images of the best model so far; empty where none is kept.
    """

    model: VAECycleGAN
    average: Generators
    optimisers: dict[str, torch.optim.Optimizer]
    pools: dict[str, ImagePool]
    device: torch.device
    means: dict[Modality, Tensor]
    digests: Mapping[str, Sequence[str]] = field(default_factory=dict)
    judged: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    scores: dict[str, float] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    parent: Parent | None = None
    notice: str = ""
    best: dict[str, Any] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0


def fresh_state(
    settings: TrainSettings,
    means: dict[Modality, Tensor],
    device: torch.device,
    digests: Mapping[str, Sequence[str]],
) -> State:
    """Make the state before the first step."""
    model = VAECycleGAN(settings.network).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return State(
        model=model,
        average=deepcopy(model.generators).requires_grad_(False),
        optimisers={
            name: torch.optim.AdamW(
                side.parameters(), lr=rate, betas=(0.5, 0.99), weight_decay=1e-4, fused=True
            )
            for name, side, rate in (
                ("generators", model.generators, settings.learning_rate),
                ("discriminators", model.discriminators, settings.discriminator_rate),
            )
        },
        pools={"ct": ImagePool(settings.pool), "mr": ImagePool(settings.pool)},
        device=device,
        means=means,
        digests=digests,
    )
