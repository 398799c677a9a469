"""A drawn head whose faults are known: each fault is named, and none is seen in the head without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from medtranslate.metrics import doubts, look_at_brain
from medtranslate.metrics.plausibility import Brain, bone_from

Floats = npt.NDArray[np.float32]
Voxels = npt.NDArray[np.bool_]

SPACING = (5.0, 1.0, 1.0)
WINDOW = (-20.0, 100.0)
RADII = {"head": 85, "skull": 78, "brain": 70}


def disc(radius: float, row: float = 95.0, column: float = 95.0) -> Voxels:
    rows, columns = np.indices((190, 190))
    plane = np.hypot(rows - row, columns - column) <= radius
    return np.stack([plane] * 4)


def drawn(scalp: float, bone: float, brain: float, fluid: float, air: float) -> Floats:
    image = np.full((4, 190, 190), air, dtype=np.float32)
    for part, value in (("head", scalp), ("skull", bone), ("brain", brain)):
        image[disc(RADII[part])] = value
    image[VENTRICLES] = fluid
    return image + np.random.default_rng(0).normal(0, 0.01, image.shape).astype(np.float32)


VENTRICLES = disc(9, column=80) | disc(9, column=110)
HEAD = disc(RADII["head"])
MR = {"t1": drawn(0.8, 0.02, 0.5, 0.15, 0.0), "t2": drawn(0.3, 0.02, 0.4, 0.9, 0.0)}
CT = drawn(-20.0, 100.0, 32.0, 8.0, -20.0)


def look(ct: Floats, mr: str = "t1") -> Brain:
    found = look_at_brain(MR[mr], ct, HEAD, SPACING, WINDOW)
    assert found is not None
    return found


@pytest.mark.parametrize("contrast", MR)
def test_a_head_without_a_fault_is_not_doubted(contrast: str):
    found = look(CT, contrast)
    assert doubts(found) == []
    assert found.fluid == pytest.approx(8, abs=4)
    assert found.brain == pytest.approx(32, abs=0.5)
    assert (found.bone, found.black, found.closed) == (0, 0, 1)


@pytest.mark.parametrize("contrast", MR)
@pytest.mark.parametrize("hu", [31.0, 60.0, 100.0])
def test_fluid_as_dense_as_brain_or_denser_is_doubted(contrast: str, hu: float):
    spoilt = np.where(VENTRICLES, np.float32(hu), CT)
    assert any("darker than brain" in doubt for doubt in doubts(look(spoilt, contrast)))


def test_bone_in_the_brain_is_measured_in_ml():
    spoilt = np.where(disc(12, row=60), np.float32(100), CT)
    found = look(spoilt)
    assert found.bone == pytest.approx(4 * 5 * np.pi * 12**2 / 1000, rel=0.05)
    assert any("of bone inside the skull join no skull" in doubt for doubt in doubts(found))


def test_a_falx_that_joins_the_skull_is_no_fault():
    falx = np.zeros_like(HEAD)
    falx[:, 20:60, 95] = True
    assert doubts(look(np.where(falx, np.float32(100), CT))) == []


def test_black_brain_is_doubted():
    assert any("black" in doubt for doubt in doubts(look(np.where(disc(25, row=140), np.float32(-20), CT))))


def test_an_open_skull_is_doubted():
    open_side = CT.copy()
    open_side[:, :, :75] = np.minimum(open_side[:, :, :75], 32)
    assert any("of its ring" in doubt for doubt in doubts(look(open_side)))


def test_the_base_of_the_skull_is_left_out():
    base = np.where(disc(60, row=95, column=20), np.float32(100), CT)
    assert look_at_brain(MR["t1"], base, HEAD, SPACING, WINDOW) is None


def test_a_picture_has_areas_in_place_of_volumes():
    spoilt = np.where(disc(12, row=60), np.float32(100), CT)
    found = look_at_brain(MR["t1"][:1], spoilt[:1], HEAD[:1], SPACING, WINDOW)
    assert found is not None
    assert found.bone == pytest.approx(np.pi * 12**2 / 100, rel=0.05)
    assert any("cm2 of bone" in doubt for doubt in doubts(found))


def test_a_small_head_shows_no_brain_to_look_at():
    assert look_at_brain(MR["t1"], CT, disc(40), SPACING, WINDOW) is None


def test_limits_are_kept_where_they_are_just_reached():
    at_the_limit = Brain(fluid=28.0, brain=32.0, bone=4.0, black=0.05, closed=0.7, picture=False)
    assert doubts(at_the_limit) == []
    assert len(doubts(replace(at_the_limit, fluid=28.1, bone=4.1, black=0.051, closed=0.69))) == 4


def test_bone_begins_in_the_upper_tenth_of_a_window():
    assert bone_from((-20.0, 100.0)) == pytest.approx(88)
    assert bone_from((-1000.0, 2000.0)) == 200
