"""Best, typical and worst cases are what their ranks say."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.quality.ranked_cases import RANKS, draw, ranked
from medtranslate.checkpoint import load_model


def test_cases_are_chosen_by_rank(small_model: Path) -> None:
    model = load_model(small_model, torch.device("cpu"))
    figure = draw(model, "t1", count=5)
    shown = {plot.get_ylabel() for plot in figure.axes if plot.get_ylabel()}
    for to in ("ct", "mr"):
        images, errors = ranked(model, to, "t1", 5)
        assert [len(of) for of in images] == [5, 5, 5]
        chosen = dict(zip(RANKS, (errors.min(), np.median(errors), errors.max()), strict=True))
        assert {f"{name}, {error:.1f}" for name, error in chosen.items()} <= shown
    assert len(shown) == 6


def test_an_error_is_that_of_the_slice(small_model: Path) -> None:
    model = load_model(small_model, torch.device("cpu"))
    (source, made, truth), errors = ranked(model, "ct", "t1", 3)
    for index, error in enumerate(errors):
        inside = np.maximum(source, truth)[index] > 20
        assert error == pytest.approx(np.abs(made - truth)[index][inside].mean(), rel=0.25)
