"""The arrays that a view may draw."""

from __future__ import annotations

from dataclasses import dataclass

from medtranslate.metrics import Range, Volume, Voxels


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
    """

    prediction: Volume
    reference: Volume
    mask: Voxels
    data_range: Range
    spacing_mm: tuple[float, float, float]
    source: Volume | None = None
    source_range: Range = (0.0, 1.0)


@dataclass(frozen=True)
class Shown:
    """A translation without a reference, on one grid in the layout LPS, [X, Y, Z].

    Attributes:
        source: what was translated, as the model sees it.
        translation: in the record's unit.
        spread: standard deviation over samples in the same unit, or None.
        mask: the head.
        source_range, range: values shown as black and white.
        spacing_mm: voxel size along x, y and z.
    """

    source: Volume
    translation: Volume
    spread: Volume | None
    mask: Voxels
    source_range: Range
    range: Range
    spacing_mm: tuple[float, float, float]
