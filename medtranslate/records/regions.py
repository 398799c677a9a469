"""Regions that a reader drew in the viewer of a page, and exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, FiniteFloat, NonNegativeInt
from pydantic.dataclasses import dataclass

from medtranslate.config import PlaneName
from medtranslate.errors import InputRefused, Unreadable
from medtranslate.records.json_files import from_json

SCHEMA = "medtranslate/regions/1"
MOST_BYTES = 20_000_000
"""Most bytes of a file of regions, as in the viewer."""
MOST_REGIONS = 500
MOST_POINTS = 5000
AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
"""Axes of [X, Y, Z] by plane: across, down, and through its slices."""
_LEAST = {"rectangle": 2, "ellipse": 2, "freehand": 3, "distance": 2, "angle": 3}

READ = ConfigDict(extra="ignore")
"""The file holds more than is read: the page's numbers, its images and the comment."""
Points = Annotated[tuple[tuple[FiniteFloat, FiniteFloat], ...], Field(min_length=2, max_length=MOST_POINTS)]


@dataclass(frozen=True, kw_only=True, config=READ)
class Region:
    """Shape in a plane of a volume in the axial layout.

    Attributes:
        slices: first and last index through the plane.
        points: voxel indices [across, down]; whole numbers are the centres of voxels. A rectangle has two
            corners, an ellipse two corners of its box, a freehand region its outline.
        name: given by the reader.
    """

    kind: Literal["rectangle", "ellipse", "freehand", "distance", "angle"]
    plane: PlaneName
    slices: tuple[NonNegativeInt, NonNegativeInt]
    points: Points
    name: Annotated[str, Field(max_length=100)] = ""


@dataclass(frozen=True, kw_only=True, config=READ)
class Regions:
    """Regions of one image.

    Attributes:
        shape: voxels of the image along [X, Y, Z].
        digest: SHA-256 of the image (`Volume.meta.digest`), or None where none is recorded.
    """

    shape: tuple[int, int, int]
    regions: Annotated[tuple[Region, ...], Field(max_length=MOST_REGIONS)]
    digest: str | None = None


def read_regions(path: Path) -> Regions:
    """Read the file that *Export regions* of a page wrote.

    Raises:
        Unreadable: no JSON, too large, or not of this version's form.
        InputRefused: a region lies outside the image.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise Unreadable(f"{path}: {size} bytes; regions of up to {MOST_BYTES} bytes are read")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Unreadable(f"{path}: is no JSON; give the file that Export regions of a page wrote") from None
    schema = values.get("schema") if isinstance(values, dict) else None
    if schema != SCHEMA:
        raise Unreadable(f"{path}: its schema is {schema!r}; this version reads regions of {SCHEMA!r}")
    found = from_json(Regions, values, str(path))
    for number, region in enumerate(found.regions, start=1):
        if flaw := _flaw(region, found.shape):
            raise InputRefused(f"{path}: region {number} {flaw}; export the regions again from their page")
    return found


def _flaw(region: Region, shape: tuple[int, int, int]) -> str:
    """Say what is wrong with a region, if anything."""
    across, down, through = (shape[axis] for axis in AXES[region.plane])
    first, last = region.slices
    if not first <= last < through:
        return f"lies in the {region.plane} slices {first} to {last}, outside the image (0 to {through - 1})"
    least = _LEAST[region.kind]
    if len(region.points) < least or (region.kind != "freehand" and len(region.points) > least):
        return f"has {len(region.points)} points; the kind {region.kind} has {least}"
    for u, v in region.points:
        if not (-0.5 <= u <= across - 0.5 and -0.5 <= v <= down - 0.5):
            return f"has the point ({u:g}, {v:g}) outside the image ({across} x {down} voxels)"
    return ""
