"""Names the files of translations."""

from __future__ import annotations

import re
from pathlib import Path

from medtranslate.config import Modality

_SUFFIX = re.compile(r"(.+?)(\.nii\.gz|\.[^.]*)?", re.IGNORECASE | re.DOTALL)
_SYNTHETIC = re.compile(r"_synthetic-(ct|mr)(_uncertainty)?$")


def synthetic_name(name: str, to: Modality, *, uncertainty: bool = False) -> str:
    """`flair.nii.gz` becomes `flair_synthetic-ct.nii.gz`, so that no copy of it passes for the scan.

    Args:
        name: of the source, with or without a suffix.
        to: modality of the translation.
        uncertainty: name the map of the translation's standard deviations (`..._uncertainty.nii.gz`).
    """
    stem, suffix = _parts(name)
    return f"{stem}_synthetic-{to}{'_uncertainty' if uncertainty else ''}{suffix}"


def pair_name(path: Path) -> str:
    """Name by which a source, its reference and its translation belong together.

    That is the file's name without its suffix, and without what `synthetic_name` put at its end.
    """
    return _SYNTHETIC.sub("", path.name if path.is_dir() else _parts(path.name)[0])


def stem_of(path: Path) -> str:
    """Give a file's name without its suffix, in lower case."""
    return _parts(path.name)[0].lower()


def target_of(path: Path) -> Modality | None:
    """Tell the modality of an image by its name: `mr_synthetic-ct.nii.gz` and `ct.nii.gz` are CT."""
    found = re.fullmatch(r"(?:.*_synthetic-)?(ct|mr)", stem_of(path), re.DOTALL)
    return None if found is None else "ct" if found[1] == "ct" else "mr"


def _parts(name: str) -> tuple[str, str]:
    """Stem and suffix; `.nii.gz` is one suffix."""
    found = _SUFFIX.fullmatch(name)
    return (found[1], found[2] or "") if found else (name, "")
