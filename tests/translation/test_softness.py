"""CT that becomes a picture is as soft as published pictures; no other translation changes."""

from dataclasses import replace

import numpy as np
import pytest

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality, ScaleSettings
from medtranslate.modality import OTHER
from medtranslate.phantom import study
from medtranslate.transforms import scale_ct, unscale_ct
from medtranslate.translation.framed import Framed, frame
from medtranslate.translation.softness import soften

HU = ScaleSettings(
    ct_window=(-1000, 2000),
    ct_knots=(-150.0, -20.0, 20.0, 60.0, 100.0),
    ct_picture=(-20, 100),
    ct_picture_blur=1.5,
)


@pytest.fixture
def model(small_model) -> Model:
    return load_model(str(small_model))


def seen(model: Model, to: Modality, *, picture: bool) -> Framed:
    head = study(910_003, size=128, spacing=1.5)
    source = head.mr if to == "ct" else head.ct
    if picture:
        grey = (source.values - source.values.min()) * 255 / np.ptp(source.values)
        source = source.with_values(grey).with_meta(levels=255)
    return frame(source, OTHER[to], model)


def skull(side: int = 64) -> np.ndarray:
    """HU of one slice [1, side, side]: brain within a square of bone, in air."""
    hu = np.full((1, side, side), -1000.0, np.float32)
    hu[:, 8:-8, 8:-8] = 1000.0
    hu[:, 14:-14, 14:-14] = 35.0
    return hu


def softened(model: Model, to: Modality, *, picture: bool, scale: ScaleSettings = HU) -> np.ndarray:
    slices = scale_ct(skull(), HU.ct_curve)
    soften(seen(model, to, picture=picture), slices, scale)
    return unscale_ct(slices, HU.ct_curve)


def test_bone_of_a_picture_reaches_further_and_brain_far_from_it_keeps_its_value(model):
    made = softened(model, "ct", picture=True)
    assert np.count_nonzero(made >= 91) > 1.1 * np.count_nonzero(skull() >= 91)
    assert made.mean() == pytest.approx(skull().mean(), abs=1)
    np.testing.assert_allclose(made[0, 24:40, 24:40], 35.0, atol=0.1)


@pytest.mark.parametrize(
    ("to", "picture", "scale"),
    [
        ("ct", False, HU),
        ("mr", True, HU),
        ("ct", True, replace(HU, ct_picture_blur=0.0)),
    ],
)
def test_volumes_mr_and_models_without_a_blur_stay_as_they_are(model, to, picture, scale):
    np.testing.assert_allclose(softened(model, to, picture=picture, scale=scale), skull(), atol=1e-2)
