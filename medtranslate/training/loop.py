"""One step after the other.

A step draws slices, makes all passes, sums the weighted losses and steps the generators; then it shows the
discriminators real slices and (pooled, detached) translations, and steps them. An exponential moving
average of the generators is what is validated and kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Never

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor
from tqdm import tqdm

from medtranslate.config import TrainSettings
from medtranslate.data import Source, open_sources
from medtranslate.device import choose_device, choose_precision
from medtranslate.errors import Diverged, Interrupted, SettingsError
from medtranslate.jobs import one_line, progress, stop_requests, warn
from medtranslate.losses import LOSSES, Passes, weights
from medtranslate.model import Batch, PassSettings
from medtranslate.training.batches import draw_batch, mean_slices
from medtranslate.training.journal import Journal, journal, require_tensorboard
from medtranslate.training.run_folder import (
    State,
    averaged,
    begin,
    fresh_state,
    keep_checkpoint,
    keep_model,
    read_checkpoint,
    require_vacant,
    restore,
)
from medtranslate.training.signs import signs
from medtranslate.training.validation import validate
from medtranslate.transforms import AugmentedCopyd


def fit(settings: TrainSettings, *, quiet: bool = False) -> dict[str, Any]:
    """Train as the settings say, into the folder `settings.out`.

    The folder holds settings.yaml, data.json (what was read), log.csv (losses), validation.csv,
    pictures/, checkpoint.pt (to go on from) and model/ (what `--model` takes). It is put in place when
    the images have been read, and grows while the run lasts. Signs of failure are printed on stderr when
    they are first met.

    Returns:
        The scores of the last validation, the folder of the model, images and seconds, warnings.

    Raises:
        OutputExists: the folder holds a run, and neither `resume` nor `overwrite` is set.
        SettingsError: the settings contradict each other, or those of the run that goes on.
        Unreadable: the checkpoint is not one of this version.
        InputRefused: training images are refused.
        Diverged: a loss or a weight is no longer finite.
        Interrupted: Ctrl-C or SIGTERM came; the last step is kept in the checkpoint.
    """
    _require_sense(settings)
    saved = read_checkpoint(settings) if settings.resume else None
    if saved is None:
        require_vacant(settings)
    fabric = _fabric(settings)
    opened = open_sources(settings, quiet=quiet)
    warn(opened.warnings)
    sources = opened.sources
    state = fresh_state(settings, mean_slices(settings, sources), fabric.device)
    data = {"warnings": opened.warnings, **opened.record}
    if saved is None:
        begin(settings, state, data)
    else:
        restore(settings, state, data, saved)
        _warn({name: text for name, text in state.warnings.items() if name not in saved["warnings"]})
    sides = _sides(fabric, state)
    copies = (
        AugmentedCopyd({"ct": "ct", "mr": "mr"}, settings.augment) if settings.augment.copy_each else None
    )
    started = time.monotonic() - state.seconds
    bar = progress(settings.images, "image", "training", done=state.images, quiet=quiet)
    with bar, journal(settings, state.images) as notes, stop_requests() as stop_is_asked:
        while state.images < settings.images:
            share = state.images / settings.images
            sides.set_rates(settings, share)
            batch = draw_batch(settings, sources, copies, state.generator, fabric.device)
            made, values = _step_generators(settings, sides, state, batch, share)
            values |= _step_discriminators(sides, state, batch, made)
            state.images += settings.batch
            state.seconds = time.monotonic() - started
            _require_finite(values, state.images, settings.out)
            notes.write_step(state.images, state.seconds, values)
            bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()}, refresh=False)
            bar.update(settings.batch)
            due = state.images % settings.every < settings.batch or state.images >= settings.images
            if due:
                _validate(settings, state, sources, notes)
            if stop_is_asked() and state.images < settings.images:
                _stop(settings, state, kept=due)
    return {
        **state.scores,
        "model": str(settings.out / "model"),
        "images": state.images,
        "seconds": round(state.seconds, 1),
        "warnings": [*opened.warnings, *state.warnings.values()],
    }


def _require_sense(settings: TrainSettings) -> None:
    if not settings.unpaired and settings.loss.anchor == 0:
        raise SettingsError(
            "train: without unpaired images and without the anchor there is nothing to learn from"
        )
    if settings.unpaired and settings.augment.copy_each and settings.batch % 2:
        raise SettingsError(
            f"train: batch is {settings.batch}, but holds each slice as it is and augmented; make it even,"
            " or give --augment.no-copy-each"
        )
    if settings.tensorboard:
        require_tensorboard()


def _validate(settings: TrainSettings, state: State, sources: dict[str, Source], notes: Journal) -> None:
    """Score, keep the model and the state, and say which signs of failure are new."""
    scores, sheet = validate(settings, averaged(state), sources)
    if state.judged:
        scores["discriminator"] = fmean(state.judged)
    _require_finite(scores, state.images, settings.out)
    _require_finite_weights(settings, state)
    found = signs(scores, settings.network.latent_channels)
    fresh = {name: text for name, text in found.items() if name not in state.warnings}
    state.scores = scores
    state.warnings |= {name: f"after {state.images} images {text}" for name, text in fresh.items()}
    _warn({name: state.warnings[name] for name in fresh})
    notes.write_validation(state.images, state.seconds, scores, " ".join(found), sheet)
    keep_model(settings, state)
    keep_checkpoint(settings, state)


def _stop(settings: TrainSettings, state: State, *, kept: bool) -> Never:
    if not kept:
        _require_finite_weights(settings, state)
        keep_checkpoint(settings, state)
    raise Interrupted(
        f"{settings.out}: interrupted after {state.images} of {settings.images} images, and kept;"
        " give the same command with --resume to go on"
    )


def _warn(warnings: Mapping[str, str]) -> None:
    for name, text in warnings.items():
        tqdm.write(f"warning: {name}: {one_line(text)}", file=sys.stderr)


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
    logged = {**terms, "total": total}
    sides.generator_optimiser.zero_grad(set_to_none=True)
    sides.fabric.backward(total)
    sides.fabric.clip_gradients(
        sides.generators, sides.generator_optimiser, max_norm=1.0, error_if_nonfinite=False
    )
    sides.generator_optimiser.step()
    state.average.update_parameters(state.model.generators)
    # One transfer, not one for each term: a device works on while nobody waits for it.
    values = torch.stack(list(logged.values())).tolist()
    return made, dict(zip(logged, values, strict=True))


def _step_discriminators(sides: Sides, state: State, batch: Batch, made: Passes) -> dict[str, float]:
    """Their loss; nothing where no discriminator takes part."""
    if made.judged_ct is None or made.fake_ct is None or made.fake_mr is None:
        return {}
    shown = {
        name: state.pools[name].exchange(fake, state.generator)
        for name, fake in (("ct", made.fake_ct), ("mr", made.fake_mr))
    }
    loss: Tensor = sides.discriminators.loss(batch.ct, batch.mr, shown["ct"], shown["mr"])
    sides.discriminator_optimiser.zero_grad(set_to_none=True)
    sides.fabric.backward(loss)
    sides.discriminator_optimiser.step()
    state.judged.append(float(loss.detach()))
    return {"discriminator": state.judged[-1]}


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
            " go on from it with --resume and a lower --learning-rate, or --precision float32"
        )


def _require_finite_weights(settings: TrainSettings, state: State) -> None:
    """A step can break weights though its losses were finite; such weights are never kept."""
    largest = torch.stack([weight.detach().abs().max() for weight in state.model.parameters()]).max()
    _require_finite({"weights": float(largest)}, state.images, settings.out)
