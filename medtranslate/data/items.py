"""Lists the images that a folder, a pattern, a CSV or a file stands for: pictures, volumes, DICOM series."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from natsort import natsorted

from medtranslate.config import Modality
from medtranslate.errors import Unreadable
from medtranslate.io import detect_format, is_preview
from medtranslate.io.dicom_files import file_of, without_comment
from medtranslate.io.dicom_folders import Share, join_shares
from medtranslate.io.dicom_series import MODALITIES, find_series
from medtranslate.io.tables import Row, Table, is_table, read_groups, read_table
from medtranslate.io.trees import NAMES, SUFFIXES, is_pattern, lies_beside, match, of_subjects, subfolders


@dataclass(frozen=True)
class Item:
    """Image to read, and its subject.

    Attributes:
        path: a file, or a folder that holds the series.
        series: SeriesInstanceUID, where DICOM was found in a folder.
        group: what must not be split: subject or look-alikes; None where nothing says. Of DICOM it is
            the patient's identity, and stays in memory.
    """

    path: Path
    series: str | None = None
    group: str | None = None

    @property
    def name(self) -> str:
        """Path and end of the series' UID, for messages."""
        return f"{self.path} (series ...{self.series[-12:]})" if self.series else str(self.path)


@dataclass(frozen=True)
class Listing:
    """Images of a source.

    Attributes:
        failures: a sentence for each image that is damaged.
        others: how many images are of the other modality.
        notes: what else there is to say, in sentences.
    """

    items: list[Item]
    failures: list[str]
    others: int = 0
    notes: tuple[str, ...] = ()


def list_items(path: Path, modality: Modality, groups: Path | None = None) -> Listing:
    """List the images of one modality that a path stands for, in natural order.

    - A CSV names files, and optionally their `subject` and `modality`; rows of the other one are left out.
    - A pattern such as `data/*/ct.nii.gz` names files or folders of a DICOM series each.
    - A folder with DICOM in it, at any depth, is its series of the modality.
    - A folder without images of its own holds a folder for each subject, in which the modality's image is
      called after it (`trees.NAMES`), or is the only one.
    - Any other folder is its own files, which have to be of one format; subfolders are left alone. A file
      that is named like an image and is none is listed, and fails when it is read.

    Args:
        groups: a CSV with `file` and `group`, which tells whose each file is.

    Raises:
        Unreadable: there is nothing, formats are mixed, or a subject's folder holds two such images; or a CSV
            is not one, or names files that do not exist.
    """
    if is_table(path):
        listing = _from_table(path, modality)
    elif is_pattern(path):
        listing = _from_pattern(path)
    elif path.is_file():
        listing = Listing([Item(path)], [])
    else:
        listing = _from_folder(path, modality)
    return listing if groups is None else replace(listing, items=_grouped(listing.items, groups))


def _from_folder(folder: Path, modality: Modality) -> Listing:
    try:
        format = detect_format(folder)
    except Unreadable:
        if not folder.is_dir() or any(map(_is_image, _own_files(folder))) or not subfolders(folder):
            raise
        found = of_subjects(folder, NAMES[modality])
        return Listing([Item(file, group=subject) for subject, file in found.items()], [])
    return _from_series(folder, modality) if format == "dicom" else _from_files(folder, format, modality)


def _from_files(folder: Path, format: str, modality: Modality) -> Listing:
    images = natsorted(filter(_is_image, _own_files(folder)), key=lambda file: file.name)
    own = [file for file in images if not lies_beside(file, modality)]
    if len(own) < len(images):  # the folder of one subject
        return Listing([Item(file, group=folder.name) for file in own], [], others=len(images) - len(own))
    # A volume is a subject, the same one where CT and MR have the same name; a picture is a slice.
    known = format != "png"
    return Listing([Item(file, group=file.name.split(".")[0] if known else None) for file in images], [])


def _from_pattern(pattern: Path) -> Listing:
    """List the matches of a pattern; the wildcards of its folders, else of its name, are the subject."""
    found = match(pattern)
    slices = pattern.suffix.lower() in (".png", ".jpg", ".jpeg")  # of which a name tells no subject
    return Listing(
        [Item(each.path, group=each.folder or (None if slices else each.name) or None) for each in found], []
    )


def _own_files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.is_file() and file.name[0] != "."]


def _is_image(file: Path) -> bool:
    """Check if a file is an image, by its name or content; a preview is none."""
    if file.name.lower().endswith(SUFFIXES):
        return not is_preview(file)
    try:
        return bool(detect_format(file))
    except Unreadable:
        return False


def _from_table(path: Path, modality: Modality) -> Listing:
    table = read_table(path, ("path",), ("subject", "modality"))
    wanted = [row for row in table.rows if modality_of(table, row) in (modality, "")]
    if not wanted:
        raise Unreadable(f"{path}: no row is {modality}; add some, or name another CSV")
    items = [Item(table.file(row["path"]), group=row["subject"] or None) for row in wanted]
    table.require(item.path for item in items)
    doubled = len(items) - len({item.path for item in items})
    if doubled:
        raise Unreadable(f"{path}: {doubled} of {len(items)} {modality} rows repeat a path; list each once")
    return Listing(items, [], others=len(table.rows) - len(wanted), notes=tuple(table.notes))


def modality_of(table: Table, row: Row) -> str:
    """Read the modality of a row: ct, mr, or nothing.

    Raises:
        Unreadable: another word.
    """
    name = row["modality"].lower()
    if name not in ("ct", "mr", "mri", ""):
        raise Unreadable(f"{table.path}: modality {name!r} of {row['path']!r}; write ct or mr")
    return name[:2]


@without_comment()
def _from_series(folder: Path, modality: Modality) -> Listing:
    shares: dict[str, dict[Path, Share]] = defaultdict(lambda: defaultdict(Share))
    patients: dict[tuple[str, Path], str] = {}
    others: set[str] = set()
    found = find_series(folder)
    failures = [str(error) for error in found.refused]
    for uid, headers in found.series.items():
        for header in headers:
            if MODALITIES.get(header.get("Modality", "")) != modality:
                others.add(uid)
                continue
            place = Path(str(file_of(header))).parent
            shares[uid][place].add(header)
            patients[uid, place] = str(header.get("PatientID") or header.get("StudyInstanceUID") or uid)
    items = [
        Item(Path(os.path.commonpath(joined)), uid, patients[uid, joined[0]])
        for uid, folders in shares.items()
        for joined in join_shares(folders)
    ]
    if not items and not failures:
        raise Unreadable(
            f"{folder}: none of its {len(others)} DICOM series is {modality}; name another folder"
        )
    return Listing(natsorted(items, key=lambda item: (str(item.path), item.series)), failures, len(others))


def _grouped(items: list[Item], table: Path) -> list[Item]:
    """Give each item the group that a table names for its file."""
    groups = read_groups(table)
    places = [item.path.resolve() for item in items]
    missing = [str(item.path) for item, place in zip(items, places, strict=True) if place not in groups]
    if missing:
        raise Unreadable(
            f"{table}: no group for {len(missing)} of {len(items)} files, as {missing[0]}; add them"
        )
    return [replace(item, group=groups[place]) for item, place in zip(items, places, strict=True)]
