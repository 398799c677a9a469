"""One step after the other.

A step draws slices, makes all passes, sums the weighted losses and steps the generators; then it shows the
discriminators real slices and (pooled, detached) translations, and steps them. An exponential moving
average of the generators is what is validated and kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor

from medtranslate.config import TrainSettings
from medtranslate.device import choose_device, choose_precision
from medtranslate.errors import Diverged, SettingsError
from medtranslate.jobs import progress
from medtranslate.losses import LOSSES, Passes, weights
from medtranslate.model import Batch, PassSettings
from medtranslate.training.batches import draw_batch, mean_slices, open_sources
from medtranslate.training.run_folder import (
    State,
    averaged,
    csv_log,
    fresh_state,
    keep,
    prepare,
    restore,
)
from medtranslate.training.validation import validate
from medtranslate.transforms import AugmentedCopyd


def fit(settings: TrainSettings, *, quiet: bool = False) -> dict[str, Any]:
    """Train as the settings say, into the folder `settings.out`.

    The folder holds settings.yaml, log.csv (losses), validation.csv, pictures/, checkpoint.pt (to go
    on from) and model/ (what `--model` takes). It grows while the run lasts, and is what an
    interrupted run leaves.

    Returns:
        The last line of the validation, the folder of the model, and the seconds used.

    Raises:
        OutputExists: the folder holds a run, and neither `resume` nor `overwrite` is set.
        SettingsError: the settings contradict each other, or those of the run that goes on.
        InputRefused: training images are refused.
        Diverged: a loss is no longer finite.
    """
    if not settings.unpaired and settings.loss.anchor == 0:
        raise SettingsError(
            "train: without unpaired images and without the anchor there is nothing to learn from"
        )
    out = settings.out
    prepare(settings)
    fabric = _fabric(settings)
    sources = open_sources(settings, quiet)
    means = mean_slices(settings, sources)
    state = fresh_state(settings, fabric.device)
    if settings.resume:
        restore(settings, state, out / "checkpoint.pt")
    sides = _sides(fabric, state)
    copies = (
        AugmentedCopyd({"ct": "ct", "mr": "mr"}, settings.augment) if settings.augment.copy_each else None
    )
    scores: dict[str, float] = {}
    started = time.monotonic() - state.seconds
    bar = progress(settings.images, "image", "training", quiet=quiet)
    bar.update(state.images)
    with bar, csv_log(out / "log.csv") as log:
        while state.images < settings.images:
            share = state.images / settings.images
            sides.set_rates(settings, share)
            batch = draw_batch(settings, sources, copies, state.generator, fabric.device)
            made, values = _step_generators(settings, sides, state, batch, share)
            values["discriminator"] = _step_discriminators(sides, state, batch, made)
            state.images += settings.batch
            state.seconds = time.monotonic() - started
            _require_finite(values, state.images, out)
            log({"images": state.images, "seconds": round(state.seconds, 1), **values})
            bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()}, refresh=False)
            bar.update(settings.batch)
            if state.images % settings.every < settings.batch or state.images >= settings.images:
                picture = out / "pictures" / f"{state.images:08d}.png"
                scores = validate(settings, averaged(state), sources, picture)
                _require_finite(scores, state.images, out)
                keep(settings, state, means, scores)
    return {
        **scores,
        "model": str(out / "model"),
        "images": state.images,
        "seconds": round(state.seconds, 1),
    }


def decayed(share: float, decay: float) -> float:
    """Factor of the learning rate at a share of the run: one, then linear to zero over the last part."""
    return min(1.0, (1.0 - share) / decay) if decay > 0 else 1.0


@dataclass(frozen=True)
class Sides:
    """The two players as Fabric wraps them."""

    fabric: Fabric
    generators: _FabricModule
    generator_optimiser: _FabricOptimizer
    discriminators: _FabricModule
    discriminator_optimiser: _FabricOptimizer

    def set_rates(self, settings: TrainSettings, share: float) -> None:
        """Learning rates at a share of the run."""
        for optimiser, rate in (
            (self.generator_optimiser, settings.learning_rate),
            (self.discriminator_optimiser, settings.discriminator_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * decayed(share, settings.decay)


def _fabric(settings: TrainSettings) -> Fabric:
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if precision is torch.bfloat16 else "32-true",
    )
    fabric.seed_everything(settings.seed, verbose=False)
    return fabric


def _sides(fabric: Fabric, state: State) -> Sides:
    generators, generator_optimiser = fabric.setup(state.model.generators, state.optimisers["generators"])
    discriminators, discriminator_optimiser = fabric.setup(
        state.model.discriminators, state.optimisers["discriminators"]
    )
    discriminators.mark_forward_method("loss")
    return Sides(fabric, generators, generator_optimiser, discriminators, discriminator_optimiser)


def _step_generators(
    settings: TrainSettings, sides: Sides, state: State, batch: Batch, share: float
) -> tuple[Passes, dict[str, float]]:
    loss = settings.loss
    made: Passes = sides.generators(
        batch, PassSettings(loss.cycle > 0, loss.identity > 0, settings.cycle_noise)
    )
    if settings.unpaired and loss.adversarial > 0:
        with _frozen(state.model.discriminators):
            judged_ct, judged_mr = sides.discriminators(made.fake_ct, made.fake_mr)
        made = replace(made, judged_ct=judged_ct, judged_mr=judged_mr)
    weighted = weights(loss, share)
    terms = {name: LOSSES[name](made).to(sides.fabric.device) for name in weighted}
    total = torch.stack([term * weighted[name] for name, term in terms.items()]).sum()
    sides.generator_optimiser.zero_grad(set_to_none=True)
    sides.fabric.backward(total)
    sides.fabric.clip_gradients(
        sides.generators, sides.generator_optimiser, max_norm=1.0, error_if_nonfinite=False
    )
    sides.generator_optimiser.step()
    state.average.update_parameters(state.model.generators)
    return made, {name: float(term.detach()) for name, term in {**terms, "total": total}.items()}


def _step_discriminators(sides: Sides, state: State, batch: Batch, made: Passes) -> float:
    if made.judged_ct is None or made.fake_ct is None or made.fake_mr is None:
        return 0.0
    shown = {
        name: state.pools[name].exchange(fake, state.generator)
        for name, fake in (("ct", made.fake_ct), ("mr", made.fake_mr))
    }
    loss: Tensor = sides.discriminators.loss(batch.ct, batch.mr, shown["ct"], shown["mr"])
    sides.discriminator_optimiser.zero_grad(set_to_none=True)
    sides.fabric.backward(loss)
    sides.discriminator_optimiser.step()
    return float(loss.detach())


@contextmanager
def _frozen(module: torch.nn.Module) -> Iterator[None]:
    """No gradient of the judges' own weights is computed while they judge for the generators."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def _require_finite(values: Mapping[str, float], images: int, out: Path) -> None:
    broken = [name for name, value in values.items() if not np.isfinite(value)]
    if broken:
        raise Diverged(
            f"{out}: {', '.join(broken)} not finite after {images} images; the last good checkpoint is kept,"
            " resume with a lower --learning-rate or --precision float32"
        )
