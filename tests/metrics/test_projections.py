from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from medtranslate.errors import InputRefused
from medtranslate.metrics import (
    SCHNEIDER,
    check_densities,
    path_length,
    path_maps,
    radiographs,
    relative_density,
)
from medtranslate.metrics.projections import WATER_PER_MM
from medtranslate.records import Densities

SPACING = (2.0, 3.0, 2.5)


def test_a_slab_is_as_long_as_the_sum_by_hand() -> None:
    slab = np.full((10, 12, 3), -999, np.float32)
    slab[:, 1:5], slab[:, 5:7], slab[:, 7:11] = 0, 1524, -741  # 12 mm water, 6 mm bone, 12 mm lung
    everywhere = np.ones(slab.shape, bool)
    maps = path_maps(slab, everywhere, SPACING)
    by_hand = 4 * 3 * 1.0 + 2 * 3 * 1.781 + 4 * 3 * 0.258 + 2 * 3 * 0.001
    assert maps["front"].shape == (10, 3)
    assert maps["side"].shape == (12, 3)
    np.testing.assert_allclose(maps["front"], by_hand, atol=0.1)
    np.testing.assert_allclose(maps["side"][6], 10 * 2 * 1.781, atol=0.1)
    inside = everywhere.copy()
    inside[:, 7:] = False
    np.testing.assert_allclose(path_maps(slab, inside, SPACING)["front"], 22.689, atol=0.1)


def test_water_of_any_table_is_its_geometric_length() -> None:
    water = np.zeros((4, 5, 40), np.float32)
    maps = path_maps(water, np.ones(water.shape, bool), SPACING)
    np.testing.assert_allclose(maps["front"], 15.0)
    np.testing.assert_allclose(maps["side"], 8.0)


ATOMS = {
    **{"H": (1, 1.008), "C": (6, 12.011), "N": (7, 14.007), "O": (8, 15.999), "Na": (11, 22.990)},
    **{"Mg": (12, 24.305), "P": (15, 30.974), "S": (16, 32.06), "Cl": (17, 35.45), "Ar": (18, 39.95)},
    **{"K": (19, 39.098), "Ca": (20, 40.078)},
}
TISSUES = [
    (0.001205, "C .000124 N .755268 O .231781 Ar .012827"),
    (0.26, "H .103 C .105 N .031 O .749 Na .002 P .002 S .003 Cl .003 K .002"),
    (0.95, "H .114 C .598 N .007 O .278 Na .001 S .001 Cl .001"),
    (1.0, "H .1119 O .8881"),
    (1.05, "H .102 C .143 N .034 O .710 Na .001 P .002 S .003 Cl .001 K .004"),
    (1.18, "H .085 C .404 N .028 O .367 Na .001 Mg .001 P .034 S .002 Cl .002 K .001 Ca .074"),
    (1.61, "H .050 C .212 N .040 O .435 Na .001 Mg .002 P .081 S .003 Ca .176"),
    (1.92, "H .034 C .155 N .042 O .435 Na .001 Mg .002 P .103 S .003 Ca .225"),
]
"""Mass density in g/cm3 and mass fractions of air, lung, adipose tissue, water, muscle and three bones."""


def test_the_table_is_that_of_the_stoichiometric_calibration() -> None:
    electrons, attenuation = [], []
    for density, mixture in TISSUES:
        words = mixture.split()
        parts = [(*ATOMS[name], float(share)) for name, share in zip(words[::2], words[1::2], strict=True)]
        electrons.append(density * sum(w * z / a for z, a, w in parts))
        attenuation.append(
            density * sum(w / a * (z + 1.24e-3 * z**2.86 + 3.06e-5 * z**4.62) for z, a, w in parts)
        )
    hu = 1000 * (np.array(attenuation) / attenuation[3] - 1)
    np.testing.assert_allclose(SCHNEIDER.hu, hu, atol=0.8)
    np.testing.assert_allclose(SCHNEIDER.density, np.array(electrons) / electrons[3], atol=6e-4)
    check_densities(SCHNEIDER, "Schneider")


@given(hnp.arrays(np.float32, 50, elements=st.floats(-2000, 4000, width=32)))
def test_more_hu_are_never_less_dense(values: NDArray[np.float32]) -> None:
    found = relative_density(np.sort(values), SCHNEIDER)
    assert np.all(np.diff(found) >= -1e-12)
    assert found.min() >= 0


def test_beyond_the_last_knot_its_line_goes_on() -> None:
    hu = np.array([1524, 2049, -3000], np.float32)
    np.testing.assert_allclose(relative_density(hu, SCHNEIDER), [1.781, 2.045, 0.001], atol=1e-6)


@pytest.mark.parametrize(
    ("hu", "density", "words"),
    [
        ([-1000, 0, 500, 400, 3000], [0, 1, 1.2, 1.3, 2], "400 HU with density 1.3 follow 500 HU"),
        ([-1000, 0, 0, 3000], [0, 1, 1, 2], "0 HU with density 1 follow 0 HU"),
        ([-1000, 0, 1000, 3000], [0, 1, 1.6, 1.5], "densities must not fall"),
        ([-1000, 0, math.nan, 3000], [0, 1, 1.1, 2], "finite"),
        ([-1000, 0, 3000], [0, 1, math.inf], "finite"),
        ([0], [1], "two rows or more"),
        ([-1000, 0, 3000], [0, 3.343, 8], "is 3.343 at 0 HU"),
        ([0, 1000, 4000], [0, 1, 2.5], "from 0 to 4000 HU"),
        ([-1000, 0, 500], [0, 1, 1.3], "from -1000 to 500 HU"),
        ([-1000, 0, 3000], [1, 1, 1], "is 1 at 0 HU and 1 at -1000 HU"),
        ([-1000, 0, 3000], [-0.5, 1, 2], "-0.5 at -1000 HU"),
    ],
)
def test_a_table_that_is_none_is_refused(hu: list[float], density: list[float], words: str) -> None:
    table = Densities(name="mine", hu=tuple(map(float, hu)), density=tuple(map(float, density)))
    with pytest.raises(InputRefused, match=r"mine\.csv: ") as refusal:
        check_densities(table, "mine.csv")
    assert words in str(refusal.value)


PLASTIMATCH = {
    "front": {(8, 6): 0.1188, (16, 10): 0.0759, (9, 10): 0.099, (5, 3): 0.0924, (2, 2): 0.0},
    "side": {(7, 6): 0.0968, (12, 10): 0.0638, (11, 10): 0.0638, (4, 3): 0.0704},
}
"""Pixels of `plastimatch drr -i exact -P preprocess`, 1.10.0, with the source at 1000 km; and their sums."""
SUMS = {"front": 18.2424011, "side": 12.1616001}
PLASTIMATCH_WATER = 0.0022
"""Attenuation of water per mm by that program."""


def test_radiographs_are_plastimatchs() -> None:
    head = np.full((24, 20, 16), -1000, np.float32)
    head[4:20, 3:17, 2:14], head[6:12, 5:9, 4:9] = 0, 1000
    head[14:18, 10:15, 8:13], head[8:10, 10:14, 9:12] = -500, 250
    drawn = radiographs(head, SPACING)
    for beam, pixels in PLASTIMATCH.items():
        ours = drawn[beam] * PLASTIMATCH_WATER / WATER_PER_MM  # type: ignore[index]
        assert {place: ours[place] for place in pixels} == pytest.approx(pixels, rel=0.01, abs=1e-6)
        assert ours.sum() == pytest.approx(SUMS[beam], rel=0.001)


def test_a_radiograph_has_no_negative_attenuation() -> None:
    padded = np.full((3, 4, 5), -3024, np.float32)
    assert all((image == 0).all() for image in radiographs(padded, SPACING).values())


def test_differences_are_means_over_the_rays_that_count() -> None:
    reference = np.array([[10.0, 20.0], [30.0, 0.0]])
    prediction = reference + np.array([[1.0, 3.0], [-1.0, 99.0]])
    found = path_length(prediction, reference, reference > 0)
    assert found is not None
    assert dataclasses.astuple(found) == pytest.approx((20.0, 1.0, math.sqrt(8 / 3), 3))
    assert path_length(prediction, reference, reference > 100) is None
