"""Bounds of an input's size, checked from its header before allocation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medtranslate.errors import Unreadable

MAX_BYTES = 2**31
"""Largest volume in bytes of float32: 512 slices of 1024 x 1024."""
MAX_PIXELS = 2**26
"""Largest picture; below the size at which Pillow warns of a decompression bomb."""


def check_size(shape: Sequence[int], where: str) -> None:
    """Refuse a volume that is empty or over `MAX_BYTES` as float32.

    Raises:
        Unreadable: names the shape and the bound.
    """
    words = " x ".join(str(length) for length in shape)
    if not shape or min(shape) < 1:
        raise Unreadable(f"{where}: holds no voxels (shape {words or 'missing'}); export it again")
    if 4 * math.prod(shape) > MAX_BYTES:
        raise Unreadable(
            f"{where}: {words} voxels take {4 * math.prod(shape) / 2**30:.1f} GiB, more than the bound of"
            f" {MAX_BYTES / 2**30:.1f} GiB; crop or downsample it"
        )
