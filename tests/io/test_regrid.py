from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from medtranslate.errors import Unreadable
from medtranslate.geometry import SliceGeometry
from medtranslate.io import Meta, Volume, read_volume
from medtranslate.io.regrid import from_grid, regrid, to_grid


def make_slices(seed: int) -> tuple[SliceGeometry, NDArray[np.float32]]:
    """Tilted, unevenly spaced slices in any pose, and a field that is linear in space on them."""
    random = np.random.default_rng(seed)
    row, column, normal = Rotation.random(random_state=seed).as_matrix().T
    heights = np.cumsum(random.uniform(1, 6, 5))
    positions = heights[:, None] * (normal + random.uniform(-0.4, 0.4) * column) + random.uniform(-50, 50, 3)
    slices = SliceGeometry(positions, np.tile([row, column], (5, 1, 1)), (1.5, 0.75))
    columns, rows = np.indices((9, 7))
    points = positions[:, None, None] + columns[..., None] * 0.75 * row + rows[..., None] * 1.5 * column
    values = np.moveaxis(points @ [0.3, -0.7, 1.1], 0, -1)
    return slices, values.astype(np.float32)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_linear_field_is_resampled_exactly_and_nothing_is_invented_outside(seed: Any) -> None:
    slices, values = make_slices(seed)
    made = regrid(Volume(values, np.eye(4), Meta("ct", slices=slices)), "series")
    assert made.meta.slices is None
    inside = made.values != -1024
    points = np.argwhere(inside) @ made.affine[:3, :3].T + made.affine[:3, 3]
    assert inside.sum() > 20
    assert np.allclose(made.values[inside], points @ [0.3, -0.7, 1.1], atol=1e-3)
    steps = np.linalg.norm(made.affine[:3, :3], axis=0)
    assert np.allclose(steps[:2], [0.75, 1.5])
    assert np.isclose(steps[2] * (made.shape[2] - 1), slices.gaps.sum())
    # The grid is along the slices, with right angles.
    assert np.allclose(made.affine[:3, 2] / steps[2], slices.normal)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_slices_come_back_from_a_grid_around_them(seed: Any) -> None:
    slices, values = make_slices(seed)
    grid, affine = to_grid(values, slices, np.diag([-1.0, -1.0, 1.0]), np.full(3, 1.0), 0, "x")
    places = np.argwhere(np.ones(grid.shape)) @ affine[:3, :3].T + affine[:3, 3]
    whole = (places @ [0.3, -0.7, 1.1]).reshape(grid.shape).astype(np.float32)
    back = from_grid(whole, affine, slices, (9, 7), -9999)
    assert np.allclose(back, values, atol=1e-3)


def test_a_regular_scan_is_left_alone_and_a_huge_grid_refused(series: Path) -> None:
    assert read_volume(series, regular=True).meta.digest == read_volume(series).meta.digest
    slices, values = make_slices(0)
    with pytest.raises(Unreadable, match=r"x: on a regular grid: .* more than the bound"):
        to_grid(values, slices, np.eye(3), np.full(3, 0.001), 0, "x")


def test_a_head_of_a_tilted_gantry_becomes_regular(unpack: Callable[[str], Path]) -> None:
    folder = unpack("awkward") / "failing" / "gantrytilting" / "001"
    tilted, made = read_volume(folder), read_volume(folder, regular=True)
    assert made.meta.warnings == ("resampled onto a regular grid (tilted by 14.0 degrees, gaps of 4.85 mm)",)
    affine = made.affine
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    assert np.allclose(columns.T @ columns, np.eye(3), atol=1e-6)
    # Each of the tilted slices is one of the made ones, moved along its columns.
    for index, position in enumerate(tilted.meta.slices.positions):
        i, j, k = np.linalg.inv(affine)[:3] @ [*position, 1]
        assert (abs(i), abs(k - round(k))) < (1e-6, 1e-6)
        share, start = j % 1, int(j)
        plane = made.values[:, :, round(k)]
        source = tilted.values[:, :, index]
        expected = source[:, 1:] * (1 - share) + source[:, :-1] * share
        assert np.allclose(plane[:, start + 1 : start + 512], expected, atol=0.5)
