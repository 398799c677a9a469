"""The arrays that a view may draw."""

from __future__ import annotations

from dataclasses import dataclass

from medtranslate.geometry import Floats
from medtranslate.metrics import Range, Values, Voxels


@dataclass(frozen=True)
class Pictures:
    """What was compared, on one grid in the layout LPS, [X, Y, Z] with axial slices along Z.

    Attributes:
        prediction: the translation, in the result's unit.
        reference: the truth, clipped as it was scored.
        mask: voxels that were scored.
        data_range: values shown as black and white.
        spacing_mm: voxel size along x, y and z.
        source: what was translated, in its own unit, or None.
        source_range: values of `source` shown as black and white.
        source_unit: unit of `source`.
        unclipped: the truth as it is, or None where it was scored as it is.
        spread: standard deviation over samples in the result's unit, or None.
        affine: array index to RAS+ mm, or None where the images have no place (pictures).
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
    spread: Values | None = None
    affine: Floats | None = None


@dataclass(frozen=True)
class Shown:
    """A translation without a reference, on one grid in the layout LPS, [X, Y, Z].

    Attributes:
        source: what was translated, in its own unit.
        translation: in `unit`.
        spread: standard deviation over samples in the same unit, or None.
        mask: the head.
        source_range, range: values shown as black and white.
        spacing_mm: voxel size along x, y and z.
        source_unit, unit: units of `source` and of `translation`.
        affine: array index to RAS+ mm, or None where the images have no place (pictures).
        regular: False for slices that are tilted or lie at uneven distances, of which no other planes
            can be shown.
    """

    source: Values
    translation: Values
    spread: Values | None
    mask: Voxels
    source_range: Range
    range: Range
    spacing_mm: tuple[float, float, float]
    source_unit: str = "units as stored"
    unit: str = "units as stored"
    affine: Floats | None = None
    regular: bool = True
