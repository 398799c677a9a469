from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from medtranslate.checkpoint import load_model
from medtranslate.config import LossSettings, TrainSettings
from medtranslate.training import batches, validation

Rows = list[dict[str, str]]


@pytest.fixture(autouse=True)
def few_fixed_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in a test spends its time on steps, not on baseline and validation."""
    monkeypatch.setattr(batches, "MEAN_SLICES", 4)
    monkeypatch.setattr(validation, "VALIDATION_SLICES", 4)


@pytest.fixture
def settings(tmp_path: Path, small_model: Path) -> TrainSettings:
    return TrainSettings(
        ct="phantom:0-999",
        mr="phantom:1000-1999",
        val_ct="phantom:5000-5000",
        out=tmp_path / "run",
        images=16,
        every=8,
        batch=4,
        pool=4,
        gate=0,
        precision="float32",
        network=load_model(str(small_model)).description.network,
        loss=LossSettings(identity=1, structure=1),
    )


@pytest.fixture
def rows() -> Callable[[Path], Rows]:
    """Rows of a CSV, each as long as its header."""

    def read(path: Path) -> Rows:
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        assert all(None not in row and None not in row.values() for row in found)
        return found

    return read
