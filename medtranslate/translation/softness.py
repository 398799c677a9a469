"""Softness of CT pictures: what smooth kernels, thick slices and resampling make of a CT in HU."""

from __future__ import annotations

from scipy import ndimage

from medtranslate.config import ScaleSettings
from medtranslate.transforms import scale_ct, unscale_ct
from medtranslate.translation.framed import Floats, Framed


def soften(framed: Framed, inside: Floats, scale: ScaleSettings) -> None:
    """Blur CT that becomes a picture by `scale.ct_picture_blur`, in place.

    The mean is one of HU, so bone of 1000 HU reaches further in the window of a picture, as it does in
    published ones.

    Args:
        inside: slices of the frame [Z, Y, X] in [-1, 1].
    """
    if framed.modality == "ct" or not framed.axial.is_picture or not scale.ct_picture_blur:
        return
    sigma = scale.ct_picture_blur * max(framed.frame.height, framed.frame.width) / 256
    for plane in inside:
        hu = unscale_ct(plane, scale.ct_curve)
        plane[...] = scale_ct(ndimage.gaussian_filter(hu, sigma), scale.ct_curve)
