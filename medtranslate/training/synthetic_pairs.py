"""The anchor: slices whose truth is known, from digital heads and rendered from training CT.

New for each step, or made once, kept and used again: one costs some 30 ms of a core at 256 pixels,
which a CPU's own step takes many times over, but a GPU's does not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import torch
from torch import Tensor

from medtranslate import phantom
from medtranslate.config import TrainSettings
from medtranslate.data import Source, brightness_each, frame_pairs
from medtranslate.errors import InputRefused
from medtranslate.io import list_volumes
from medtranslate.networks import beside_itself
from medtranslate.training.moved import NAMES, moved_anchor
from medtranslate.training.rendered import Rendered, rendered_anchor, rendered_kinds

VALIDATION_SEED = phantom.HELD_OUT - 1_000
"""First seed of the phantom slices that validate."""

ANCHOR_SEEDS = VALIDATION_SEED - 1_000
"""The anchor's seeds end here."""

EXTRAS = ("anchor_seen", "anchor_told", "anchor_known")
"""Facts of a head, not moved with it: brightness of the tissues in the MR that is translated and in the one
that is wanted, and the range where CT is true."""


VOLUMES = 0.6
"""Share of the cuts of label maps that are shown as in volumes, if the networks learn three planes."""


class Anchors(Protocol):
    """Draws slices by `NAMES`, in [-1, 1] as framed, with `EXTRAS`.

    Equal states give equal slices.
    """

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]: ...


def open_anchors(settings: TrainSettings, sources: Mapping[str, Source]) -> Anchors | None:
    """Open the anchor that the settings ask for; processes that are forked later share what is kept.

    Returns:
        None where there is none: its weight is 0, or the images show no heads and no CT is in HU.
    """
    kinds = rendered_kinds(sources.get("ct"), settings)
    if settings.anatomy == "other":
        kinds = kinds[:1] if kinds and kinds[0].in_hu else []
    if not settings.loss.needs_truth or (settings.anatomy == "other" and not kinds):
        return None
    fresh = FreshAnchors(settings, kinds, read_maps(settings))
    return KeptAnchors(fresh, settings) if settings.anchor_kept else fresh


@cache
def _read_map(path: Path) -> phantom.LabelMap:
    return phantom.read_labelled_head(path)


def read_maps(settings: TrainSettings) -> tuple[phantom.LabelMap, ...]:
    """Read the label maps that the settings name, each once.

    Raises:
        InputRefused: the folder has none, or one is no label map.
        SettingsError: one has no table.
    """
    if settings.anchor_labels is None:
        return ()
    folder = settings.anchor_labels
    paths = list_volumes(folder) if folder.is_dir() else []
    if not paths:
        raise InputRefused(f"{folder}: holds no label map (NIfTI, MetaImage, NRRD, MGH)")
    return tuple(_read_map(path) for path in paths)


def anchor_count(settings: TrainSettings) -> int:
    """Count the slices of the anchor in a step."""
    return max(1, round(settings.batch * (settings.anchor_share if settings.unpaired else 1.0)))


def anchor_slices(settings: TrainSettings, count: int, seed: int) -> dict[str, Tensor]:
    """Draw slices of digital heads, without neighbours, with their truth, framed alike and moved alike."""
    alone = replace(settings, network=replace(settings.network, neighbours=0))
    return moved_anchor(alone, still_anchor(alone, count, seed), seed)


@dataclass(frozen=True)
class FreshAnchors:
    """New slices at each draw.

    Attributes:
        kinds: CT of the rendered ones; equally many of each kind are drawn on average.
        maps: heads that a share of the phantoms is cut from.
    """

    settings: TrainSettings
    kinds: Sequence[Rendered]
    maps: Sequence[phantom.LabelMap] = ()

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        return self.mixed(*self.shares(count), generator)

    def shares(self, count: int) -> tuple[int, int, int]:
        """Divide a count into digital heads, cuts of label maps and rendered CT."""
        rendered = round(count * self.settings.anchor_rendered)
        cut = round((count - rendered) * self.settings.anchor_labelled) if self.maps else 0
        return count - rendered - cut, cut, rendered

    def mixed(self, digital: int, cut: int, rendered: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw so many of each kind."""
        seed = int(torch.randint(ANCHOR_SEEDS, (), generator=generator))
        parts = [
            still_anchor(self.settings, number, seed, maps)
            for number, maps in ((digital, ()), (cut, self.maps))
            if number
        ]
        if rendered:
            of_kind = torch.randint(len(self.kinds), (rendered,), generator=generator)
            parts += [
                rendered_anchor(self.settings, kind, number, generator)
                for index, kind in enumerate(self.kinds)
                if (number := int((of_kind == index).sum()))
            ]
        shown = dict.fromkeys(NAMES[:2], self.settings.network.shown)
        images = {
            name: torch.cat([beside_itself(part[name], shown.get(name, 1)) for part in parts])
            for name in NAMES
        }
        return images | {name: torch.cat([part[name] for part in parts]) for name in EXTRAS}


class KeptAnchors:
    """Slices in a file without a name that is mapped into memory and gone with the run.

    The slice of a place follows from the seed and the place alone. So any process may fill it, and two may do
    so at once.
    """

    _FACTS = 2 * len(phantom.TOLD) + 2

    def __init__(self, fresh: FreshAnchors, settings: TrainSettings) -> None:
        self.fresh, self.seed, self.places = fresh, settings.seed, settings.anchor_kept
        self.ends = np.cumsum(fresh.shares(self.places))
        size = settings.network.size
        self.channels = (settings.network.shown, settings.network.shown, 1, 1)
        shape = (self.places, sum(self.channels), size, size)
        with (
            tempfile.TemporaryFile() as images,
            tempfile.TemporaryFile() as facts,
            tempfile.TemporaryFile() as filled,
        ):
            _allocate(images, 2 * int(np.prod(shape)))
            _allocate(facts, 2 * self.places * self._FACTS)
            _allocate(filled, self.places)
            self.facts = np.memmap(facts, np.float16, "r+", shape=(self.places, self._FACTS))
            self.images = np.memmap(images, np.float16, "r+", shape=shape)
            self.filled = np.memmap(filled, np.bool_, "r+", shape=self.places)

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        places = torch.randint(self.places, (count,), generator=generator).tolist()
        for place in places:
            if not self.filled[place]:
                self._fill(place)
        images = torch.from_numpy(self.images[places]).split(self.channels, dim=1)
        tissues = len(phantom.TOLD)
        facts = torch.from_numpy(self.facts[places]).split((tissues, tissues, 2), dim=1)
        return dict(zip((*NAMES, *EXTRAS), (*images, *facts), strict=True))

    def _fill(self, place: int) -> None:
        words = np.random.SeedSequence((self.seed, place)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
        digital, cut, rendered = (
            int(kind == np.searchsorted(self.ends, place, "right")) for kind in range(3)
        )
        drawn = self.fresh.mixed(digital, cut, rendered, generator)
        self.images[place] = torch.cat([drawn[name] for name in NAMES], dim=1).half().numpy()
        self.facts[place] = torch.cat([drawn[name] for name in EXTRAS], dim=1).half().numpy()
        self.filled[place] = True


def _allocate(file: IO[bytes], size: int) -> None:
    """Take the room now: a mapped file that finds the disk full later ends the process without a word."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def still_anchor(
    settings: TrainSettings, count: int, seed: int, maps: Sequence[phantom.LabelMap] = ()
) -> dict[str, Tensor]:
    """Draw phantom slices by `NAMES`, framed and not moved, from digital heads or from label maps."""
    heads = phantom.slices(
        seed,
        count,
        settings.network.size,
        contrast=settings.anchor_contrast,
        wanted=settings.phantom_contrast,
        lesions=settings.anchor_lesions,
        skull_base=settings.anchor_skull_base,
        maps=maps,
        neighbours=settings.network.neighbours,
        volumes=VOLUMES if settings.network.planes == 3 else 0.0,
    )
    assert heads.told is not None
    seen, told = heads.told.unbind(1)
    return {
        **dict(zip(NAMES, frame_pairs(heads, settings.network, settings.scale), strict=True)),
        "anchor_seen": brightness_each(seen, heads.mr, settings.scale),
        "anchor_told": told,
        "anchor_known": torch.tensor([[-1.0, 1.0]]).repeat(count, 1),
    }
