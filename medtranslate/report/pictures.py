"""Arrays for views to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtranslate.geometry import Floats
from medtranslate.metrics import Range, Values, Voxels
from medtranslate.records import Beam

Projected = NDArray[np.float64]


Maps = Mapping[Beam, tuple[Projected, Projected]]
"""Projections of prediction and reference by beam, [X, Z] from the front and [Y, Z] from the side."""


@dataclass(frozen=True)
class Projections:
    """Projections of a CT and its reference along parallel beams.

    Attributes:
        paths: water-equivalent path lengths in mm.
        radiographs: line integrals of the linear attenuation.
    """

    paths: Maps
    radiographs: Maps


@dataclass(frozen=True)
class Pictures:
    """Arrays of a comparison, on one grid in the layout LPS, [X, Y, Z] with axial slices along Z.

    Attributes:
        prediction: the translation, in the result's unit.
        reference: the truth, clipped as for the scores.
        mask: scored voxels.
        data_range: values shown as black and white.
        spacing_mm: voxel size along x, y and z.
        source: the translated image in its own unit, or None.
        source_range: values of `source` shown as black and white.
        source_unit: unit of `source`.
        unclipped: the truth before clipping, or None without clipping.
        uncertainty: standard deviation or error limit in the result's unit, or None.
        affine: array index to RAS+ mm, or None for pictures, which have no place.
        projections: of prediction and reference, or None.
    """

    prediction: Values
    reference: Values
    mask: Voxels
    data_range: Range
    spacing_mm: tuple[float, float, float]
    source: Values | None = None
    source_range: Range = (0.0, 1.0)
    source_unit: str = "units as stored"
    unclipped: Values | None = None
    uncertainty: Values | None = None
    affine: Floats | None = None
    projections: Projections | None = None


@dataclass(frozen=True)
class Shown:
    """Arrays of a translation without a reference, on one grid in the layout LPS, [X, Y, Z].

    Attributes:
        source: the translated image, in its own unit.
        translation: in `unit`.
        uncertainty: standard deviation or error limit in the same unit, or None.
        mask: the head.
        source_range, range: values shown as black and white.
        spacing_mm: voxel size along x, y and z.
        source_unit, unit: units of `source` and of `translation`.
        affine: array index to RAS+ mm, or None for pictures, which have no place.
        regular: False for tilted or uneven slices, which cannot be cut in other planes.
    """

    source: Values
    translation: Values
    uncertainty: Values | None
    mask: Voxels
    source_range: Range
    range: Range
    spacing_mm: tuple[float, float, float]
    source_unit: str = "units as stored"
    unit: str = "units as stored"
    affine: Floats | None = None
    regular: bool = True
