"""Records of anatomy, and of water-equivalent path lengths, in a prediction and its reference."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from medtranslate.records.frozen import FROZEN

Beam = Literal["front", "side"]
"""Parallel beam from the patient's front, or from the right side, along an axis of the grid."""


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Densities:
    """Table of relative electron densities.

    Attributes:
        name: of the table.
        hu: knots in HU, ascending.
        density: electron density of each knot, relative to water.
    """

    name: str
    hu: tuple[float, ...]
    density: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Anatomy:
    """Structures of a head in a CT and its reference, found in both by the same rule.

    Attributes:
        bone_hu: HU above which a voxel is bone.
        bone_hd95_mm: 95 % Hausdorff distance of the surfaces of bone; None if a side has none.
        skull_mm: mean thickness of the vault, of `prediction` and `reference`, and `difference`, the mean
            absolute difference along the same rays; None if it is not measured.
        ventricles_ml: volume of the ventricles in `prediction` and `reference`; None if it is not measured.
    """

    bone_hu: float
    bone_hd95_mm: float | None = None
    skull_mm: dict[str, float] | None = None
    ventricles_ml: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class PathLength:
    """Water-equivalent path length along the rays of one beam that cross the reference's body.

    Attributes:
        reference_mm: mean of the reference.
        mean_mm: mean of prediction minus reference.
        sd_mm: standard deviation of that difference.
        rays: their number.
    """

    reference_mm: float
    mean_mm: float
    sd_mm: float
    rays: int
