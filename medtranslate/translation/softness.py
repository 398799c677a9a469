"""Softness of CT pictures: what smooth kernels, thick slices and resampling make of a CT in HU."""

from __future__ import annotations

from scipy import ndimage

from medtranslate.config import ScaleSettings
from medtranslate.transforms import scale_ct, unscale_ct
from medtranslate.translation.framed import Floats, Framed

SIGMA = 1.5
"""Sigma of the blur in pixels of a frame of 256: of 0 to 2, that with the least error of pairs that choose.

The rim of bone in published pictures is that of slices which a sigma of 2.0 to 2.8 has blurred, and networks
learn a CT with 0.3 to 1.3 (`benchmarks.quality.softness`)."""


def soften(framed: Framed, inside: Floats, scale: ScaleSettings) -> None:
    """Blur CT that becomes a picture, in place, as published pictures are.

    Bone of 1000 HU reaches further then in the window of the brain. The mean is one of HU, so a CT that the
    model knows in its window alone stays as it is.

    Args:
        inside: slices of the frame [Z, Y, X] in [-1, 1].
    """
    if framed.modality == "ct" or not framed.axial.is_picture or scale.ct_picture is None:
        return
    pixels = SIGMA * max(framed.frame.height, framed.frame.width) / 256
    for plane in inside:
        hu = unscale_ct(plane, scale.ct_curve)
        plane[...] = scale_ct(ndimage.gaussian_filter(hu, pixels), scale.ct_curve)
