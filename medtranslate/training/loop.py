"""The training loop: one step after the other.

A step draws slices, makes all passes, sums the weighted losses and steps the generators; then it shows the
discriminators real slices and (pooled, detached) translations, and steps them. An exponential moving
average of the generators is validated and kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, nullcontext
from math import ceil
from typing import Any

from lightning_fabric import Fabric

from medtranslate.checkpoint import describe, load_model, save_gate
from medtranslate.config import Modality, TrainSettings
from medtranslate.data import Source, open_sources
from medtranslate.errors import SettingsError
from medtranslate.gate.fit import Trained, fit_gates
from medtranslate.networks import MODALITIES
from medtranslate.runtime import progress, stop_requests, warn
from medtranslate.training.anatomy import require_no_heads
from medtranslate.training.batches import batches, mean_slices, seeds
from medtranslate.training.distributed import any_process, open_fabric, placed, together
from medtranslate.training.journal import journal, require_tensorboard
from medtranslate.training.keep import BEST, require_keepable
from medtranslate.training.resume import read_checkpoint, restore
from medtranslate.training.run import Run, warn_by_name
from medtranslate.training.run_folder import begin, go_on, hold, require_vacant
from medtranslate.training.start import read_start, start_from
from medtranslate.training.state import State, fresh_state
from medtranslate.training.step import sides, train_step

EARLY = 8
"""The first pictures come after this part of the images between validations."""

LOGGED_STEPS = 8
"""Steps whose losses are fetched from the device together."""


def fit(settings: TrainSettings, *, quiet: bool = False) -> dict[str, Any]:
    """Train by the settings, into the folder `settings.out`.

    The folder holds settings.yaml, data.json (the images read), log.csv (losses), validation.csv,
    latent.csv, report.html, pictures/, checkpoint.pt (to go on from), model/ and kept/ (models). It is put in
    place when the images have been read, and grows while the run lasts. Signs of failure are printed on
    stderr when they are first met.

    With several devices or nodes the command that called this is started again for each (or torchrun has
    done so); the first of these processes writes and prints.

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
    """Do the work of `fit`; the first process locks the folder until `held` is closed."""
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
        warn_by_name(state.warnings)
    data = {"warnings": opened.warnings, **opened.record}
    if saved is not None:
        restore(settings, state, saved, fabric)
        if fabric.is_global_zero:
            go_on(settings, state, data)
            fresh = {name: text for name, text in state.warnings.items() if name not in saved["warnings"]}
            warn_by_name(fresh)
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
    players, per_step = sides(fabric, state, settings), settings.batch * fabric.world_size
    steps = range(state.images // per_step, ceil(settings.images / per_step))
    started = time.monotonic() - state.seconds
    bar = progress(settings.images, "image", "training", done=state.images, quiet=quiet)
    writes = journal(settings, state.images, state.warnings) if fabric.is_global_zero else nullcontext()
    drawn = batches(settings, sources, steps, fabric.global_rank, fabric.device)
    # Closed even where an error is kept: processes that draw ahead would keep this one from ending.
    with bar, writes as notes, stop_requests() as stop_is_asked, closing(drawn) as given:
        run = Run(settings, fabric, state, sources, notes, bar)
        if state.images == 0 and state.parent is not None:
            run.draw()
        for step, batch in zip(steps, given, strict=True):
            random = seeds(settings.seed, step, fabric.global_rank)
            losses = train_step(settings, players, state, batch, random, state.images / settings.images)
            state.images += per_step
            state.seconds = time.monotonic() - started
            run.queued.append((state.images, state.seconds, losses))
            early = state.images - per_step < settings.every // EARLY <= state.images
            bar.update(min(per_step, settings.images - bar.n))
            due = state.images % settings.every < per_step or step == steps[-1]
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


def _require_sense(settings: TrainSettings) -> None:
    if not settings.unpaired and not settings.loss.needs_truth:
        raise SettingsError(
            "train: without unpaired images and without the anchor there is nothing to learn from"
        )
    if settings.unpaired and settings.only:
        raise SettingsError(
            f"train: only is {settings.only}, but unpaired images teach both translations at once; give"
            " --no-unpaired too, or leave --only out"
        )
    if settings.unpaired and settings.augment.copy_each and settings.batch % 2:
        raise SettingsError(
            f"train: batch is {settings.batch}, but holds each slice as it is and augmented; make it even,"
            " or give --augment.no-copy-each"
        )
    if settings.unpaired and settings.network.told and settings.network.seen != settings.network.told:
        raise SettingsError(
            "train: network.told needs the contrast of unpaired MR, which network.seen estimates; give"
            f" --network.seen {settings.network.told}, --no-unpaired, or --network.told 0"
        )
    if settings.loss.contrast and not settings.network.seen:
        raise SettingsError(
            "train: loss.contrast is the error of what the generator of CT sees; give --network.seen 7, or"
            " --loss.contrast 0"
        )
    if settings.loss.limit and not settings.network.limits:
        raise SettingsError(
            "train: loss.limit teaches error limits, which this network does not estimate; give"
            " --network.limits, or --loss.limit 0"
        )
    require_keepable(settings)
    require_no_heads(settings)
    if settings.tensorboard:
        require_tensorboard()
