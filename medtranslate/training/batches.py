"""The slices of a step: unpaired ones with their augmented copies, and phantoms with their truth.

Processes beside the training's own draw them ahead; on the device they are moved, as a batch, by a rotation,
a zoom, a shift and a mirror. The slices of a step follow from the seed, its number and the process of the
training alone, whoever draws them and when.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from medtranslate.config import Modality, TrainSettings
from medtranslate.data import Source
from medtranslate.errors import MedtranslateError
from medtranslate.model import Batch
from medtranslate.training.moved import moved_anchor
from medtranslate.training.rendered import as_picture
from medtranslate.training.synthetic_pairs import (
    ANCHOR_SEEDS,
    anchor_count,
    anchor_slices,
    open_anchors,
)
from medtranslate.transforms import AugmentedCopyd, shown_otherwise

MEAN_SLICES = 128
"""Training slices, spread over the source, whose mean is the baseline of knowing only the frame."""

FIRST_PART = 0.9
"""Share of a run in which slices are smaller, where the settings ask for it."""

AGREEING = 0.25
"""MR slices without a truth for each slice of the anchor, where nothing else is unpaired."""

_AHEAD = 8
"""Most processes that draw ahead for one device."""


class Seeds(NamedTuple):
    """Seeds of the random parts of one step in one process."""

    drawn: int
    copied: int
    anchored: int
    passed: int
    pooled: int


def seeds(seed: int, step: int, process: int) -> Seeds:
    """Derive the seeds of a step from its number alone, so that a resumed run draws as an unbroken one."""
    return Seeds(*(int(word) for word in np.random.SeedSequence((seed, step, process)).generate_state(5)))


class Drawn(Dataset[dict[str, Tensor] | Exception]):
    """The slices of each step before augmentation: item n is that of step n, in half precision.

    Args:
        process: of the training; each draws slices of its own.
    """

    def __init__(self, settings: TrainSettings, sources: Mapping[str, Source], process: int) -> None:
        self.settings, self.sources, self.process = settings, sources, process
        self.anchors = {
            side: open_anchors(_of_side(settings, side), sources)
            for side in (*settings.smaller, settings.network.size)
        }

    def __getitem__(self, step: int) -> dict[str, Tensor] | Exception:
        """Draw the slices of a step; an error is returned, since raising it would end the process midway."""
        try:
            return self._draw(step)
        except Exception as error:
            if not isinstance(error, MedtranslateError):
                error.add_note(traceback.format_exc())
            return error

    def _draw(self, step: int) -> dict[str, Tensor]:
        settings, random = self.settings, seeds(self.settings.seed, step, self.process)
        generator = torch.Generator().manual_seed(random.drawn)
        sides = unpaired_sides(settings)
        count = settings.batch if settings.unpaired else max(2, round(settings.batch * AGREEING))
        fresh = count // 2 if settings.augment.copy_each else count
        drawn: dict[str, Tensor] = {key: self.sources[key].draw(fresh, generator) for key in sides}
        side = side_at(settings, step)
        if side != settings.network.size:
            drawn = {
                key: functional.interpolate(value, (side, side), mode="area") for key, value in drawn.items()
            }
        if anchors := self.anchors[side]:
            drawn |= anchors.draw(anchor_count(settings), generator)
        return {key: value.half() for key, value in drawn.items()}


def unpaired_sides(settings: TrainSettings) -> Sequence[Modality]:
    """Name the modalities of which a step shows slices without a truth."""
    if settings.unpaired:
        return "ct", "mr"
    return ("mr",) if settings.loss.agreement else ()


def _otherwise(mr: Tensor, seed: int) -> Tensor:
    """Show MR slices as other scanners and screens would."""
    unknown = torch.zeros(len(mr), 1)
    return shown_otherwise(mr, unknown, 1.0, torch.Generator().manual_seed(seed))[0]


def side_at(settings: TrainSettings, step: int) -> int:
    """Give the side of the slices of a step; the smaller ones share the first nine tenths of the run."""
    steps = ceil(settings.images / (settings.batch * settings.devices * settings.nodes))
    part = int(step / max(1, steps) / FIRST_PART * len(settings.smaller))
    return (*settings.smaller, settings.network.size)[min(part, len(settings.smaller))]


def _of_side(settings: TrainSettings, side: int) -> TrainSettings:
    """Give the settings of anchors of a side; small ones are made anew, since they cost little."""
    if side == settings.network.size:
        return settings
    return replace(settings, network=replace(settings.network, size=side), anchor_kept=0)


def batches(
    settings: TrainSettings,
    sources: Mapping[str, Source],
    steps: range,
    process: int,
    device: torch.device,
) -> Generator[Batch, None, None]:
    """Give the batch of each step, on the device; the next ones are drawn meanwhile.

    Args:
        steps: numbers of the steps, counted from the start of the run.
        process: of the training.
    """
    workers = worker_count(settings, device)
    loader = DataLoader(
        Drawn(settings, sources, process),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        worker_init_fn=_leave_signals,
        # Forked processes share the decoded slices; elsewhere than on Linux forking is not safe.
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        pin_memory=device.type == "cuda",
    )
    sides = unpaired_sides(settings) if settings.augment.copy_each else ()
    copies = AugmentedCopyd({side: side for side in sides}, settings.augment) if sides else None
    for step, drawn in zip(steps, loader, strict=True):
        if isinstance(drawn, Exception):
            raise drawn
        random = seeds(settings.seed, step, process)
        shown = {key: value.to(device, non_blocking=True).float() for key, value in drawn.items()}
        if copies:
            copies.set_random_state(seed=random.copied)
            shown = copies(shown)
        if settings.unpaired and settings.scale.ct_picture:
            shown["ct"] = as_picture(shown["ct"], settings)
        if settings.loss.agreement:
            shown["mr_otherwise"] = _otherwise(shown["mr"], random.copied)
        if "anchor_ct" in shown:
            unpaired = {key: value for key, value in shown.items() if not key.startswith("anchor")}
            shown = {**unpaired, **moved_anchor(settings, shown, random.anchored % ANCHOR_SEEDS)}
        yield Batch(**shown)


def worker_count(settings: TrainSettings, device: torch.device) -> int:
    """Count the processes that draw ahead: as set, else one beside a CPU's own work, several beside a GPU."""
    if settings.workers is not None:
        return settings.workers
    if device.type == "cpu":
        return 1
    return max(1, min(_AHEAD, (os.cpu_count() or 1) // settings.devices - 1))


def mean_slices(settings: TrainSettings, sources: Mapping[str, Source]) -> dict[Modality, Tensor]:
    """Average the framed training slices of each modality, [1, S, S]."""
    if settings.unpaired:
        return {
            "ct": sources["ct"].fixed(MEAN_SLICES).mean(dim=0),
            "mr": sources["mr"].fixed(MEAN_SLICES).mean(dim=0),
        }
    known = anchor_slices(settings, MEAN_SLICES, 0)
    return {"ct": known["anchor_ct"].mean(dim=0), "mr": known["anchor_wanted"].mean(dim=0)}


def _leave_signals(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which reach every process; the training's own process answers them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
