"""The anchor: slices whose truth is known, from digital heads and rendered from training CT.

New for each step, or made once, kept and used again: one costs some 30 ms of a core at 256 pixels,
which a CPU's own step takes many times over, but a GPU's does not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np
import torch
from torch import Tensor

from medtranslate import phantom
from medtranslate.config import Modality, TrainSettings
from medtranslate.data import BRIGHTEST, Source, StoredSlices, frame_pairs, render, scale_mr_each
from medtranslate.transforms import augment, other_window, scale_mr

VALIDATION_SEED = phantom.HELD_OUT - 1_000
"""First seed of the phantom slices that validate."""

ANCHOR_SEEDS = VALIDATION_SEED - 1_000
"""The anchor's seeds end here."""

NAMES = ("anchor_ct", "anchor_mr", "anchor_wanted")
"""Images of one head: CT, MR in a contrast of the settings, and MR in the contrast that the model makes."""


class Drawable(Protocol):
    """Draws slices [count, 1, S, S] in [-1, 1]."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor: ...


class Anchors(Protocol):
    """Draws slices by `NAMES`, each [count, 1, S, S] in [-1, 1] as framed; equal states give equal slices."""

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]: ...


def open_anchors(settings: TrainSettings, sources: Mapping[str, Source]) -> Anchors | None:
    """Open the anchor that the settings ask for; processes that are forked later share what is kept.

    Returns:
        None where there is none: its weight is 0, or the images show no heads and no CT is in HU.
    """
    ct: Drawable | None = sources.get("ct")
    if settings.anatomy == "other":
        ct = SlicesInHU(ct) if isinstance(ct, StoredSlices) and len(ct.in_hu) else None
    if settings.loss.anchor == 0 or (settings.anatomy == "other" and ct is None):
        return None
    fresh = FreshAnchors(settings, ct)
    return KeptAnchors(fresh, settings) if settings.anchor_kept else fresh


def anchor_count(settings: TrainSettings) -> int:
    """Count the slices of the anchor in a step."""
    return max(1, round(settings.batch * (settings.anchor_share if settings.unpaired else 1.0)))


def anchor_slices(settings: TrainSettings, count: int, seed: int) -> dict[str, Tensor]:
    """Draw phantom slices with their truth, framed alike and moved alike."""
    return moved_anchor(settings, still_anchor(settings, count, seed), seed)


@dataclass(frozen=True)
class SlicesInHU:
    """The slices of a source whose HU are known."""

    source: StoredSlices

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        places = self.source.in_hu
        chosen = places[torch.randint(len(places), (count,), generator=generator)]
        return self.source.images[chosen].float()


@dataclass(frozen=True)
class FreshAnchors:
    """New slices at each draw.

    Attributes:
        ct: source of the rendered ones.
    """

    settings: TrainSettings
    ct: Drawable | None

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        rendered = round(count * self.settings.anchor_rendered)
        return self.mixed(count - rendered, rendered, generator)

    def mixed(self, phantoms: int, rendered: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw so many of each kind."""
        seed = int(torch.randint(ANCHOR_SEEDS, (), generator=generator))
        parts = [still_anchor(self.settings, phantoms, seed)] if phantoms else []
        if rendered:
            assert self.ct is not None
            parts.append(rendered_anchor(self.settings, self.ct, rendered, generator))
        return {name: torch.cat([part[name] for part in parts]) for name in NAMES}


class KeptAnchors:
    """Slices in a file without a name that is mapped into memory and gone with the run.

    The slice of a place follows from the seed and the place alone. So any process may fill it, and two may do
    so at once.
    """

    def __init__(self, fresh: FreshAnchors, settings: TrainSettings) -> None:
        self.fresh, self.seed, self.places = fresh, settings.seed, settings.anchor_kept
        self.phantoms = self.places - round(self.places * settings.anchor_rendered)
        size = settings.network.size
        shape = (self.places, len(NAMES), 1, size, size)
        with tempfile.TemporaryFile() as images, tempfile.TemporaryFile() as filled:
            _allocate(images, 2 * int(np.prod(shape)))
            _allocate(filled, self.places)
            self.images = np.memmap(images, np.float16, "r+", shape=shape)
            self.filled = np.memmap(filled, np.bool_, "r+", shape=self.places)

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        places = torch.randint(self.places, (count,), generator=generator).tolist()
        for place in places:
            if not self.filled[place]:
                self._fill(place)
        images = torch.from_numpy(self.images[places])
        return dict(zip(NAMES, images.unbind(1), strict=True))

    def _fill(self, place: int) -> None:
        words = np.random.SeedSequence((self.seed, place)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
        phantoms = int(place < self.phantoms)
        drawn = self.fresh.mixed(phantoms, 1 - phantoms, generator)
        self.images[place] = torch.cat([drawn[name] for name in NAMES]).half().numpy()
        self.filled[place] = True


def _allocate(file: IO[bytes], size: int) -> None:
    """Take the room now: a mapped file that finds the disk full later ends the process without a word."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def still_anchor(settings: TrainSettings, count: int, seed: int) -> dict[str, Tensor]:
    """Draw phantom slices by `NAMES`, framed and not moved."""
    heads = phantom.slices(
        seed,
        count,
        settings.network.size,
        contrast=settings.anchor_contrast,
        wanted=settings.phantom_contrast,
        lesions=settings.anchor_lesions,
        skull_base=settings.anchor_skull_base,
    )
    assert heads.wanted is not None
    framed = frame_pairs(heads.ct, heads.mr, heads.wanted, settings.network, settings.scale)
    return dict(zip(NAMES, framed, strict=True))


def rendered_anchor(
    settings: TrainSettings, ct: Drawable, count: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw training CT by `NAMES`, with MR rendered from it."""
    slices = ct.draw(count, generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    contrasts = settings.anchor_contrast, settings.phantom_contrast
    mr, wanted = render(slices, settings.scale.ct_window, *contrasts, seed)
    return dict(
        zip(NAMES, (slices, scale_mr_each(mr, settings.scale), scale_mr(wanted, BRIGHTEST)), strict=True)
    )


def moved_anchor(settings: TrainSettings, still: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Rotate, scale, shift and mirror slices by `NAMES` alike, and add anchor_shown, the CT to translate.

    The inputs of the translations are varied: the window of the CT, and the contrast of kept MR.
    """
    modalities: dict[str, Modality] = {"anchor_mr": "mr"} if settings.anchor_kept else {}
    moved = {
        name: augment(
            still[name],
            modalities.get(name, "ct"),
            settings.augment,
            torch.Generator().manual_seed(seed),
        )
        for name in NAMES
    }
    ct, largest = moved["anchor_ct"], settings.augment.ct_window
    windowed = other_window(ct, largest, torch.Generator().manual_seed(seed)) if largest > 0 else ct
    return {**moved, "anchor_shown": windowed}
