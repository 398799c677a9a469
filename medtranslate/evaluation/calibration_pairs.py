"""Pairs of CT and MR on which a model is calibrated: finding them, holding some out, reading them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medtranslate.config import CalibrateSettings, Modality
from medtranslate.data.split import held_back
from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.evaluation.pairing import members_of, pair_up
from medtranslate.io import Volume, read_volume
from medtranslate.io.grids import mismatch
from medtranslate.io.layout import to_axial
from medtranslate.io.tables import is_table, read_table
from medtranslate.io.trees import NAMES

LEAST_PAIRS = 4
"""Pairs that are needed at least; with fewer, one odd head decides."""


@dataclass(frozen=True)
class Pair:
    """Files of the same head in both modalities; `subject` is the same for all pairs of a person."""

    name: str
    subject: str
    files: Mapping[Modality, Path]


def find_pairs(path: Path) -> list[Pair]:
    """Find pairs in a folder with the folders ct and mr, a tree of subjects, or a CSV of ct,mr,subject.

    Raises:
        InputRefused: there are fewer than `LEAST_PAIRS`, or an image lacks its counterpart.
    """
    if is_table(path):
        table = read_table(path, ("ct", "mr"), ("subject",))
        table.require(table.file(row[side]) for row in table.rows for side in ("ct", "mr"))
        pairs = [
            Pair(
                f"{path.name}, row {number}",
                row["subject"] or str(number),
                {"ct": table.file(row["ct"]), "mr": table.file(row["mr"])},
            )
            for number, row in enumerate(table.rows, start=1)
        ]
    else:
        named = _named_folders(path)
        sides = {side: named.get(side, path) for side in ("ct", "mr")}
        members = {side: members_of(folder, () if named else NAMES[side]) for side, folder in sides.items()}
        if not any(members.values()):
            raise InputRefused(
                f"{path}: holds no pairs of files; give a folder with the folders ct and mr, a tree with a"
                " folder for each subject, or a CSV of ct,mr,subject"
            )
        pairs = [
            Pair(name, name, {"ct": files["ct"], "mr": files["mr"]})
            for name, files in pair_up(sides, members).items()
        ]
    subjects = len({pair.subject for pair in pairs})
    if len(pairs) < LEAST_PAIRS or subjects < 2:
        raise InputRefused(
            f"{path}: too few pairs to fit some and test others: {len(pairs)} of {subjects} subjects; give at"
            f" least {LEAST_PAIRS}, of 2 subjects"
        )
    return pairs


def choose_held_out(pairs: Sequence[Pair], settings: CalibrateSettings) -> set[str]:
    """Choose the pairs that are not fitted, by name: whole subjects, together about the share that is set."""
    subjects = held_back([pair.subject for pair in pairs], settings.held_out, settings.seed)
    return {pair.name for pair in pairs if pair.subject in subjects}


def read_pair(pair: Pair) -> dict[Modality, Volume]:
    """Read a pair in axial layout.

    Raises:
        InputRefused: a file is refused, or the two lie on different grids.
    """
    volumes: dict[Modality, Volume] = {}
    for side, path in pair.files.items():
        volume = read_volume(path, modality=side)
        volume.require_grid(str(path))
        volumes[side] = to_axial(volume)
    if differs := mismatch(volumes["mr"], volumes["ct"], "CT"):
        raise GeometryRefused(f"{pair.files['mr']}: {differs}; resample one of the pair to the other's grid")
    return volumes


def _named_folders(path: Path) -> dict[Modality, Path]:
    """Find the folders that are called as the modalities are; none unless both are there."""
    sides: tuple[Modality, ...] = ("ct", "mr")
    below = [folder for folder in sorted(path.iterdir()) if folder.is_dir()] if path.is_dir() else []
    named = {side: [folder for folder in below if folder.name.lower() in NAMES[side]] for side in sides}
    if not all(named.values()) or any(members_of(folder, ()) == {} for [folder, *_] in named.values()):
        return {}
    return {side: folders[0] for side, folders in named.items()}
