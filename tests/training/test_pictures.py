from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from medtranslate.checkpoint import load_model
from medtranslate.training import fit
from medtranslate.training.pictures import COLUMNS, Row, draw_sheet
from medtranslate.training.validation import validate


@pytest.mark.parametrize("side", [8, 64])
@pytest.mark.parametrize("count", [3, COLUMNS, 40])
def test_rows_lie_below_their_title_and_beside_their_labels(side, count):
    grey = [
        Row("CT, validation", torch.full((count, 1, side, side), 0.0)),
        Row("CT to MR", torch.ones(count, 1, side, side)),
    ]
    sheet = np.asarray(draw_sheet(grey, "after 8 of 16 images"))
    left = sheet.shape[1] - COLUMNS * side
    labels, slices = sheet[:, :left], sheet[:, left:]
    shown = min(count, COLUMNS)
    assert (slices == 127).sum() == (slices[:, : shown * side] == 127).sum() >= shown * side**2
    rows = [np.flatnonzero((slices == value).sum(axis=1) >= side) for value in (127, 255)]
    assert rows[0].max() < rows[1].min()
    for places in rows:
        assert len(places) == side
        middle = round(places.mean())
        assert labels[middle - 8 : middle + 8].max() > 100  # the words stand beside their row
    assert labels[: rows[0].min()].max() > 100


def test_each_row_says_its_modality_its_direction_and_its_source(settings, small_model):
    model = load_model(str(small_model)).generators
    labels = [row.label for row in validate(settings, model, {}).rows]
    assert labels[:3] == ["CT, digital head", "CT to MR", "CT to MR to CT"]
    assert labels[-5:] == ["MR, digital head", "MR to CT", "true CT", "CT to MR", "true MR"]


def test_a_run_from_a_model_begins_with_its_pictures(settings, small_model):
    fit(replace(settings, parent=str(small_model), images=4, every=4), quiet=True)
    names = sorted(path.name for path in (settings.out / "pictures").glob("0*"))
    assert names == ["00000000.png", "00000004.png"]
    with Image.open(settings.out / "pictures" / names[0]) as picture:
        assert picture.mode == "L"
