"""One step: the generators on all terms of their objective, then the discriminators.

Nothing in it waits for the device: losses stay there until the loop fetches those of several steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from medtranslate.config import ScaleSettings, TrainSettings
from medtranslate.losses import LOSSES, Passes, weights
from medtranslate.modality import OTHER
from medtranslate.model import Batch, PassSettings
from medtranslate.training.batches import Seeds
from medtranslate.training.cuda_graph import Captured
from medtranslate.training.state import State
from medtranslate.transforms import scale_ct


@dataclass(frozen=True)
class Sides:
    """The two players, as Fabric wraps them.

    Attributes:
        derive: parts of a batch (`_parts`) and the weight of each term, to fake_ct, fake_mr (None where
            nobody judges) and the terms with their weighted sum; leaves the generators' gradients.
        judge: real_ct, real_mr and fakes, to the discriminators' loss; leaves their gradients.
    """

    fabric: Fabric
    generators: _FabricModule
    generator_optimiser: _FabricOptimizer
    discriminator_optimiser: _FabricOptimizer
    derive: Callable[..., tuple[Tensor | None, Tensor | None, Tensor]]
    judge: Callable[..., Tensor]

    def set_rates(self, settings: TrainSettings, share: float) -> None:
        """Set the learning rates at a share of the run."""
        for optimiser, rate in (
            (self.generator_optimiser, settings.learning_rate),
            (self.discriminator_optimiser, settings.discriminator_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * decayed(share, settings.decay)


def sides(fabric: Fabric, state: State, settings: TrainSettings) -> Sides:
    """Wrap the players for the processes that train them."""
    if settings.only:
        # DDP would wait for the gradients of what no pass goes through.
        getattr(state.model.generators, f"to_{OTHER[settings.only]}").requires_grad_(False)
    generators, generator_optimiser = fabric.setup(state.model.generators, state.optimisers["generators"])
    discriminators, discriminator_optimiser = fabric.setup(
        state.model.discriminators, state.optimisers["discriminators"]
    )
    discriminators.mark_forward_method("loss")
    loss = settings.loss
    shown = _picture_ends(settings.scale)
    asked = PassSettings(loss.cycle > 0, loss.identity > 0, settings.cycle_noise, shown, settings.only)

    def derive(*given: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor]:
        *parts, weight = given
        generator_optimiser.zero_grad(set_to_none=True)
        passes: Passes = generators(Batch(*parts), asked)
        if settings.unpaired and loss.adversarial > 0:
            # Not through the wrapper: DDP would wait for gradients of judges that get none here.
            with _frozen(state.model.discriminators), fabric.autocast():
                judged_ct, judged_mr = state.model.discriminators(passes.fake_ct, passes.fake_mr)
            passes = replace(passes, judged_ct=judged_ct, judged_mr=judged_mr)
        with fabric.device:  # where a term without passes makes its zero: recording takes none from the host
            terms = torch.stack([LOSSES[name](passes) for name in weights(loss, 1.0)])
        total = (terms * weight).sum()
        fabric.backward(total)
        terms = torch.hstack([terms, total]).detach()
        if passes.fake_ct is None or passes.fake_mr is None or passes.judged_ct is None:
            return None, None, terms
        return passes.fake_ct.detach(), passes.fake_mr.detach(), terms

    def judge(*given: Tensor) -> Tensor:
        discriminator_optimiser.zero_grad(set_to_none=True)
        judged: Tensor = discriminators.loss(*given)
        fabric.backward(judged)
        return judged.detach()

    one_gpu = fabric.device.type == "cuda" and fabric.world_size == 1
    captured = settings.capture and one_gpu
    return Sides(
        fabric,
        generators,
        generator_optimiser,
        discriminator_optimiser,
        Captured(derive) if captured else derive,
        Captured(judge) if captured else judge,
    )


def train_step(
    settings: TrainSettings, players: Sides, state: State, batch: Batch, random: Seeds, share: float
) -> dict[str, Tensor]:
    """Step both sides and return the terms of the objective, on the device.

    Args:
        share: of the run that lies behind this step.
    """
    torch.manual_seed(random.passed)
    players.set_rates(settings, share)
    weighted = weights(settings.loss, share)
    weight = torch.tensor(list(weighted.values())).to(players.fabric.device, non_blocking=True)
    fake_ct, fake_mr, terms = players.derive(*_parts(batch), weight)
    _step_generators(settings, players, state)
    losses = dict(zip((*weighted, "total"), terms.clone(), strict=True))
    if fake_ct is not None and fake_mr is not None:
        generator = torch.Generator().manual_seed(random.pooled)
        fakes = [
            state.pools[name].exchange(fake, generator) for name, fake in (("ct", fake_ct), ("mr", fake_mr))
        ]
        losses["discriminator"] = players.judge(batch.ct, batch.mr, *fakes).clone()
        players.discriminator_optimiser.step()
    return losses


def decayed(share: float, decay: float) -> float:
    """Compute the factor of the learning rate: one, then linear to zero over the last part of the run."""
    return min(1.0, (1.0 - share) / decay) if decay > 0 else 1.0


def average_decay(step: int, ema: float) -> float:
    """Compute the decay of the moving average after a step, counted from 0.

    It grows as (1 + n) / (10 + n) up to its setting, as in TensorFlow's ExponentialMovingAverage. Else the
    average of a short run would half consist of the weights that it began with.
    """
    return min(ema, (1 + step) / (10 + step))


def _picture_ends(scale: ScaleSettings) -> tuple[float, float] | None:
    """Find where a picture saturates in [-1, 1], if pictures show less than the scale."""
    if scale.ct_picture is None:
        return None
    low, high = scale_ct(torch.tensor(scale.ct_picture), scale.ct_curve).tolist()
    return low, high


def _parts(batch: Batch) -> tuple[Tensor | None, ...]:
    return tuple(getattr(batch, part.name) for part in fields(batch))


def _step_generators(settings: TrainSettings, players: Sides, state: State) -> None:
    fabric = players.fabric
    fabric.clip_gradients(
        players.generators, players.generator_optimiser, max_norm=1.0, error_if_nonfinite=False
    )
    players.generator_optimiser.step()
    step = state.images // (settings.batch * fabric.world_size)
    get_ema_multi_avg_fn(average_decay(step, settings.ema))(
        tuple(state.average.parameters()), tuple(state.model.generators.parameters()), 0
    )


@contextmanager
def _frozen(module: torch.nn.Module) -> Iterator[None]:
    """Compute no gradient of the discriminators' own weights while they judge for the generators."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
