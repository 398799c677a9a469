"""Writes the small picture of each item for the overview: input beside output."""

from __future__ import annotations

from pathlib import Path

from medtranslate.report import Sheet, thumbnail

FOLDER = ".previews"
"""In the output's folder; hidden, so that no source tree can have one of its name."""


def thumbnail_of(target: Path) -> Path:
    """Path of an output's small picture within the output's folder."""
    return FOLDER / target.with_name(f"{target.name}.jpg")


def write_thumbnail(sheet: Sheet, path: Path) -> None:
    """Write the small picture."""
    thumbnail(sheet).save(path, "JPEG", quality=80)
