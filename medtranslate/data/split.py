"""Whole groups held back for validation: the unit is the subject or the look-alikes, never the slice."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable


def held_back(groups: Iterable[str], share: float, seed: int) -> set[str]:
    """Choose groups to hold back: together at most `share` of the images, and at least one group.

    Each group's turn is a hash of the seed and its name, so it does not depend on which other groups
    there are: a subject whose CT is held back is among the first in MR too.

    Args:
        groups: the group of each image.
        share: of the images.
    """
    sizes = Counter(groups)
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest())
    room = share * sizes.total()
    held: set[str] = set()
    for group in order:
        if sizes[group] <= room:
            held.add(group)
            room -= sizes[group]
    return held or {min(order, key=sizes.__getitem__)}
