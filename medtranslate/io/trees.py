"""Finds images in trees: by a pattern such as `data/*/ct.nii.gz`, or by name in a folder for each subject."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from natsort import natsorted

from medtranslate.errors import Unreadable
from medtranslate.io.dicom_files import visible_files
from medtranslate.io.foreign import head_of
from medtranslate.io.formats import FORMATS
from medtranslate.io.names import pair_name, stem_of
from medtranslate.io.png import is_preview
from medtranslate.modality import OTHER, Modality
from medtranslate.runtime import few

NAMES: dict[str, tuple[str, ...]] = {"ct": ("ct",), "mr": ("mr", "mri"), "mask": ("mask",)}
"""What the file of a modality, or the mask, is called in a subject's folder (as in SynthRAD's data)."""
_BESIDE: dict[Modality, frozenset[str]] = {
    modality: frozenset({"cbct", *NAMES["mask"], *NAMES[OTHER[modality]]}) for modality in OTHER
}
"""Names of files that are no image of a modality, where one of that modality lies beside them."""

HEADERS = (".mhd", ".nhdr", ".hdr")
SUFFIXES = (*(suffix for format in FORMATS.values() for suffix in format.suffixes if suffix), *HEADERS)
"""Of names that promise an image."""


@dataclass(frozen=True)
class Match:
    """File or folder that a pattern names.

    Attributes:
        folder: what the wildcards in its folders stand for; empty where there are none.
        name: what the wildcards in its own name stand for, without the suffix.
    """

    path: Path
    folder: str
    name: str


def is_pattern(path: Path) -> bool:
    """Check if a path is a pattern with `*` or `?`; an existing path is none."""
    return any(sign in str(path) for sign in "*?") and not path.exists()


def root_of(pattern: Path) -> Path:
    """Find the folder above the first wildcard of a pattern."""
    return next(folder for folder in pattern.parents if not any(sign in str(folder) for sign in "*?"))


def match(pattern: Path) -> list[Match]:
    """Find the matches of a pattern, in natural order; `**` matches any number of folders.

    Raises:
        Unreadable: nothing.
    """
    signs = glob.escape(str(pattern)).replace("[*]", "*").replace("[?]", "?")
    folders, name = pattern.parent.as_posix(), _wildcards(pattern.name)
    above = "/".join("(.*)" if part == "**" else _wildcards(part) for part in folders.split("/"))
    above = above.replace("(.*)/", "(?:(.*)/)?") + ("" if folders.endswith("**") else "/")
    found = []
    for text in natsorted(set(glob.glob(signs, recursive=True))):  # noqa: PTH207  # Path.glob takes no absolute one
        path = Path(text)
        of_folder = re.fullmatch(above, f"{path.parent.as_posix()}/")
        of_name = re.fullmatch(name, path.name)
        if of_folder and of_name and not _is_drawn(path):
            end = len(pair_name(path))
            inside = [path.name[start : max(start, min(stop, end))] for start, stop in of_name.regs[1:]]
            found.append(Match(path, _joined(of_folder.groups()), _joined(inside)))
    if not found:
        raise Unreadable(f"{pattern}: no file has such a name; check the pattern, and give it in quotes")
    return found


def _wildcards(text: str) -> str:
    """Turn a pattern without slashes into a regular expression, a group for each wildcard."""
    return "".join({"*": "([^/]*)", "?": "([^/])"}.get(sign, re.escape(sign)) for sign in text)


def _joined(parts: Sequence[str | None]) -> str:
    return "/".join(stripped for part in parts if part and (stripped := part.strip("/")))


def by_subject(pattern: Path) -> dict[str, Path]:
    """Find the matches of a pattern by subject: the folders' wildcards if they tell all apart, else all.

    Raises:
        Unreadable: nothing is found, or two files are not told apart.
    """
    matches = match(pattern)
    folders = {found.folder: found.path for found in matches if found.folder}
    if len(folders) == len(matches):
        return folders
    named: dict[str, Path] = {}
    for found in matches:
        subject = _joined((found.folder, found.name)) or pair_name(found.path)
        if (other := named.setdefault(subject, found.path)) != found.path:
            raise Unreadable(
                f"{pattern}: names {other} and {found.path} alike, of {subject}; give a narrower pattern"
            )
    return named


def subfolders(folder: Path) -> dict[str, list[Path]]:
    """List the images below a folder by subfolder; names decide what is an image."""
    found: dict[str, list[Path]] = {}
    for file in visible_files(folder):
        if file.parent != folder and _is_named(file) and not _is_drawn(file):
            found.setdefault(file.parent.relative_to(folder).as_posix(), []).append(file)
    return found


def of_subjects(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Find one image in each subfolder of a tree: the one with one of these names, or the only one.

    Names count without suffix, in any case. The only image of a subfolder counts where no subfolder holds one
    of these names, whatever it is called, unless it is called like something else (`NAMES`).

    Raises:
        Unreadable: there is none, or a subfolder holds two.
    """
    held = subfolders(folder)
    named = {place: [file for file in files if stem_of(file) in names] for place, files in held.items()}
    if not any(named.values()):
        others = {name for group in NAMES.values() for name in group} - {*names}
        alone = all(len(files) == 1 and stem_of(files[0]) not in others for files in held.values())
        named = held if alone else {}
    for place, files in named.items():
        if len(files) > 1:
            raise Unreadable(
                f"{folder / place}: holds {len(files)} images called {stem_of(files[0])}"
                f" ({few([file.name for file in files])}); say which by a pattern such as"
                f" '{folder}/*/{files[0].name}'"
            )
    chosen = {place: files[0] for place, files in named.items() if files}
    if not chosen:
        raise Unreadable(f"{folder}: {_what_they_hold(held, names)}")
    return chosen


def lies_beside(file: Path, wanted: Modality) -> bool:
    """Check if a file lies beside the wanted image of its subject, by the names of both.

    In a folder with `mr.nii.gz` the files `ct.nii.gz`, `cbct.nii.gz` and `mask.nii.gz` are no MR.
    """
    if not _is_named(file) or stem_of(file) not in _BESIDE[wanted]:
        return False
    return any(_is_named(other) and stem_of(other) in NAMES[wanted] for other in file.parent.iterdir())


def _is_named(file: Path) -> bool:
    return file.name.lower().endswith(SUFFIXES)


def _what_they_hold(held: dict[str, list[Path]], names: Sequence[str]) -> str:
    """Say what subfolders hold, and how to name it, in half a sentence."""
    first = next(iter(held))
    called = few([file.name for file in held[first]], 5)
    wanted = f"none of them called {' or '.join(names)}; give" if names else "several each; give --modality,"
    return (
        f"{len(held)} subfolders hold images ({first}: {called}), {wanted} a pattern such as"
        " 'FOLDER/*/NAME.nii.gz' in quotes, or a CSV that lists them (docs/data.md)"
    )


def _is_drawn(path: Path) -> bool:
    return path.suffix.lower() == ".png" and path.is_file() and is_preview(head_of(path))
