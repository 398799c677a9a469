"""Folders that are no input, and what to give instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medtranslate.io.foreign import foreign_name, head_of
from medtranslate.runtime import few

MODEL = "model.json"
"""File that the folder of a model contains."""


def why_no_image(folder: Path, own: Counter[str | None], below: Counter[str | None]) -> str:
    """Say in a sentence why a folder is not one volume, series or set of pictures.

    Args:
        own: files that lie in it, by format; None for those of no known one.
        below: the same of all files at any depth.
    """
    if (folder / MODEL).is_file():
        return f"{folder}: is a model, not an image; name it with --model, and an image as the input"
    if (folder / "model" / MODEL).is_file():
        return f"{folder}: is a training run, not an image; for its model give --model {folder / 'model'}"
    images = below.total() - below[None]
    if images and own.total() == own[None]:
        return (
            f"{folder}: is a tree with {images} images in folders below it; name one of them, give a pattern"
            " such as 'FOLDER/*/NAME.nii.gz', or give the tree to `medtranslate batch`"
        )
    found = ", ".join(f"{count} {name}" for name, count in own.items() if name)
    if not found:
        files = (file for file in sorted(folder.iterdir()) if file.is_file() and file.name[0] != ".")
        known = next(((file.name, name) for file in files if (name := foreign_name(head_of(file)))), None)
        if known:
            return f"{folder}: holds no image that is read; {known[0]} is {known[1]}"
    return (
        f"{folder}: the folder holds {found or 'no image'} and {own[None]} other files; give images of one"
        " format"
    )


def several(folder: Path, name: str, files: Sequence[Path]) -> str:
    """Describe a folder of several volumes, as the beginning of a message."""
    return f"{folder}: holds {len(files)} {name} files ({few([file.name for file in files])}), not one volume"
