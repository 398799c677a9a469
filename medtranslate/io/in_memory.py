"""Images that are in memory already, as volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from medtranslate.errors import InputRefused, UsageError
from medtranslate.geometry import check_affine
from medtranslate.io.volume import Meta, Volume
from medtranslate.modality import Modality


def as_volume(image: Any, affine: ArrayLike | None = None, modality: Modality | None = None) -> Volume:
    """Take an image of another library as a volume.

    Args:
        image: a `Volume`, MONAI `MetaTensor` [1, X, Y, Z] or [X, Y, Z], nibabel image, or array [X, Y, Z].
        affine: [4, 4], array index to RAS+ mm; arrays need it, others have their own.
        modality: what the image has to be, where it says it.

    Raises:
        InputRefused: it is of another modality, or has voxels that are not finite.
        GeometryRefused: it has other than three axes, or an affine that maps no volume.
        UsageError: an array comes without affine, or another image with one.
    """
    if affine is not None and (isinstance(image, Volume) or hasattr(image, "affine")):
        raise UsageError("affine: this image has its own; leave it away")
    volume = _taken(image, affine)
    check_affine(volume.affine, volume.where)
    if modality and volume.meta.modality not in (None, modality):
        raise InputRefused(f"{volume.where}: is {volume.meta.modality}, not {modality}; give the other image")
    if not np.isfinite(volume.values.sum(dtype=np.float64)):
        broken = int((~np.isfinite(volume.values)).sum())
        raise InputRefused(
            f"{volume.where}: {broken} of {volume.values.size} voxels are NaN or infinite;"
            " set them to the background's value"
        )
    return volume.with_meta(modality=volume.meta.modality or modality)


def _taken(image: Any, affine: ArrayLike | None) -> Volume:
    if isinstance(image, Volume):
        return image
    if hasattr(image, "get_fdata"):
        return Volume(np.asarray(image.get_fdata(dtype=np.float32)), image.affine, Meta(format="nifti"))
    own, meta = getattr(image, "affine", None), getattr(image, "meta", {})
    values = np.asarray(image, np.float32)
    if own is not None:
        modality = meta.get("modality")
        known = Meta(modality=modality if modality in ("ct", "mr") else None, levels=meta.get("levels"))
        channel_first = values.ndim == 4 and values.shape[0] == 1  # as MONAI has it
        return Volume(values[0] if channel_first else values, np.asarray(own, np.float64), known)
    if affine is None:
        raise UsageError("an array does not say where it lies; give affine=, from array index to RAS+ mm")
    return Volume(values, np.asarray(affine, np.float64))
