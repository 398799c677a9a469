"""Tools for painting a plane of a head: planes, smooth random fields, signed distances, and a canvas.

A signed distance is in mm of the standard head, negative inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtranslate.phantom.head import Head, Waves
from medtranslate.phantom.tissues import LABEL, Floats

Box = tuple[slice, slice]
ALL: Box = (slice(None), slice(None))


@dataclass(frozen=True, eq=False)
class Plane:
    """A grid of points in scan coordinates (RAS+ mm): origin + i * rows + j * columns.

    Attributes:
        shape: (count of i, count of j).
    """

    origin: Floats
    rows: Floats
    columns: Floats
    shape: tuple[int, int]


def field(waves: Waves, plane: Plane) -> Floats:
    """Evaluate a sum of plane waves on a plane, [rows, columns].

    The identity sin(a + b) = sin a cos b + cos a sin b reduces it to one small matrix product.
    """
    i, j = (np.arange(n, dtype=np.float32) for n in plane.shape)
    a = (waves.vectors @ plane.origin + waves.phases) + np.outer(i, waves.vectors @ plane.rows)
    b = np.outer(waves.vectors @ plane.columns, j)
    left = np.concatenate([np.sin(a), np.cos(a)], axis=1)
    summed: Floats = (left * np.float32(waves.amplitude)) @ np.concatenate([np.cos(b), np.sin(b)])
    return summed


def at(waves: Waves, points: Floats) -> Floats:
    """Evaluate a sum of plane waves at points [n, 3]."""
    summed: Floats = np.sin(points @ waves.vectors.T + waves.phases).sum(axis=1) * np.float32(waves.amplitude)
    return summed


@dataclass(frozen=True, eq=False)
class Frame:
    """A plane in coordinates of the standard head: its points, and the place of a box on it."""

    head: Head
    plane: Plane
    points: Floats
    origin: Floats
    axes: Floats
    spacing: Floats

    @classmethod
    def of(cls, head: Head, plane: Plane) -> Frame:
        to_head = (head.rotation / head.scale[:, None]).astype(np.float32)
        origin = to_head @ (plane.origin - head.shift)
        rows, columns = to_head @ plane.rows, to_head @ plane.columns
        i, j = (np.arange(n, dtype=np.float32) for n in plane.shape)
        points = np.empty((3, *plane.shape), np.float32)
        for axis in range(3):
            straight = (origin[axis] + rows[axis] * i)[:, None] + (columns[axis] * j)[None]
            np.add(field(head.warp[axis], plane), straight, out=points[axis])
        normal = np.cross(rows, columns)
        axes = np.stack([rows, columns, normal])
        spacing = np.linalg.norm(axes, axis=1)
        return cls(
            head,
            plane,
            points,
            origin,
            (axes / spacing[:, None]).astype(np.float32),
            spacing.astype(np.float32),
        )

    @property
    def pixel(self) -> float:
        """Width of a pixel in mm of the standard head."""
        return float(0.5 * (self.spacing[0] + self.spacing[1]))

    def boxes(self, centres: Floats, halves: Floats) -> list[tuple[int, Box]]:
        """Find the boxes [n, 3] with half sides [n, 3] that meet the plane, and their places on it."""
        margin = np.float32(1.5 + self.pixel)
        warped = np.stack([at(waves, self.to_scan(centres)) for waves in self.head.warp], axis=1)
        place = (centres - warped - self.origin) @ self.axes.T
        reach = halves @ np.abs(self.axes).T + margin
        low = np.floor((place - reach)[:, :2] / self.spacing[:2]).astype(int).clip(0)
        high = np.ceil((place + reach)[:, :2] / self.spacing[:2]).astype(int) + 1
        high = np.minimum(high, self.plane.shape)
        hit = (np.abs(place[:, 2]) < reach[:, 2]) & (low < high).all(axis=1)
        corners = zip(low[hit].tolist(), high[hit].tolist(), strict=True)
        found = [(slice(lo[0], hi[0]), slice(lo[1], hi[1])) for lo, hi in corners]
        return list(zip(np.flatnonzero(hit).tolist(), found, strict=True))

    def to_scan(self, points: Floats) -> Floats:
        """Convert standard to scan coordinates [n, 3], without the warp."""
        turned: Floats = ((points * self.head.scale) @ self.head.rotation).astype(np.float32)
        return turned + self.head.shift


@dataclass(frozen=True, eq=False)
class Canvas:
    """Images [channels, rows, columns] and the label on top.

    Attributes:
        values: value of each tissue in each channel, [channels, tissues].
        head: inside the skin, air included.
        softness: width of a boundary in mm.
    """

    values: Floats
    images: Floats
    labels: NDArray[np.uint8]
    head: NDArray[np.bool_]
    softness: float

    @classmethod
    def blank(cls, values: Floats, shape: tuple[int, int], softness: float) -> Canvas:
        images = np.empty((len(values), *shape), np.float32)
        images[:] = values[:, :1, None]
        return cls(values, images, np.zeros(shape, np.uint8), np.zeros(shape, np.bool_), softness)

    def fill(self, tissue: str, distance: Floats, box: Box = ALL) -> None:
        """Paint a tissue at points of negative `distance`."""
        label = LABEL[tissue]
        cover = distance * np.float32(-1.0 / self.softness)
        cover += np.float32(0.5)
        np.maximum(cover, 0.0, out=cover)
        np.minimum(cover, 1.0, out=cover)
        images = self.images[:, *box]
        change = self.values[:, label, None, None] - images
        change *= cover
        images += change
        self.labels[box][cover > 0.5] = label


def tube(points: Floats, start: Floats, end: Floats, radii: Floats, taper: float) -> Floats:
    """Compute the signed distance to a tapered tube, first order at its surface, [h, w].

    With w the offset from the nearest point of the axis and k = |w / r|: (k - 1) k / |w / r^2|
    (f / |grad f| for the ellipsoid f = k - 1).
    """
    inverse = (np.float32(1.0) / radii)[:, None, None]
    offset = points - start[:, None, None]
    axis = end - start
    length = float(axis @ axis)
    tapered = length > 0.0 and taper != 1.0
    if length > 0.0:
        along = np.einsum("c,chw->hw", axis / np.float32(length), offset)
        np.maximum(along, 0.0, out=along)
        np.minimum(along, 1.0, out=along)
        offset -= axis[:, None, None] * along
    offset *= inverse
    k2 = np.einsum("chw,chw->hw", offset, offset)
    offset *= inverse
    steep = np.einsum("chw,chw->hw", offset, offset)
    steep += np.float32(1e-12)
    np.sqrt(steep, out=steep)
    k = np.sqrt(k2)
    if tapered:
        k *= along * np.float32(taper - 1.0) + np.float32(1.0)
    distance: Floats = (k2 - k) / steep
    return distance


def blend(a: Floats, b: Floats, width: float) -> Floats:
    """Blend two distances by a smooth minimum (polynomial, Quilez 2013): their union with a fillet."""
    overlap = np.maximum(width - np.abs(a - b), 0.0)
    joined: Floats = np.minimum(a, b) - overlap * overlap * np.float32(0.25 / width)
    return joined


def ellipsoid(
    points: Floats, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Floats:
    """Compute the signed distance to an ellipsoid, [h, w]."""
    middle = np.array(centre, np.float32)
    return tube(points, middle, middle, np.array(radii, np.float32), 1.0)
