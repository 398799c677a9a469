"""Pictures: a grey PNG or JPEG is one slice, [W, H, 1], a stack of them a volume, of grey values."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from medtranslate.errors import GeometryRefused, Unreadable
from medtranslate.io.bounds import MAX_PIXELS, check_size
from medtranslate.io.interface import Format
from medtranslate.io.label import label, says_synthetic
from medtranslate.io.names import synthetic_name
from medtranslate.io.volume import Meta, Volume
from medtranslate.records import Derivation

PICTURE_AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Rows run anterior to posterior, columns from the patient's right to left (radiological axial view)."""

PREVIEW = b"medtranslate preview"
"""Mark in the first text of a picture drawn of a volume, so that it is never taken for an image."""

_DEEP = {"I", "I;16", "I;16B", "I;16L"}
_JPEG_QUALITY = 95


def recognise(head: bytes) -> bool:
    """Return True if a file that starts with `head` is a PNG or JPEG, and no preview of a volume."""
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) and not is_preview(head)


def is_preview(head: bytes) -> bool:
    """Return True if a file that starts with `head` is a preview of a volume."""
    return head.startswith(b"\x89PNG\r\n\x1a\n") and PREVIEW in head


def save_preview(sheet: Image.Image, path: Path) -> None:
    """Write a picture that is drawn of a volume; readers of images pass it over."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", PREVIEW.decode())
    sheet.save(path, "PNG", pnginfo=text, optimize=True)


def read(path: Path, series: str | None = None, volume: int | None = None) -> Volume:
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
            synthetic = says_synthetic(str(picture.info.get("Description", "")))
            grey = _grey(upright, notes)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable(f"{path}: more than the bound of {MAX_PIXELS} pixels; downsample it") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"{path}: damaged picture ({error}); export it again") from None
    levels = 65535 if grey.dtype.itemsize > 1 else 255
    values = grey.astype(np.float32).T[:, :, None]
    meta = Meta(stored=grey.dtype.name, levels=levels, warnings=tuple(notes), synthetic=synthetic)
    return Volume(values, PICTURE_AFFINE, meta)


def read_stack(folder: Path, paths: Sequence[Path], spacing: Sequence[float]) -> Volume:
    """Read pictures as slices from feet to head, `spacing` mm between columns, rows and pictures.

    Raises:
        Unreadable: fewer than two pictures, a damaged one, or too many voxels.
        GeometryRefused: two differ in size or depth.
    """
    if len(paths) < 2:
        raise Unreadable(f"{folder}: holds {len(paths)} pictures; a stack takes two or more")
    first = read(paths[0])
    width, height, _ = first.shape
    check_size((width, height, len(paths)), str(folder))
    values = np.empty((len(paths), height, width), np.float32)
    counts: Counter[str] = Counter()
    for path, plane in zip(paths, values, strict=True):
        scan = read(path)
        if (scan.shape, scan.meta.levels) != (first.shape, first.meta.levels):
            columns, rows, _ = scan.shape
            raise GeometryRefused(
                f"{path}: {columns} x {rows} pixels of up to {scan.meta.levels}, but {paths[0].name} has"
                f" {width} x {height} of up to {first.meta.levels}; stack pictures of one kind"
            )
        plane[...] = scan.values[:, :, 0].T
        counts.update(scan.meta.warnings)
    notes = [f"{note} ({count} of {len(paths)} pictures)" for note, count in counts.items()]
    notes.append(
        f"spacing of {spacing[0]:g} x {spacing[1]:g} x {spacing[2]:g} mm was given by hand; pictures taken"
        " as axial, from feet to head in the order of their names"
    )
    meta = replace(first.meta, files=tuple(path.name for path in paths), warnings=tuple(notes))
    return Volume(values.T, PICTURE_AFFINE @ np.diag([*spacing, 1.0]), meta)


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


def write(volume: Volume, path: Path, like: Volume | None, derivation: Derivation | None) -> None:
    """Write slices whose values are grey values 0 to 255, rounded and clipped, as 8-bit grey.

    Where `path` is a folder, each slice is a file, named as those of the stack `like`, or 0001.png and on;
    those of a translation by `synthetic_name`. A translation says in each file what it is.
    A name's suffix says whether as JPEG; anything else is PNG.

    Raises:
        GeometryRefused: several slices for one file, or not of the size of `like`.
    """
    width, height, slices = volume.shape
    if slices != 1 and not path.is_dir():
        raise GeometryRefused(
            f"{path}: a picture holds one slice, not {slices}; write .nii.gz, or a folder by --format png"
        )
    if like is not None and like.shape != volume.shape:
        raise GeometryRefused(
            f"{path}: {width} x {height} pixels in {slices} slices, but its source has"
            f" {' x '.join(map(str, like.shape))}"
        )
    said = label(volume, derivation).text if derivation else ""
    digits = max(4, len(str(slices)))
    own = like.meta.files if like is not None else ()
    names = own or tuple(f"{number:0{digits}}.png" for number in range(1, slices + 1))
    if derivation is not None:
        names = tuple(synthetic_name(name, derivation.model.to) for name in names)
    files = [path / name for name in names] if path.is_dir() else [path]
    for file, plane in zip(files, volume.values.T, strict=True):
        picture = Image.fromarray(np.rint(plane).clip(0, 255).astype(np.uint8))
        if file.suffix.lower() in (".jpg", ".jpeg"):
            picture.save(file, "JPEG", quality=_JPEG_QUALITY, comment=said)
        else:
            text = PngImagePlugin.PngInfo()
            text.add_text("Description", said)
            picture.save(file, "PNG", pnginfo=text if said else None)


FORMAT = Format(recognise, read, write, (".jpg", ".jpeg", ".png"), folder_from=2)
