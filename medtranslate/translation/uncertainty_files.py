"""Files of an uncertainty map: a volume of real numbers, or DICOM's Parametric Map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medtranslate.errors import GeometryRefused, UsageError
from medtranslate.io import FORMATS, Volume, write_volume
from medtranslate.records import Derivation, Uncertainty

MAP = ".dcm"
"""Suffix of a Parametric Map."""


def check_uncertainty(path: Path | None, source: str, regrid: bool = False) -> None:
    """Refuse a name that can't hold an uncertainty map.

    It is neither CT nor MR: DICOM has a map for it, on the source's slices; a picture has grey levels.

    Args:
        path: the name, if one is given.
        source: format of the source.
        regrid: the slices of the source are resampled.

    Raises:
        UsageError: the message lists the possible suffixes.
    """
    able = [name for name in FORMATS if name != "dicom" and (name != "png" or source == "png")]
    suffixes = [suffix for name in able for suffix in FORMATS[name].suffixes]
    suffixes += [MAP] if source == "dicom" and not regrid else []
    if path is None or any(path.name.lower().endswith(suffix) for suffix in suffixes):
        return
    raise UsageError(
        f"--uncertainty {path}: an uncertainty is written as a file of real numbers, not as a series"
        f" or a picture of a volume; name one that ends in {', '.join(suffixes)}"
    )


def check_slices(source: Volume, path: Path) -> None:
    """Refuse slices that only a map can hold.

    Raises:
        GeometryRefused: they are tilted or uneven, and `path` names no map.
    """
    if (slices := source.meta.slices) is not None and not is_map(path):
        raise GeometryRefused(
            f"--uncertainty {path}: the slices of {source.where} are no regular grid ({slices}), which"
            " such a file needs; name one that ends in .dcm, a map that keeps each slice at its own place"
        )


def is_map(path: Path) -> bool:
    """Return True for the name of a Parametric Map."""
    return path.name.lower().endswith(MAP)


def write_uncertainty(
    spread: Volume, uncertainty: Uncertainty, path: Path, source: Volume, derivation: Derivation
) -> None:
    """Write an uncertainty map on the source's grid, in the format of the path's suffix.

    Args:
        derivation: of their translation.
    """
    if not is_map(path):
        own = replace(derivation, uncertainty=True)
        write_volume(spread, path, like=source, derivation=own, overwrite=True)
        return
    from medtranslate.io.dicom_map import write_map
    from medtranslate.io.dicom_objects import open_study

    study = open_study(source, deidentify=derivation.deidentify)
    write_map(spread, uncertainty.unit, uncertainty.quantity, study, path, uncertainty.share)
