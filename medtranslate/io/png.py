"""Pictures: one grey PNG or JPEG is one slice, [1, W, H, 1], with grey values as its unit."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.io.bounds import MAX_PIXELS
from medtranslate.io.scan import Scan
from medtranslate.result import Derivation

PICTURE_AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Rows run anterior to posterior, columns from the patient's right to left (radiological axial view)."""

_DEEP = {"I", "I;16", "I;16B", "I;16L"}
_JPEG_QUALITY = 95


def recognise(head: bytes) -> bool:
    """Whether a file that starts with `head` is a PNG or JPEG."""
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def read(path: Path, series: str | None = None) -> Scan:
    """Read a picture; colour becomes luminance, an EXIF rotation is carried out, both with a warning.

    Values are the file's grey values, 0 to 255, or 0 to 65535 where `levels` says so. A pixel is taken
    as 1 mm, since pictures carry no trustworthy size.

    Raises:
        Unreadable: damaged, truncated or larger than `MAX_PIXELS`.
    """
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=("PNG", "JPEG"))
        with picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise Unreadable(
                    f"{path}: {width} x {height} pixels, more than the bound of {MAX_PIXELS}; downsample it"
                )
            upright = ImageOps.exif_transpose(picture)
            if picture.getexif().get(_ORIENTATION, 1) != 1:
                notes.append("turned as the picture's EXIF orientation says")
            grey = _grey(upright, notes)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable(f"{path}: more than the bound of {MAX_PIXELS} pixels; downsample it") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"{path}: damaged picture ({error}); export it again") from None
    levels = 65535 if grey.dtype.itemsize > 1 else 255
    values = grey.astype(np.float32).T[:, :, None]
    return Scan(values, PICTURE_AFFINE, {"levels": levels, "warnings": notes})


_ORIENTATION = 0x0112


def _grey(picture: Image.Image, notes: list[str]) -> NDArray[np.generic]:
    if picture.mode in _DEEP:
        return np.asarray(picture).astype(np.uint16)
    if "A" in picture.getbands() or "transparency" in picture.info:
        notes.append("transparency ignored")
    colour = (
        np.asarray(picture.convert("RGB")) if picture.mode not in ("1", "L", "LA") else np.empty((0, 0, 3))
    )
    apart = int(np.ptp(colour, axis=2).max()) if colour.size else 0
    if apart > 0:
        notes.append(f"colour (channels up to {apart} of 255 apart) turned to luminance")
    return np.asarray(picture.convert("L"))


def write(volume: MetaTensor, path: Path, like: MetaTensor | None, derivation: Derivation | None) -> None:
    """Write one slice whose values are grey values 0 to 255, rounded and clipped, as 8-bit grey.

    The name's suffix says whether as JPEG; anything else is PNG.

    Raises:
        GeometryRefused: not one slice, or not of the size of `like`.
    """
    _, width, height, slices = volume.shape
    if slices != 1:
        raise GeometryRefused(
            f"{path}: a picture holds one slice, not {slices}; write .nii.gz or DICOM instead"
        )
    if like is not None and like.shape != volume.shape:
        raise GeometryRefused(
            f"{path}: {width} x {height} pixels, but its source has {like.shape[1]} x {like.shape[2]}"
        )
    grey = np.rint(volume.numpy(force=True)[0, :, :, 0].T).clip(0, 255).astype(np.uint8)
    kind = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG"
    Image.fromarray(grey).save(path, kind, quality=_JPEG_QUALITY)
