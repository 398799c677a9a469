"""Resampling between what lies at an angle or unevenly and a regular grid: linear, nothing invented outside.

Slices may be tilted against their stack and uneven. Between two of them, a point's value is interpolated
along the line that joins equal pixels of both, so shear and uneven gaps are undone exactly where the image
is linear.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medtranslate.geometry import Floats, SliceGeometry
from medtranslate.io.bounds import check_size
from medtranslate.io.shear import corners, describe_shear, right_angled
from medtranslate.io.volume import Volume
from medtranslate.modality import PADDING, Modality

Values = NDArray[np.float32]

_DIGITS = 6
"""Coordinates are rounded to a millionth of a voxel, so that a point on the rim lies inside."""


def regrid(volume: Volume, where: str, modality: Modality | None = None) -> Volume:
    """Resample a volume onto a regular grid along its own rows, columns and normal, if it is irregular.

    Pixels keep their size; the slices lie evenly from the first to the last, about the median gap apart.

    Args:
        where: what a message names, such as the file.
        modality: its modality, where it does not say so itself.

    Raises:
        Unreadable: the grid would be over the bound.
    """
    modality, slices = volume.meta.modality or modality, volume.meta.slices
    if slices is None:
        return _straighten(volume, where, modality) if describe_shear(volume.affine) else volume
    row = slices.orientations[0, 0]
    axes = np.array([row, np.cross(slices.normal, row), slices.normal])
    extent = float(slices.gaps.sum())
    gap = extent / max(1, round(extent / float(np.median(slices.gaps))))
    sizes = np.array([slices.pixel_mm[1], slices.pixel_mm[0], gap])
    fill = _outside(volume, modality)
    values, affine = to_grid(volume.values, slices, axes, sizes, fill, where)
    note = f"resampled onto a regular grid ({slices})"
    kept = [text for text in volume.meta.warnings if not text.startswith("no regular grid")]
    return Volume(values, affine, replace(volume.meta, slices=None, warnings=(note, *kept)))


def _straighten(volume: Volume, where: str, modality: Modality | None) -> Volume:
    """Resample a sheared volume onto the smallest grid with right angles that holds it all.

    Values are interpolated linearly between the array's own neighbours.
    """
    axes, sizes = right_angled(volume.affine)
    fill = _outside(volume, modality)
    ends = corners(volume.values.shape) @ volume.affine[:3].T @ axes.T
    shape, affine = _around(ends, axes, sizes, where)
    grid = np.empty(shape, np.float32, order="F")
    to_array = np.linalg.inv(volume.affine) @ affine
    in_plane = np.indices(shape[:2]).reshape(2, -1).T
    for index in range(shape[2]):
        places = in_plane @ to_array[:3, :2].T + to_array[:3, 2] * index + to_array[:3, 3]
        grid[:, :, index] = _sample(volume.values, places, fill).reshape(shape[:2])
    note = f"resampled onto a grid with right angles ({describe_shear(volume.affine)}), {fill:g} outside"
    return Volume(grid, affine, replace(volume.meta, warnings=(note, *volume.meta.warnings)))


def _outside(volume: Volume, modality: Modality | None) -> float:
    """Value of what lies outside a volume: of its modality, else the volume's lowest."""
    return PADDING[modality] if modality else float(volume.values.min())


def _around(points: Floats, axes: Floats, sizes: Floats, where: str) -> tuple[tuple[int, int, int], Floats]:
    """Shape and affine of the smallest grid that holds points, which are given along its axes [P, 3].

    Raises:
        Unreadable: the grid would be over the bound.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    columns, rows, slices = np.ceil((high - low) / sizes - 10.0**-_DIGITS).astype(int).tolist()
    shape = columns + 1, rows + 1, slices + 1
    check_size(shape, f"{where}: on a regular grid")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes.T * sizes, low @ axes
    return shape, affine


def to_grid(
    values: Values, slices: SliceGeometry, axes: Floats, sizes: Floats, fill: float, where: str
) -> tuple[Values, Floats]:
    """Slices on the smallest regular grid that holds them all.

    Args:
        values: [X, Y, Z].
        slices: where they lie.
        axes: unit directions of the grid, RAS+, one in each row.
        sizes: voxel size along each, mm.
        fill: what lies outside the slices.

    Returns:
        Values and affine of the grid.

    Raises:
        Unreadable: the grid would be over the bound.
    """
    ends = np.array([(i, j) for i in (0, values.shape[0] - 1) for j in (0, values.shape[1] - 1)])
    points = np.concatenate([_points(slices, index, ends) for index in range(values.shape[2])])
    shape, affine = _around(points @ axes.T, axes, sizes, where)
    grid = np.empty(shape, np.float32, order="F")
    in_plane = np.indices(shape[:2]).reshape(2, -1).T
    for index in range(shape[2]):
        points = in_plane @ affine[:3, :2].T + affine[:3, 2] * index + affine[:3, 3]
        plane = _sample(values, _places(slices, points), fill)
        grid[:, :, index] = plane.reshape(shape[:2])
    return grid, affine


def from_grid(
    values: Values, affine: Floats, slices: SliceGeometry, shape: tuple[int, int], fill: float
) -> Values:
    """Values of a regular grid at the pixels of slices: the way back from `to_grid`.

    Args:
        values: [X, Y, Z] on the grid of `affine`.
        shape: columns and rows of a slice.
        fill: what lies outside the grid.
    """
    inverse = np.linalg.inv(affine)
    pixels = np.indices(shape).reshape(2, -1).T
    made = np.empty((*shape, len(slices.positions)), np.float32, order="F")
    for index in range(made.shape[2]):
        places = _points(slices, index, pixels) @ inverse[:3, :3].T + inverse[:3, 3]
        made[:, :, index] = _sample(values, places, fill).reshape(shape)
    return made


def _points(slices: SliceGeometry, index: int, pixels: NDArray[np.integer]) -> Floats:
    """RAS+ mm [P, 3] of pixels [P, 2] (column, row) of one slice."""
    rows_mm, columns_mm = slices.pixel_mm
    points: Floats = pixels * (columns_mm, rows_mm) @ slices.orientations[index] + slices.positions[index]
    return points


def _places(slices: SliceGeometry, points: Floats) -> Floats:
    """Array coordinates (column, row, slice) [P, 3] of RAS+ points [P, 3]; slice -1 is outside."""
    heights = np.round(slices.positions @ slices.normal, _DIGITS)
    index = np.interp(
        np.round(points @ slices.normal, _DIGITS), heights, np.arange(len(heights)), left=-1, right=-1
    )
    known = np.arange(len(heights))
    origins = np.stack([np.interp(index, known, line) for line in slices.positions.T], axis=1)
    rows_mm, columns_mm = slices.pixel_mm
    steps = slices.orientations[0] * [[columns_mm], [rows_mm]]
    return np.column_stack([(points - origins) @ np.linalg.pinv(steps), index])


def _sample(values: Values, places: Floats, fill: float) -> Values:
    from scipy import ndimage  # a quarter of a second to import, and most volumes are not resampled

    sampled: Values = ndimage.map_coordinates(
        values, np.round(places, _DIGITS).T, np.float32, order=1, mode="constant", cval=fill
    )
    return sampled
