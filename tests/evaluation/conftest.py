from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from medtranslate.checkpoint import describe, find_model
from medtranslate.io import Meta, Volume
from medtranslate.records import ModelInfo, Source, Translation

LPS = np.array([[-4.0, 0, 0, 90], [0, -4, 0, 90], [0, 0, 4, -60], [0, 0, 0, 1]])

Build = Callable[..., Volume]


@pytest.fixture
def volume() -> Build:
    """A volume from an array [X, Y, Z], an affine to RAS+ mm, and meta."""

    def build(values: NDArray[np.floating], affine: NDArray[np.float64] = LPS, **meta: object) -> Volume:
        return Volume(np.ascontiguousarray(values, np.float32), affine, Meta(**meta))  # type: ignore[arg-type]

    return build


@pytest.fixture
def head() -> NDArray[np.float32]:
    """A lopsided CT head in HU, [46, 46, 30]: skull around textured tissue in air."""
    x, y, z = np.meshgrid(*(np.linspace(-1.3, 1.3, n) for n in (46, 46, 30)), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    tissue = np.random.default_rng(0).normal(40, 8, radius.shape) + 20 * (x > 0.3)
    return np.where(radius < 0.85, tissue, np.where(radius < 1, 900.0, -1000.0)).astype(np.float32)


@pytest.fixture
def noisy(head: NDArray[np.float32]) -> NDArray[np.float32]:
    """The head with noise of 20 HU."""
    return head + np.random.default_rng(3).normal(0, 20, head.shape).astype(np.float32)


@pytest.fixture
def made_by() -> Callable[..., Translation]:
    """The record of a translation by a model: the `phantom` model that ships, but for what is changed."""

    def build(**changes: object) -> Translation:
        facts: dict[str, object] = {
            "name": "phantom",
            "sha256": describe(find_model("phantom")).sha256,
            "to": "ct",
            "output_range": (-20.0, 100.0),
            "unit": "HU",
        }
        return Translation(
            source=Source(shape=(46, 46, 30), spacing_mm=(4.0, 4.0, 4.0), affine=((1.0, 0.0, 0.0, 0.0),) * 4),
            model=ModelInfo(**(facts | changes)),  # type: ignore[arg-type]
            output="fake.nii.gz",
        )

    return build
