"""What tells of traps, on slices whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from medtranslate.config import ScaleSettings
from medtranslate.training.traps import (
    bone_brightness,
    linear_correlation,
    relative_size,
    target_likeness,
)

BRAIN = ScaleSettings()


def test_the_correlation_is_that_of_the_closest_linear_map():
    source = torch.rand(2, 1, 8, 8)
    assert linear_correlation(source, 0.1 - 3 * source) == pytest.approx(1)
    assert linear_correlation(source, torch.full_like(source, 0.5)) == 0
    noisy = source + 0.3 * torch.randn_like(source)
    expected = torch.corrcoef(torch.stack([source.flatten(), noisy.flatten()]))[0, 1]
    assert linear_correlation(source, noisy) == pytest.approx(float(expected), abs=1e-5)
    dark = torch.where(torch.rand(2, 1, 8, 8) > 0.5, -1.0, source)
    seen = dark > -0.94
    assert linear_correlation(dark, torch.where(seen, dark, torch.rand_like(dark))) == pytest.approx(1)


def test_likeness_is_the_share_of_the_way_from_source_to_target():
    source, target = torch.rand(2, 2, 1, 16, 16).double()
    target = 0.5 * target
    assert target_likeness(source, source, target) == 0
    assert target_likeness(source, target, target) == 1
    made = 0.25 * source
    ways = [wasserstein_distance(made.flatten(), other.flatten()) for other in (source, target)]
    assert target_likeness(source, made, target) == pytest.approx(ways[0] / sum(ways), abs=0.03)
    assert target_likeness(source, torch.full_like(made, -1.0), target) == 0.5


@pytest.mark.parametrize(("window", "bone"), [((-20.0, 100.0), 0.95), ((-1000.0, 2000.0), 0.0)])
def test_bone_is_as_bright_as_the_share_of_the_head_that_is_darker(window, bone):
    scale = ScaleSettings(ct_window=window)
    ct = torch.full((3, 1, 20, 20), -0.2)
    ct[..., :4] = bone
    mr = torch.linspace(-0.5, 0.9, 20).expand(3, 1, 20, 20)
    assert bone_brightness(ct, mr, scale) == 0
    assert bone_brightness(ct, -mr, scale) == 1
    assert bone_brightness(ct, torch.zeros_like(mr), scale) == 0.5
    assert bone_brightness(ct.clamp(max=-0.2), mr, scale) == 0  # no bone


def disc(radius: float) -> torch.Tensor:
    rows, columns = np.ogrid[:96, :96]
    inside = (rows - 48) ** 2 + (columns - 48) ** 2 < radius**2
    return torch.from_numpy(np.where(inside, 0.3, -1.0)).float()[None, None]


def test_size_is_the_ratio_of_the_extents():
    several = torch.cat([disc(20), disc(24), disc(30)])
    assert relative_size(several, several, "ct") == 1
    halved = torch.cat([disc(10), disc(12), disc(15)])
    assert relative_size(several, halved, "mr") == pytest.approx(0.5, abs=0.06)
    # Where there is no head, or nothing else, nothing is told.
    assert relative_size(several, torch.full_like(several, -1.0), "ct") is None
    assert relative_size(several, torch.zeros_like(several), "ct") is None
    one_left = torch.cat([halved[:1], torch.full_like(several[1:], -1.0)])
    assert relative_size(several, one_left, "ct") == pytest.approx(0.5, abs=0.06)
