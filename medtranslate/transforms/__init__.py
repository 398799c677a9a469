"""From physical units on any grid to framed axial slices in [-1, 1], and back.

A volume is [1, X, Y, Z]. Laid out axially, its slices are [Z, 1, Y, X]. One step a file; `dictionary` holds
the steps as MONAI transforms.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medtranslate.transforms.augmentation import augment, other_window
from medtranslate.transforms.framing import (
    SCALP,
    Frame,
    Head,
    Overview,
    coarse_steps,
    coarsen,
    find_frame,
    find_head,
    into_frame,
    isolate,
    out_of_frame,
    overview,
)
from medtranslate.transforms.intensity import (
    AIR,
    VISIBLE,
    denormalise,
    input_range,
    mr_top,
    normalise,
    scale_ct,
    scale_mr,
    unscale_ct,
)

if TYPE_CHECKING:
    from medtranslate.transforms.dictionary import AugmentedCopyd, AxialLayoutd, FrameHeadd, Normalised
    from medtranslate.transforms.layout import (
        from_axial,
        from_slices,
        onto_slices,
        pixel_mm,
        to_axial,
        to_slices,
        upright,
    )

_OF_MONAI = {
    **dict.fromkeys(("AugmentedCopyd", "AxialLayoutd", "FrameHeadd", "Normalised"), "dictionary"),
    **dict.fromkeys(
        ("from_axial", "from_slices", "onto_slices", "pixel_mm", "to_axial", "to_slices", "upright"), "layout"
    ),
}
"""Names that need MONAI, and their modules: imported when they are asked for, since MONAI is slow to load."""

__all__ = [
    "AIR",
    "SCALP",
    "VISIBLE",
    "AugmentedCopyd",
    "AxialLayoutd",
    "Frame",
    "FrameHeadd",
    "Head",
    "Normalised",
    "Overview",
    "augment",
    "coarse_steps",
    "coarsen",
    "denormalise",
    "find_frame",
    "find_head",
    "from_axial",
    "from_slices",
    "input_range",
    "into_frame",
    "isolate",
    "mr_top",
    "normalise",
    "onto_slices",
    "other_window",
    "out_of_frame",
    "overview",
    "pixel_mm",
    "scale_ct",
    "scale_mr",
    "to_axial",
    "to_slices",
    "unscale_ct",
    "upright",
]


def __getattr__(name: str) -> Any:
    """Import what needs MONAI only when it is asked for."""
    if name not in _OF_MONAI:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_OF_MONAI[name]}"), name)
