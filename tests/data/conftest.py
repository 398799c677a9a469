from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., Path]


@pytest.fixture
def draw_head() -> Draw:
    """Write a picture: a disc that is a head to the framing, textured by its seed."""

    def draw(path: Path, seed: int = 0, radius: int = 24, grey: int = 120) -> Path:
        rows, columns = np.ogrid[:64, :64]
        disc = (rows - 32) ** 2 + (columns - 32) ** 2 < radius**2
        texture = np.random.default_rng(seed).integers(-60, 60, (8, 8)).repeat(8, 0).repeat(8, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(disc, grey + texture, 0).astype(np.uint8)).save(path)
        return path

    return draw
