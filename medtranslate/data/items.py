"""What lies in a folder, a CSV or a file: pictures, volumes, DICOM series."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from natsort import natsorted

from medtranslate.config import Modality
from medtranslate.data.tables import Row, beside, read_groups, read_table
from medtranslate.errors import Unreadable
from medtranslate.io import FORMATS, detect_format, is_preview
from medtranslate.io.dicom_files import file_of, without_comment
from medtranslate.io.dicom_folders import Share, join_shares
from medtranslate.io.dicom_series import MODALITIES, find_series

_SUFFIXES = tuple(suffix for format in FORMATS.values() for suffix in format.suffixes if suffix)


@dataclass(frozen=True)
class Item:
    """One image: what `read_volume` takes, and whose it is.

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
        """For messages: the path, and the end of the series' UID."""
        return f"{self.path} (series ...{self.series[-12:]})" if self.series else str(self.path)


@dataclass(frozen=True)
class Listing:
    """The images of a source, and a sentence for each that is damaged or of the other modality."""

    items: list[Item]
    failures: list[str]
    others: int = 0


def list_items(path: Path, modality: Modality, groups: Path | None = None) -> Listing:
    """The images of one modality that a path stands for, in natural order.

    A CSV names files in `path`, and optionally their `subject` and `modality` (rows of the other one are
    left out). A folder with DICOM in it, at any depth, is its series of the modality. Any other folder is
    its own files, which have to be of one format; subfolders are left alone. A file that is named like
    an image and is none is listed, and fails when it is read.

    Args:
        groups: a CSV with `file` and `group`, which tells whose each file is.

    Raises:
        Unreadable: there is nothing, or formats are mixed; or a CSV is not one.
    """
    if path.suffix.lower() == ".csv":
        listing = _from_table(path, modality)
    elif path.is_file():
        listing = Listing([Item(path)], [])
    else:
        format = detect_format(path)
        listing = _from_series(path, modality) if format == "dicom" else _from_files(path, format)
    return listing if groups is None else replace(listing, items=_grouped(listing.items, groups))


def _from_files(folder: Path, format: str) -> Listing:
    files = (file for file in folder.iterdir() if file.is_file() and file.name[0] != ".")
    images = natsorted(filter(_is_image, files), key=lambda file: file.name)
    # A volume is a subject, the same one where CT and MR have the same name; a picture is a slice.
    known = format != "png"
    return Listing([Item(file, group=file.name.split(".")[0] if known else None) for file in images], [])


def _is_image(file: Path) -> bool:
    """By its name, or by its content; a preview is none."""
    if file.name.lower().endswith(_SUFFIXES):
        return not is_preview(file)
    try:
        return bool(detect_format(file))
    except Unreadable:
        return False


def _from_table(table: Path, modality: Modality) -> Listing:
    rows = read_table(table, "path", ("subject", "modality"))
    wanted = [row for row in rows if _modality(table, row) in (modality, "")]
    if not wanted:
        raise Unreadable(f"{table}: no row is {modality}; add some, or name another CSV")
    items = [Item(beside(table, row["path"]), group=row.get("subject") or None) for row in wanted]
    doubled = len(items) - len({item.path for item in items})
    if doubled:
        raise Unreadable(f"{table}: {doubled} of {len(items)} {modality} rows repeat a path; list each once")
    return Listing(items, [], others=len(rows) - len(wanted))


def _modality(table: Path, row: Row) -> str:
    name = row.get("modality", "").lower()
    if name not in ("ct", "mr", "mri", ""):
        raise Unreadable(f"{table}: modality {name!r} of {row['path']!r}; write ct or mr")
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
    groups = read_groups(table)
    places = [item.path.resolve() for item in items]
    missing = [str(item.path) for item, place in zip(items, places, strict=True) if place not in groups]
    if missing:
        raise Unreadable(
            f"{table}: no group for {len(missing)} of {len(items)} files, as {missing[0]}; add them"
        )
    return [replace(item, group=groups[place]) for item, place in zip(items, places, strict=True)]
