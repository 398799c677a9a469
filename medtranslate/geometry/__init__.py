"""Places of voxels: LPS and RAS, affines, and slices stacked along their normal.

An affine maps an array index (i, j, k, 1) to millimetres. DICOM uses LPS (x grows to the patient's
left, y to posterior, z to superior; PS3.3 C.7.6.2.1.1), NIfTI and MONAI use RAS. Inside this
package every affine is RAS+; DICOM headers are converted when they are read.
"""

from __future__ import annotations

from medtranslate.geometry.affines import (
    COSINE,
    ROUNDED,
    Floats,
    check_affine,
    slice_directions,
    slice_normal,
    spacing,
    swap_lps_ras,
)
from medtranslate.geometry.slices import (
    POSITION_MM,
    POSITION_SHARE,
    TILT_DEGREES,
    SliceGeometry,
    Stack,
    require_grid,
    slices_of,
    stack_slices,
)

__all__ = [
    "COSINE",
    "POSITION_MM",
    "POSITION_SHARE",
    "ROUNDED",
    "TILT_DEGREES",
    "Floats",
    "SliceGeometry",
    "Stack",
    "check_affine",
    "require_grid",
    "slice_directions",
    "slice_normal",
    "slices_of",
    "spacing",
    "stack_slices",
    "swap_lps_ras",
]
