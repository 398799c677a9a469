"""One step after the other.

A step draws slices, makes all passes, sums the weighted losses and steps the generators; then it shows the
discriminators real slices and (pooled, detached) translations, and steps them. An exponential moving
average of the generators is what is validated and kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any, Never

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from medtranslate.checkpoint import describe, load_model, save_gate
from medtranslate.config import Modality, TrainSettings
from medtranslate.data import Source, open_sources
from medtranslate.errors import Diverged, Interrupted, SettingsError
from medtranslate.gate.fit import Trained, fit_gates
from medtranslate.networks import MODALITIES
from medtranslate.runtime import one_line, progress, stop_requests, warn
from medtranslate.training.anatomy import require_no_heads
from medtranslate.training.batches import batches, mean_slices, seeds
from medtranslate.training.diagnostics import PASSING, signs
from medtranslate.training.distributed import any_process, open_fabric, placed, together
from medtranslate.training.journal import Journal, journal, require_tensorboard
from medtranslate.training.keep import BEST, keep_models, require_keepable
from medtranslate.training.resume import keep_checkpoint, read_checkpoint, restore
from medtranslate.training.run_folder import begin, go_on, hold, keep_model, require_vacant
from medtranslate.training.start import read_start, start_from
from medtranslate.training.state import State, fresh_state
from medtranslate.training.step import sides, train_step
from medtranslate.training.validation import validate

EARLY = 8
"""The first pictures come after this part of the images between validations."""

LOGGED_STEPS = 8
"""Steps whose losses are fetched from the device together."""


def fit(settings: TrainSettings, *, quiet: bool = False) -> dict[str, Any]:
    """Train as the settings say, into the folder `settings.out`.

    The folder holds settings.yaml, data.json (what was read), log.csv (losses), validation.csv,
    latent.csv, pictures/, checkpoint.pt (to go on from) and model/ (what `--model` takes). It is put in
    place when the images have been read, and grows while the run lasts. Signs of failure are printed on
    stderr when they are first met.

    With several devices or nodes the command that called this is started again for each (or torchrun has
    done so); the first of these processes writes and speaks.

    Returns:
        The scores of the last validation, the folder of the model, images and seconds, warnings; nothing in
        processes beside the first.

    Raises:
        OutputExists: the folder holds a run, and neither `resume` nor `overwrite` is set.
        SettingsError: the settings contradict each other, or those of the run that goes on.
        Unreadable: the checkpoint is not one of this version.
        InputRefused: training images are refused.
        Diverged: a loss or a weight is no longer finite.
        Interrupted: Ctrl-C or SIGTERM came; the last step is kept in the checkpoint.
        RunFailed: a device is not there, or another process was lost.
    """
    _require_sense(settings)
    settings = placed(settings)
    with ExitStack() as held:
        return _fit(settings, held, quiet)


def _fit(settings: TrainSettings, held: ExitStack, quiet: bool) -> dict[str, Any]:
    """`fit`; the folder is locked until `held` is closed, by the first process."""
    fabric = open_fabric(settings)
    quiet = quiet or not fabric.is_global_zero
    if fabric.is_global_zero:
        hold(settings, held)
    saved = read_checkpoint(settings) if settings.resume else None
    if saved is None and fabric.is_global_zero:
        require_vacant(settings)
    start = read_start(settings) if saved is None else None
    fabric.launch()
    with fabric.rank_zero_first() if settings.cache else nullcontext():
        opened = open_sources(settings, quiet=quiet)
    state = fresh_state(settings, mean_slices(settings, opened.sources), fabric.device, opened.digests)
    if start is not None:
        start_from(state, start)
    if fabric.is_global_zero:
        warn(opened.warnings)
        _warn(state.warnings)
    data = {"warnings": opened.warnings, **opened.record}
    if saved is not None:
        restore(settings, state, saved, fabric)
        if fabric.is_global_zero:
            go_on(settings, state, data)
            _warn({name: text for name, text in state.warnings.items() if name not in saved["warnings"]})
    elif fabric.is_global_zero:
        begin(settings, state, data, held)
    with together(fabric):
        fabric.barrier()
        _train(settings, fabric, state, opened.sources, quiet)
    if not fabric.is_global_zero:
        return {}
    _keep_gates(settings, state, opened.sources, quiet)
    return {
        **state.scores,
        "model": str(settings.out / "model"),
        **({"best": str(settings.out / BEST)} if settings.keep_best else {}),
        "images": state.images,
        "seconds": round(state.seconds, 1),
        "warnings": [*opened.warnings, *state.warnings.values()],
    }


def _train(
    settings: TrainSettings, fabric: Fabric, state: State, sources: Mapping[str, Source], quiet: bool
) -> None:
    players, shown = sides(fabric, state, settings), settings.batch * fabric.world_size
    steps = range(state.images // shown, ceil(settings.images / shown))
    started = time.monotonic() - state.seconds
    bar = progress(settings.images, "image", "training", done=state.images, quiet=quiet)
    writes = journal(settings, state.images) if fabric.is_global_zero else nullcontext()
    drawn = batches(settings, sources, steps, fabric.global_rank, fabric.device)
    # Closed even where an error is kept: processes that draw ahead would keep this one from ending.
    with bar, writes as notes, stop_requests() as stop_is_asked, closing(drawn) as given:
        run = Run(settings, fabric, state, sources, notes, bar)
        if state.images == 0 and state.parent is not None:
            run.draw()
        for step, batch in zip(steps, given, strict=True):
            random = seeds(settings.seed, step, fabric.global_rank)
            losses = train_step(settings, players, state, batch, random, state.images / settings.images)
            state.images += shown
            state.seconds = time.monotonic() - started
            run.queued.append((state.images, state.seconds, losses))
            early = state.images - shown < settings.every // EARLY <= state.images
            bar.update(min(shown, settings.images - bar.n))
            due = state.images % settings.every < shown or step == steps[-1]
            # Several processes can't ask each other at every step without waiting at every step.
            agreed = due or len(run.queued) == LOGGED_STEPS
            stop = (
                stop_is_asked() if fabric.world_size == 1 else agreed and any_process(fabric, stop_is_asked())
            )
            if agreed or stop:
                run.write_losses()
            if due:
                run.validate()
            elif early:
                run.draw()
            if stop and step != steps[-1]:
                run.stop(kept=due)


def _keep_gates(settings: TrainSettings, state: State, sources: Mapping[str, Source], quiet: bool) -> None:
    """Give an input gate to the last model and to the best one, where they have none yet."""
    out = settings.out
    folders = [folder for folder in (out / "model", out / BEST) if (folder / "model.json").is_file()]
    without = {folder: known.sha256 for folder in folders if not (known := describe(folder)).gate}
    if not settings.gate or not without:
        return
    weights = {
        digest: load_model(str(folder), state.device).generators
        for digest, folder in {digest: folder for folder, digest in without.items()}.items()
    }
    given: dict[Modality, Source] = {which: sources[which] for which in MODALITIES if which in sources}
    gates = fit_gates(
        Trained(given, settings.network, settings.scale, settings.anatomy),
        list(weights.values()),
        steps=settings.gate,
        seed=settings.seed,
        quiet=quiet,
    )
    by_digest = dict(zip(weights, gates, strict=True))
    for folder, digest in without.items():
        save_gate(folder, by_digest[digest])


@dataclass(frozen=True)
class Run:
    """What the loop keeps at hand beside the state.

    Attributes:
        notes: None in every process but the first.
        queued: images seen, seconds and losses of the steps that are not written yet.
    """

    settings: TrainSettings
    fabric: Fabric
    state: State
    sources: Mapping[str, Source]
    notes: Journal | None
    bar: tqdm[Never]
    queued: list[tuple[int, float, dict[str, Tensor]]] = field(default_factory=list)

    def write_losses(self) -> None:
        """Fetch the queued losses in one transfer, for a device works on while nobody waits for it."""
        table = torch.stack([torch.stack(list(losses.values())) for *_, losses in self.queued]).tolist()
        for (images, seconds, losses), values in zip(self.queued, table, strict=True):
            row = dict(zip(losses, values, strict=True))
            if not np.isfinite(values).all():
                break
            if "discriminator" in row:
                self.state.judged.append(row["discriminator"])
            if self.notes:
                self.notes.write_step(images, seconds, row)
            self.bar.set_postfix({name: f"{value:.3f}" for name, value in row.items()}, refresh=False)
        self.require_finite(row, images)
        self.queued.clear()

    def validate(self) -> None:
        """Score, keep the model and the state, and say which signs of failure are new."""
        settings, state = self.settings, self.state
        self.require_finite_weights()
        if self.notes:
            seen = validate(settings, state.average, self.sources)
            scores = dict(seen.scores)
            if state.judged:
                scores["discriminator"] = fmean(state.judged)
            require_finite(scores, state.images, settings.out)
            found = signs(scores, settings.network.latent_channels, state.images / settings.images)
            fresh = {name: text for name, text in found.items() if name not in state.warnings}
            state.scores = scores
            for name in state.warnings.keys() - found.keys():
                if name.startswith(PASSING):
                    del state.warnings[name]
            state.warnings |= {name: f"after {state.images} images {text}" for name, text in fresh.items()}
            _warn({name: state.warnings[name] for name in fresh})
            self.notes.write_validation(state.images, state.seconds, scores, " ".join(found), seen)
            keep_model(settings, state)
            shown = settings.batch * self.fabric.world_size
            keep_models(settings, state, scores, shown, doubtful=bool(found))
        keep_checkpoint(settings, state, self.fabric)

    def draw(self) -> None:
        """Draw the pictures of a validation alone, which keeps nothing and warns of nothing."""
        self.require_finite_weights()
        if self.notes:
            seen = validate(self.settings, self.state.average, self.sources)
            require_finite(seen.scores, self.state.images, self.settings.out)
            self.notes.write_picture(self.state.images, seen)

    def stop(self, *, kept: bool) -> Never:
        """End a run that was asked to."""
        if not kept:
            self.require_finite_weights()
            keep_checkpoint(self.settings, self.state, self.fabric)
        raise Interrupted(
            f"{self.settings.out}: interrupted after {self.state.images} of {self.settings.images} images,"
            " and kept; give the same command with --resume to go on"
        )

    def require_finite(self, values: Mapping[str, float], images: int) -> None:
        """Agree on it with the other processes, for a loss of one may not be finite where theirs are."""
        broken = any(not np.isfinite(value) for value in values.values())
        if any_process(self.fabric, broken):
            require_finite(
                values if broken else {"loss of another process": np.nan}, images, self.settings.out
            )

    def require_finite_weights(self) -> None:
        """Refuse weights that are not finite: a step can break them though its losses were finite."""
        largest = torch.stack([weight.detach().abs().max() for weight in self.state.model.parameters()]).max()
        self.require_finite({"weights": float(largest)}, self.state.images)


def require_finite(values: Mapping[str, float], images: int, out: Path) -> None:
    """Refuse to go on with broken numbers.

    Raises:
        Diverged: a value is not finite.
    """
    broken = [name for name, value in values.items() if not np.isfinite(value)]
    if broken:
        raise Diverged(
            f"{out}: {', '.join(broken)} not finite after {images} images; the last good checkpoint is kept,"
            " go on from it with --resume and a lower --learning-rate, or --precision float32"
        )


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
    require_keepable(settings)
    require_no_heads(settings)
    if settings.tensorboard:
        require_tensorboard()


def _warn(warnings: Mapping[str, str]) -> None:
    for name, text in warnings.items():
        tqdm.write(f"warning: {name}: {one_line(text)}", file=sys.stderr)
