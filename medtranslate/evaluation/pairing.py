"""Which files of several folders belong together, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medtranslate.errors import InputRefused
from medtranslate.io import FORMATS, detect_format, is_preview, list_pictures, list_volumes
from medtranslate.io.names import pair_name


def members_of(path: Path) -> dict[str, Path]:
    """Pictures or volume files of a folder by `pair_name`; none where `path` is a file or a series.

    A damaged file that is named like the others counts: it is refused when its turn comes, not passed over.
    """
    if not path.is_dir() or (format := detect_format(path)) == "dicom":
        return {}
    files = list_pictures(path) or list_volumes(path)
    named = [file for file in sorted(path.iterdir()) if file.is_file() and file.name[0] != "."]
    suffixes = FORMATS[format].suffixes
    files += [
        file
        for file in named
        if file.name.lower().endswith(suffixes) and file not in files and not is_preview(file)
    ]
    members: dict[str, Path] = {}
    for file in files:
        if (other := members.setdefault(pair_name(file), file)) != file:
            raise InputRefused(f"{file}: would be paired as {other.name} is; keep one of the two")
    return members


def pair_up(
    paths: Mapping[str, Path], members: Mapping[str, Mapping[str, Path]]
) -> dict[str, dict[str, Path]]:
    """The files of each pair by role; every role must have them all."""
    names = {name: None for files in members.values() for name in files}
    for role, files in members.items():
        missing = [name for name in names if name not in files]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise InputRefused(
                f"{paths[role]}: {len(missing)} of {len(names)} names have no {role} ({shown});"
                " give folders that hold the same names, or one file each"
            )
    return {name: {role: files[name] for role, files in members.items()} for name in names}
