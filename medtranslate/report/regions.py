"""Numbers of a reader's regions, of all voxels of a volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medtranslate.metrics import Values, Voxels
from medtranslate.records import Evaluation, Region, Translation
from medtranslate.records.regions import AXES


@dataclass(frozen=True)
class Statistics:
    """Numbers of the voxels whose centre lies inside a region; `sd` has the divisor n."""

    mean: float
    sd: float
    low: float
    high: float


def image_digest(record: Evaluation | Translation) -> str | None:
    """Give the digest of the image that regions are drawn on: of the source, else of the prediction."""
    if isinstance(record, Translation):
        return record.source.digest
    if record.translation:
        return record.translation.source.digest
    inputs = record.provenance.inputs if record.provenance else {}
    return next((inputs[role].digest for role in ("source", "prediction") if role in inputs), None)


def has_area(region: Region) -> bool:
    """Return True for a rectangle, an ellipse or a freehand region."""
    return region.kind in ("rectangle", "ellipse", "freehand")


def area_mm2(region: Region, spacing: Sequence[float]) -> float:
    """Measure the area of the drawn shape in mm² (a freehand region's by the shoelace formula).

    Args:
        region: a shape with an area.
        spacing: of [X, Y, Z] in mm.
    """
    across, down, _ = AXES[region.plane]
    points = region.points
    if region.kind == "freehand":
        turns = sum(a * d - c * b for (a, b), (c, d) in pairwise([*points, points[0]]))
        voxels = abs(turns) / 2
    else:
        (a, b), (c, d) = points
        voxels = abs((c - a) * (d - b)) * (math.pi / 4 if region.kind == "ellipse" else 1.0)
    return voxels * spacing[across] * spacing[down]


def statistics(region: Region, values: Values, index: int) -> Statistics | None:
    """Measure one slice of a region; None where no voxel's centre lies inside.

    Args:
        region: a shape with an area.
        values: [X, Y, Z].
        index: of the slice in the region's plane.
    """
    across, down, through = AXES[region.plane]
    plane = values.transpose(across, down, through)[..., index]
    corners = np.array(region.points)
    first = np.maximum(np.ceil(corners.min(axis=0)), 0).astype(int)
    last = np.minimum(np.floor(corners.max(axis=0)), np.array(plane.shape) - 1).astype(int)
    box = plane[first[0] : last[0] + 1, first[1] : last[1] + 1]
    inside = box[_inside(region, first, box.shape)].astype(np.float64)
    if not inside.size:
        return None
    return Statistics(float(inside.mean()), float(inside.std()), float(inside.min()), float(inside.max()))


def _inside(region: Region, first: Values, shape: tuple[int, int]) -> Voxels:
    """Mark the voxels of a box inside the region, by the rules of the viewer.

    Args:
        region: a shape with an area.
        first: index [across, down] of the box's first voxel.
        shape: of the box.
    """
    u = first[0] + np.arange(shape[0])
    if region.kind == "rectangle":
        return np.ones(shape, bool)
    if region.kind == "ellipse":
        v = first[1] + np.arange(shape[1])
        (a, b), (c, d) = region.points
        with np.errstate(divide="ignore", invalid="ignore"):
            outward = ((2 * u - a - c) / (c - a))[:, None] ** 2 + ((2 * v - b - d) / (d - b)) ** 2
        return np.asarray(outward <= 1)
    # Even-odd rule: a ray to the right crosses the outline an odd number of times.
    starts = np.array(region.points)
    (a, b), (c, d) = starts.T, np.roll(starts, -1, axis=0).T
    inside = np.zeros(shape, bool)
    for row in range(shape[1]):
        v = first[1] + row
        hit = (b > v) != (d > v)
        crossings = np.sort((c - a)[hit] * (v - b[hit]) / (d - b)[hit] + a[hit])
        inside[:, row] = (len(crossings) - np.searchsorted(crossings, u, side="right")) % 2 == 1
    return inside
