"""From physical units on any grid to framed axial slices in [-1, 1], and back.

A volume is [1, X, Y, Z]. Laid out axially, its slices are [Z, 1, Y, X]. One step a file; `dictionary` holds
the steps as MONAI transforms.
"""

from __future__ import annotations

from medtranslate.transforms.augmentation import augment, other_window
from medtranslate.transforms.dictionary import AugmentedCopyd, AxialLayoutd, FrameHeadd, Normalised
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
    origin,
    outside,
    scale_ct,
    scale_mr,
    unscale_ct,
)
from medtranslate.transforms.layout import (
    from_axial,
    from_slices,
    onto_slices,
    pixel_mm,
    to_axial,
    to_slices,
    upright,
)

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
    "origin",
    "other_window",
    "out_of_frame",
    "outside",
    "overview",
    "pixel_mm",
    "scale_ct",
    "scale_mr",
    "to_axial",
    "to_slices",
    "unscale_ct",
    "upright",
]
