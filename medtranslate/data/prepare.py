"""Folders of CT and MR pictures into folders to train on: cleaned, grouped, split."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medtranslate.config import Modality, PrepareSettings, plain
from medtranslate.data.failures import check_failures, is_blank
from medtranslate.data.items import list_items
from medtranslate.data.mislabelled_ct import SIZE, shows_skull
from medtranslate.data.near_duplicates import THUMBNAIL, connect, thumbnail
from medtranslate.data.split import held_back
from medtranslate.errors import InputRefused, SettingsError
from medtranslate.io import read_volume
from medtranslate.runtime import check_free, progress, whole_output

DOUBTFUL = "ct-among-mr"
"""Folder for pictures that were published as MR and look like CT."""


@dataclass(frozen=True)
class _Picture:
    """A picture in the source, its name in the output, and what is compared of it."""

    file: Path
    name: str
    modality: Modality
    thumbnail: NDArray[np.float32]
    doubtful: bool


@dataclass(frozen=True)
class _Side:
    """What one modality adds to the output.

    Attributes:
        files: source of each picture, by its place in the output.
        rows: of groups.csv.
        counts: for the record.
    """

    files: dict[str, Path]
    rows: list[dict[str, str]]
    counts: dict[str, Any]


def prepare_pictures(settings: PrepareSettings, *, quiet: bool) -> dict[str, Any]:
    """Write train/ct, train/mr, val/ct, val/mr, groups.csv and prepared.json; the output is whole or absent.

    Pictures are called `<folder>-<name>` after the folder that they are from. Of copies the first one is
    kept. Blank pictures are left out. MR pictures that look like CT go to `ct-among-mr`, for human eyes, and
    into neither side.

    Returns:
        The record that prepared.json holds.

    Raises:
        OutputExists: the output is there and `overwrite` is not set.
        SettingsError: a modality is a single group, which cannot be split.
        InputRefused: a folder is missing or holds no pictures, too many of them are unusable, or all MR
            pictures look like CT.
    """
    check_free(settings.out, overwrite=settings.overwrite)
    folders: dict[Modality, tuple[str, ...]] = {"ct": settings.ct, "mr": settings.mr}
    sides = {modality: _side(settings, names, modality, quiet) for modality, names in folders.items()}
    counts: dict[str, Any] = {modality: side.counts for modality, side in sides.items()}
    record = {"schema": "medtranslate/prepared/1", **counts, "settings": plain(settings)}
    with whole_output(settings.out, overwrite=settings.overwrite, folder=True) as out:
        for side in sides.values():
            for place, picture in side.files.items():
                _put(picture, out / place, link=settings.link)
        with (out / "groups.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ("file", "group"))
            writer.writeheader()
            writer.writerows(row for side in sides.values() for row in side.rows)
        (out / "prepared.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def _side(settings: PrepareSettings, names: tuple[str, ...], modality: Modality, quiet: bool) -> _Side:
    """Read, clean, group and split the pictures of one modality.

    Raises:
        SettingsError: they are a single group.
        InputRefused: too many are unusable, or all look like CT.
    """
    pictures, failures, blank = _read(settings, names, modality, quiet)
    clean = [picture for picture in pictures if not picture.doubtful]
    doubtful = [picture for picture in pictures if picture.doubtful]
    if not clean:
        raise InputRefused(
            f"{settings.source} ({', '.join(names)}): none of {len(pictures)} {modality} pictures is"
            " clean, all look like CT; check which folders hold which modality"
        )
    kept, groups = _grouped(clean, settings)
    if len(set(groups)) < 2:
        raise SettingsError(
            f"{settings.source}: all {len(clean)} {modality} pictures are alike above {settings.alike:g},"
            " so there is nothing to split; raise --alike"
        )
    held = held_back(groups, settings.val_share, settings.seed)
    parts = [f"{'val' if group in held else 'train'}/{modality}" for group in groups]
    files = {f"{DOUBTFUL}/{picture.name}": picture.file for picture in doubtful}
    files |= {f"{part}/{picture.name}": picture.file for part, picture in zip(parts, kept, strict=True)}
    sizes = Counter(groups)
    counts = {
        "read": len(pictures) + len(failures) + blank,
        "unusable": failures,
        "blank": blank,
        "looks_like_ct": [picture.name for picture in doubtful],
        "copies_left_out": len(clean) - len(kept),
        "groups": len(sizes),
        "largest_group": max(sizes.values()),
        "train": sum(count for group, count in sizes.items() if group not in held),
        "val": sum(count for group, count in sizes.items() if group in held),
    }
    rows = [
        {"file": f"{part}/{picture.name}", "group": group}
        for part, picture, group in zip(parts, kept, groups, strict=True)
    ]
    return _Side(files, rows, counts)


def _read(
    settings: PrepareSettings, names: tuple[str, ...], modality: Modality, quiet: bool
) -> tuple[list[_Picture], list[str], int]:
    """Read the pictures of one modality in natural order.

    Returns:
        The pictures, a sentence for each that is unusable, and the number of blank ones.

    Raises:
        InputRefused: too many are unusable, or all are blank.
    """
    source, where = settings.source, f"{settings.source} ({', '.join(names)})"
    files = [(name, item.path) for name in names for item in list_items(source / name, modality).items]
    bar = progress(len(files), "picture", f"reading {modality}", quiet=quiet)

    def one(named: tuple[str, Path]) -> _Picture | str | None:
        folder, file = named
        try:
            volume = read_volume(file)
        except InputRefused as error:
            return str(error)
        finally:
            bar.update()
        if is_blank(volume):
            return None
        grey = torch.from_numpy(volume.values[:, :, 0].T)
        doubtful = modality == "mr" and shows_skull(thumbnail(grey, SIZE))
        name = f"{folder.replace('/', '-')}-{file.name}"
        return _Picture(file, name, modality, thumbnail(grey, THUMBNAIL), doubtful)

    with bar, ThreadPoolExecutor(2) as pool:
        done = list(pool.map(one, files))
    failures = [item for item in done if isinstance(item, str)]
    pictures = [item for item in done if isinstance(item, _Picture)]
    blank = len(done) - len(failures) - len(pictures)
    check_failures(failures, len(files) - blank, where, settings.out)
    if not pictures:
        raise InputRefused(
            f"{where}: all {blank} {modality} pictures are of one grey value; name other folders"
        )
    return pictures, failures, blank


def _grouped(pictures: list[_Picture], settings: PrepareSettings) -> tuple[list[_Picture], list[str]]:
    """Keep one picture of each set of copies, and name its group."""
    thumbnails = np.stack([picture.thumbnail for picture in pictures])
    _, first = np.unique(connect(thumbnails, settings.copies), return_index=True)
    kept = [pictures[index] for index in sorted(first)]
    numbers = connect(thumbnails, settings.alike)[sorted(first)]
    return kept, [f"{picture.modality}{number}" for picture, number in zip(kept, numbers, strict=True)]


def _put(file: Path, place: Path, *, link: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if link:
        place.symlink_to(file.resolve())
    else:
        shutil.copyfile(file, place)
