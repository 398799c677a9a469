"""Pairs the files of several folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medtranslate.errors import InputRefused, Unreadable
from medtranslate.io import FORMATS, detect_format, is_preview, list_pictures, list_volumes
from medtranslate.io.names import pair_name, target_of
from medtranslate.io.tables import is_table, read_table
from medtranslate.io.trees import NAMES, SUFFIXES, by_subject, is_pattern, of_subjects, subfolders
from medtranslate.modality import OTHER, Modality
from medtranslate.runtime import few

_SHOWN = 5
_REQUIRED, _OPTIONAL = ("prediction", "reference"), ("mask", "source", "uncertainty")

Members = dict[str, Path]
"""Files by the name of their pair."""


def find_members(paths: Mapping[str, Path], modality: Modality | None = None) -> dict[str, Members]:
    """Find the files of each role by the name of their pair; none for a role that is one file or series.

    A role is a folder of files, a tree with a folder for each subject, or a pattern. A CSV in the place of
    the prediction names the files of all roles.

    Args:
        paths: by role: prediction, reference and the like.
        modality: of prediction and reference, by which the file of a subject is known among several.

    Raises:
        InputRefused: a folder or CSV is refused, or two files would be one pair's.
    """
    table = paths.get("prediction")
    if table is not None and is_table(table):
        return _listed(table)
    members: dict[str, Members] = {}
    for role, path in paths.items():
        members[role] = members_of(path, _names(role, modality))
        if role == "prediction" and modality is None:
            modality = _modality_of(list(members[role].values()))
    return members


def _names(role: str, modality: Modality | None) -> Sequence[str]:
    """List the names that the file of a role may have in a subject's folder."""
    if role == "mask":
        return NAMES["mask"]
    if modality is None:
        return ()
    return NAMES[OTHER[modality] if role == "source" else modality]


def _modality_of(predictions: Sequence[Path]) -> Modality | None:
    """Find the modality of predictions by their names, such as `mr_synthetic-ct.nii.gz` or `ct.nii.gz`."""
    found = {target_of(path) for path in predictions}
    return found.pop() if len(found) == 1 else None


def members_of(path: Path, names: Sequence[str] = ()) -> Members:
    """Find pictures or volume files of a folder by `pair_name`; none where `path` is a file or a series.

    A damaged file that is named like the others counts: it is refused when its turn comes, not passed over.
    Of a tree with a folder for each subject, and of a pattern, files go by subject.

    Args:
        names: of the file that is meant, where a subject's folder holds several.

    Raises:
        InputRefused: two files would be paired alike.
    """
    if is_pattern(path):
        return by_subject(path)
    if not path.is_dir():
        return {}
    try:
        format = detect_format(path)
    except Unreadable:
        own = any(file.is_file() and file.name.lower().endswith(SUFFIXES) for file in path.iterdir())
        if own or not subfolders(path):
            raise
        return of_subjects(path, names)
    return {} if format == "dicom" else _own_files(path, format)


def _own_files(folder: Path, format: str) -> Members:
    files = list_pictures(folder) or list_volumes(folder)
    named = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name[0] != "."]
    suffixes = FORMATS[format].suffixes
    files += [
        file
        for file in named
        if file.name.lower().endswith(suffixes) and file not in files and not is_preview(file)
    ]
    members: Members = {}
    for file in files:
        if (other := members.setdefault(pair_name(file), file)) != file:
            raise InputRefused(f"{file}: would be paired as {other.name} is; keep one of the two")
    return members


def _listed(path: Path) -> dict[str, Members]:
    """Read a CSV of `prediction,reference`, and optionally mask, source, uncertainty and subject.

    A pair is called by its subject, by subject and prediction where a subject has several, or by its
    prediction.
    """
    table = read_table(path, _REQUIRED, (*_OPTIONAL, "subject"))
    roles = (*_REQUIRED, *_OPTIONAL)
    rows = [{role: table.file(row[role]) for role in roles if row[role]} for row in table.rows]
    table.require(file for row in rows for file in row.values())
    subjects = [row["subject"] for row in table.rows]
    members: dict[str, Members] = {role: {} for role in roles}
    for subject, row in zip(subjects, rows, strict=True):
        own = pair_name(row["prediction"])
        name = own if not subject else subject if subjects.count(subject) == 1 else f"{subject} {own}"
        if other := members["prediction"].get(name):
            raise InputRefused(
                f"{path}: {other} and {row['prediction']} would both be the pair {name}; give each a subject"
            )
        for role, file in row.items():
            members[role][name] = file
    return {role: files for role, files in members.items() if files}


def notes_on(paths: Mapping[str, Path]) -> list[str]:
    """List the columns of a CSV of pairs that are not read."""
    table = paths.get("prediction", Path())
    return read_table(table, _REQUIRED, (*_OPTIONAL, "subject")).notes if is_table(table) else []


def pair_up(paths: Mapping[str, Path], members: Mapping[str, Members]) -> dict[str, dict[str, Path]]:
    """Collect the files of each pair by role; every role must have all, unless a CSV lists the pairs.

    Raises:
        InputRefused: a role lacks some.
    """
    names = {name: None for files in members.values() for name in files}
    listed = is_table(paths.get("prediction", Path()))
    for role, files in members.items():
        missing = [name for name in names if name not in files]
        if missing and not listed:
            raise InputRefused(
                f"{paths[role]}: {len(missing)} of {len(names)} names have no {role}"
                f" ({few(missing, _SHOWN)}); give folders that hold the same names, or one file each"
            )
    return {name: {role: files[name] for role, files in members.items() if name in files} for name in names}
