"""Translates volumes slice by slice.

    volume --axial layout--> normalise --frame--> generator --frame back--> target scale --layout back-->

Memory holds the source and the output, and the translations from its other sides. While the network works
on a batch of slices, others are framed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.gate import judge, look
from medtranslate.io import Volume
from medtranslate.io.layout import to_axial
from medtranslate.metrics.window_tells import seems_other
from medtranslate.modality import OTHER
from medtranslate.networks import Generated
from medtranslate.records import NO_HEAD, OTHER_WINDOW, SYNTHETIC, WINDOWED, Translation
from medtranslate.runtime import staged
from medtranslate.translation.air import Outline, examine, find_outline, settle
from medtranslate.translation.contrast import LOOKED_AT, seen_contrast
from medtranslate.translation.framed import Floats, Framed, Places, frame
from medtranslate.translation.passes import Parts, batches, slices_per_pass
from medtranslate.translation.sides import agree, air_and_bone, has_sides, sides
from medtranslate.translation.uncertainty import finish_map, uncertain

JUDGED = 32
"""Most slices of a volume for the input gate, spread over those that are not empty."""


@dataclass(frozen=True)
class Translated:
    """Translation in memory; its volumes have the source's grid and array layout.

    Attributes:
        framed: the source with its frame.
        volume: the posterior mean's translation, in HU or the model's MR range (a picture: grey values
            0 to 255).
        uncertainty: in the same unit: error limit inside the head, or standard deviation of the posterior's
            samples if these are not calibrated; None if neither was asked for.
        record: of the translation.
    """

    framed: Framed
    volume: Volume
    uncertainty: Volume | None
    record: Translation

    @property
    def source(self) -> Volume:
        """Source of the translation."""
        return self.framed.source


def translate_volume(
    source: Volume,
    model: Model,
    to: Modality,
    batch: int | None = None,
    *,
    advance: Callable[[int], object] = lambda slices: None,
) -> tuple[Volume, Translation]:
    """Translate a volume by the posterior mean: `sample_volume` without samples."""
    done = sample_volume(source, model, to, batch, advance=advance)
    return done.volume, done.record


def sample_volume(
    source: Volume,
    model: Model,
    to: Modality,
    batch: int | None = None,
    *,
    samples: int = 0,
    seed: int = 0,
    limits: bool = False,
    advance: Callable[[int], object] = lambda slices: None,
) -> Translated:
    """Translate a volume by the posterior mean, with its uncertainty on request.

    Empty axial slices stay air (CT: the window's lower end; MR: zero of its range). If the model
    is of heads, voxels outside the source's head become air (`air`), with a deviation of zero.

    Args:
        source: in physical units. If it is far from the patient's axes, it is resampled along them for the
            network, and the translation is resampled back (`io.layout.upright`).
        batch: slices per pass (default: `slices_per_pass`).
        samples: draws of the posterior, 0 or at least 2.
        seed: of the draws; the same seed gives the same result, whatever the batch and the device.
        limits: without samples, map the error limits that the model estimates, if it does (`network.limits`).
        advance: called with the number of slices that are done.

    Raises:
        InputRefused: no head is found.
    """
    seen = frame(source, OTHER[to], model)
    (made,) = translate_framed(
        [seen], model, to, batch, samples=samples, seed=seed, limits=limits, advance=advance
    )
    return made


def translate_framed(
    volumes: Sequence[Framed],
    model: Model,
    to: Modality,
    batch: int | None = None,
    *,
    samples: int = 0,
    seed: int = 0,
    limits: bool = False,
    advance: Callable[[int], object] = lambda slices: None,
) -> list[Translated]:
    """Translate several volumes as `sample_volume` does one; small ones, such as pictures, share passes."""
    started = time.monotonic()
    network, generator = model.description.network, model.translator(to)
    device = next(generator.parameters()).device
    turned = [sides(seen, model) for seen in volumes]
    views = [*volumes, *chain(*turned)]
    made = [view.blank() for view in views]
    turns = batches([view.shown for view in views], batch or slices_per_pass(network, device))

    @torch.inference_mode()  # which torch keeps for each thread
    def show(parts: Parts) -> tuple[Parts, Tensor]:
        seen = (views[index].framed(places, network.size, network.neighbours) for index, places in parts)
        return parts, torch.cat([*seen])

    def pass_through(shown: tuple[Parts, Tensor]) -> tuple[Parts, Tensor]:
        parts, slices = shown[0], shown[1].to(device)
        sizes, given = [len(places) for _, places in parts], generator(slices)
        for (index, places), own, image in zip(parts, given.split(sizes), slices.split(sizes), strict=True):
            if index < len(begun):  # the others are sides
                begun[index].measure(places, image, own)
        return parts, given.image.cpu()

    @torch.inference_mode()
    def put_back(passed: tuple[Parts, Tensor]) -> int:
        parts, images = passed
        sizes = [len(places) for _, places in parts]
        for (index, places), image in zip(parts, images.split(sizes), strict=True):
            made[index][places, *views[index].box] = views[index].unframed(image)
        return len(images)

    fast = torch.autocast(device.type, model.precision, enabled=model.precision is not torch.float32)
    with ThreadPoolExecutor(1, "beside") as beside:
        task = _Task(model, to, samples, seed, mapped=samples > 0 or (limits and network.limits))
        begun = [_begin(task, seen, beside) for seen in volumes]
        with torch.inference_mode(), fast, closing(staged(turns, show, pass_through, put_back)) as passes:
            for done in passes:
                advance(done)
    seconds, others = (time.monotonic() - started) / len(volumes), iter(made[len(volumes) :])
    around = [[(side, next(others)) for side in found] for found in turned]
    return [_finish(*each, seconds) for each in zip(begun, made, around, strict=False)]


@dataclass(frozen=True)
class _Task:
    """What is asked of volumes that share passes; `mapped` if their uncertainty is."""

    model: Model
    to: Modality
    samples: int
    seed: int
    mapped: bool


@dataclass(frozen=True)
class _Progress:
    """Measures of one volume, taken during the passes.

    Attributes:
        spread: standard deviations [Z, Y, X] of the samples, or the network's limits; None without either.
        judged: slices for the gate, and `looks` their scores.
        contrasts: brightness of the tissues in the slices, of a model that sees it.
        viewed: slices in which it is measured, and `views` the framed slices and their translations.
        seams: of the source, and `outline` of its head, None for a model that is not of heads; both are
            computed beside the network.
    """

    task: _Task
    seen: Framed
    spread: Floats | None
    judged: Places
    looks: list[Tensor]
    contrasts: list[Tensor]
    viewed: Places
    views: list[tuple[Tensor, Tensor]]
    seams: Future[float]
    outline: Future[Outline] | None

    def measure(self, places: Places, image: Tensor, given: Generated) -> None:
        """Take the measures of framed slices, and of what the network gives for them."""
        task = self.task
        if given.seen is not None:
            self.contrasts.append(given.seen)
            if (asked := np.isin(places, self.viewed)).any():
                self.views.append((image[asked, :1].cpu(), given.image[asked].cpu()))
        if task.model.gate and (asked := np.isin(places, self.judged)).any():
            mean = given.posterior.mean[asked]
            self.looks.append(look(task.model.gate, image[asked], mean, OTHER[task.to]))
        if self.spread is not None:
            generator = task.model.translator(task.to)
            found = uncertain(generator, given, self.seen, places, task.samples, task.seed)
            self.spread[places, *self.seen.box] = found


def _begin(task: _Task, seen: Framed, beside: ThreadPoolExecutor) -> _Progress:
    return _Progress(
        task,
        seen,
        spread=seen.blank(0.0) if task.mapped else None,
        judged=seen.shown[:: -(-len(seen.shown) // JUDGED)],
        looks=[],
        contrasts=[],
        viewed=seen.shown[:: -(-len(seen.shown) // LOOKED_AT)],
        views=[],
        seams=beside.submit(seen.seams),
        outline=beside.submit(find_outline, seen) if task.model.description.anatomy == "head" else None,
    )


def _finish(
    work: _Progress, made: Floats, around: Sequence[tuple[Framed, Floats]], seconds: float
) -> Translated:
    """Let sides agree, clear the air around a head, make the record, and scale to the target's units.

    Args:
        made: axial slices [Z, Y, X] as the network made them, in [-1, 1], whose memory is overwritten.
        around: sides of the volume with their slices.
    """
    seen, spread, task = work.seen, work.spread, work.task
    model, to = task.model, task.to
    axial = made if spread is None or not around else made.copy()
    agree(seen, made, around, air_and_bone(to, model))
    outline = work.outline.result() if work.outline else None
    scale, source, pictures = model.scale, seen.source, seen.source.is_picture
    air_ml, jumps = settle(seen, made, outline, work.seams.result(), scale)
    record = Translation(
        source=source.source(),
        model=model.info(to),
        output="",
        gate=judge(work.looks, model.gate, source, OTHER[to], model.description.anatomy),
        plausibility=examine(seen, made, outline, to, scale, air_ml) if outline else None,
        saturated=seen.saturated,
        window=scale.shown_window if pictures and source.meta.hu is None else None,
        seams=jumps,
        contrast=seen_contrast(work.contrasts, work.views, scale) if work.contrasts else None,
        planes=3 if has_sides(seen, model) else 1,
        precision="float32" if model.precision is torch.float32 else "bfloat16",
        seconds=round(seconds, 3),
        warnings=warned(seen, to, model),
    )
    if spread is None:
        return Translated(seen, seen.volume(made, to, scale), None, record)
    draws = task.samples, task.seed
    uncertainty, described = finish_map(spread, axial, made, seen, outline, model, to, draws)
    volume = seen.volume(made, to, scale)
    return Translated(seen, volume, uncertainty, replace(record, uncertainty=described))


def warned(seen: Framed, to: Modality, model: Model) -> list[str]:
    """List what the reader says of the source, and what is wrong with any translation of it by this model."""
    meta, (lower, upper) = seen.axial.meta, model.description.scale.ct_window
    found = [*meta.warnings, *([SYNTHETIC] if meta.synthetic else [])]
    if to == "mr" and meta.levels and meta.hu is None:
        window = model.scale.shown_window
        shown = to_axial(seen.source).values
        found += [OTHER_WINDOW.format(*window)] if seems_other(shown, meta.levels, window) else []
    if to == "ct" and (lower > -1000 or upper < 1000):
        found.append(f"CT values are limited to {lower:g} to {upper:g} HU: {WINDOWED}")
    return found if model.description.anatomy == "head" else [*found, NO_HEAD]
