"""Passes of the network: how many slices one takes, and of which volumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from medtranslate.config import NetworkSettings
from medtranslate.device import free_memory
from medtranslate.translation.framed import Places

PIXELS = {"cpu": 2**18, "cuda": 2**22}
"""Pixels of a pass that keep a device busy. With more, a CPU becomes slower: they leave its caches."""

_PIXEL_BYTES = 32
"""Upper bound of the memory of a pass, per pixel and channel at the network's full width."""

Parts = list[tuple[int, Places]]
"""Slices of a pass: index of the volume, and places of its slices."""


def slices_per_pass(network: NetworkSettings, device: torch.device) -> int:
    """Choose a number of slices that keeps the device busy, within a quarter of its free memory."""
    pixels = network.size**2
    room = free_memory(device) // 4 // (_PIXEL_BYTES * network.channels[0] * pixels)
    return max(1, min(PIXELS[device.type] // pixels, room))


def batches(shown: Sequence[Places], batch: int) -> Iterator[Parts]:
    """Yield the slices of several volumes, `batch` at a time."""
    owners = np.repeat(np.arange(len(shown)), [len(places) for places in shown])
    everything = np.concatenate(shown)
    for start in range(0, len(owners), batch):
        owner, places = owners[start : start + batch], everything[start : start + batch]
        yield [(int(index), places[owner == index]) for index in np.unique(owner)]
