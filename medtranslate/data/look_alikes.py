"""Groups pictures of unknown subjects, so that look-alikes stay on one side of a split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from medtranslate.config import Modality
from medtranslate.data.items import Item, Listing
from medtranslate.data.near_duplicates import ALIKE, THUMBNAIL, connect, thumbnail
from medtranslate.errors import InputRefused
from medtranslate.io import read_volume

_WORKERS = 2
_PICTURES = (".png", ".jpg", ".jpeg")


def group_look_alikes(listing: Listing, modality: Modality) -> Listing:
    """Group pictures that have no group with their look-alikes; other listings stay unchanged.

    Pictures that can't be read go with the largest group: they are refused when their turn comes.
    """
    items = listing.items
    if any(item.group or item.path.suffix.lower() not in _PICTURES for item in items):
        return listing
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = list(pool.map(_thumbnail, items))
    nothing = np.zeros((THUMBNAIL, THUMBNAIL), np.float32)
    numbers = connect(np.stack([nothing if small is None else small for small in found]), ALIKE)
    numbers[[small is None for small in found]] = np.bincount(numbers).argmax()
    grouped = [
        replace(item, group=f"{modality}{number}") for item, number in zip(items, numbers, strict=True)
    ]
    note = (
        f"{modality}: nothing says whose the {len(items)} pictures are, so they are split by"
        f" {len(set(numbers))} groups of look-alikes, which are not patients; --groups tells them"
    )
    return replace(listing, items=grouped, notes=(*listing.notes, note))


def _thumbnail(item: Item) -> NDArray[np.float32] | None:
    try:
        return thumbnail(torch.from_numpy(read_volume(item.path).values[:, :, 0].T.copy()))
    except InputRefused:
        return None
