"""How softly bone fades, on an edge whose fading is known."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.special import ndtri

from benchmarks.quality.softness import BONE_HU, RIM_HU, read_slices, rim_width

BRAIN, BONE = 35.0, 1000.0


def skull(sigma: float) -> np.ndarray:
    x, y = np.indices((256, 256)) - 127.5
    away = np.hypot(x, y)
    hu = np.where(away < 75, BRAIN, np.where(away < 95, BONE, -1000.0)).astype(np.float32)
    return ndimage.gaussian_filter(hu, sigma)


@pytest.mark.parametrize("sigma", [0.5, 1.3, 2.0, 2.8])
def test_the_rim_of_bone_is_as_wide_as_a_gaussian_edge_says(sigma):
    # A straight edge that a Gaussian blurs is a normal distribution; a quarter of a pixel is the grid's.
    reach = ndtri((np.array([RIM_HU, BONE_HU]) - BRAIN) / (BONE - BRAIN))
    assert rim_width(skull(sigma)) == pytest.approx(sigma * (reach[1] - reach[0]), abs=0.25)


def test_a_slice_that_no_skull_encloses_has_no_rim():
    assert rim_width(np.full((256, 256), 35.0, np.float32)) is None
    opened = skull(1.0)
    opened[:, 100:140] = BRAIN
    assert rim_width(opened) is None


def test_pictures_are_read_in_the_window_of_the_brain(tmp_path):
    for grey in (0, 255):
        Image.fromarray(np.full((32, 32), grey, np.uint8)).save(tmp_path / f"{grey}.png")
    assert [round(float(hu.mean())) for hu in read_slices(tmp_path)] == [-20, 100]
