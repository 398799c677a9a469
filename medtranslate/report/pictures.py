"""Arrays for views to draw."""

from __future__ import annotations

from dataclasses import dataclass

from medtranslate.geometry import Floats
from medtranslate.metrics import Range, Values, Voxels


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
        uncertainty: standard deviation in the result's unit, or None.
        affine: array index to RAS+ mm, or None for pictures, which have no place.
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


@dataclass(frozen=True)
class Shown:
    """Arrays of a translation without a reference, on one grid in the layout LPS, [X, Y, Z].

    Attributes:
        source: the translated image, in its own unit.
        translation: in `unit`.
        uncertainty: standard deviation in the same unit, or None.
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
