from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medtranslate.config import BatchSettings
from medtranslate.io import Volume, write_volume
from medtranslate.phantom import HELD_OUT, study

SIZE = 32


@pytest.fixture(scope="session")
def heads() -> list[Volume]:
    """CT of digital heads, as small as a head is found in.

    Made of an MR by an untrained network, a CT is doubtful.
    """
    return [study(HELD_OUT + seed, size=SIZE, spacing=256 / SIZE).ct for seed in range(3)]


@pytest.fixture
def place(heads: list[Volume], tmp_path: Path) -> Callable[..., Path]:
    """Write head number `seed` to a path below `src`."""

    def put(name: str, seed: int = 0) -> Path:
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(heads[seed], path)
        return path

    return put


@pytest.fixture
def settings(tmp_path: Path, small_model: Path) -> Callable[..., BatchSettings]:
    def build(**changes: object) -> BatchSettings:
        known = {"source": tmp_path / "src", "out": tmp_path / "out", "to": "mr", "model": str(small_model)}
        return BatchSettings(**({"device": "cpu", "workers": 2} | known | changes))  # type: ignore[arg-type]

    return build
