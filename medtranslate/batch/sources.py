"""Lists the files that the SOURCE of a batch stands for: a tree, a pattern, a CSV or a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medtranslate.batch import bids
from medtranslate.batch.tree import Refused, walk
from medtranslate.config import BatchSettings
from medtranslate.data.items import modality_of
from medtranslate.errors import InputRefused, Unreadable
from medtranslate.io.tables import is_table, read_table
from medtranslate.io.trees import is_pattern, lies_beside, match, root_of
from medtranslate.modality import OTHER

Found = Iterator[Path | Refused]
_REQUIRED, _OPTIONAL = ("path",), ("subject", "modality")


def list_source(settings: BatchSettings) -> tuple[Path, Found]:
    """List the files of SOURCE, and give the folder that their places in the output are relative to.

    Raises:
        Unreadable: it does not exist, a CSV is none, or a pattern names nothing.
    """
    source = settings.source
    if is_pattern(source):
        out = settings.out.resolve()  # `**` finds former outputs, too
        places = [found.path for found in match(source) if not found.path.resolve().is_relative_to(out)]
        return root_of(source), (file for place in places for file in _below(place, settings))
    if not source.exists():
        raise Unreadable(f"{source}: does not exist; check the path")
    if is_table(source):
        return source.parent, _of_table(settings)
    if source.is_file():
        return source.parent, iter([source])
    files = _below(source, settings)
    if bids.is_dataset(source):
        return source, files
    wanted = OTHER[settings.to]
    return source, (file for file in files if isinstance(file, Refused) or not lies_beside(file, wanted))


def require_listed(settings: BatchSettings) -> None:
    """Refuse a CSV that names files which do not exist; those of a batch that watches may still arrive.

    Raises:
        Unreadable: says how many and names the first; or the CSV is none.
    """
    if is_table(settings.source) and not settings.watch:
        table = read_table(settings.source, _REQUIRED, _OPTIONAL)
        wanted = (row for row in table.rows if modality_of(table, row) != settings.to)
        table.require(table.file(row["path"]) for row in wanted)


def notes_on(settings: BatchSettings) -> list[str]:
    """List the parts of SOURCE that are not translated, with reasons.

    Raises:
        Unreadable: a CSV is none.
    """
    source, wanted = settings.source, OTHER[settings.to]
    if is_table(source):
        return read_table(source, _REQUIRED, _OPTIONAL).notes
    if not source.is_dir():
        return []
    if bids.is_dataset(source):
        parts = bids.passed_over(source)
        why = "a phase, real or imaginary part is no anatomy"
        return [f"passed over, since {why}: {parts[0]}, of {len(parts)} such images"] if parts else []
    left = [file for file in _below(source, settings) if isinstance(file, Path) and lies_beside(file, wanted)]
    if not left:
        return []
    names = ", ".join(f"{count} {name}" for name, count in Counter(file.name for file in left).items())
    return [
        f"passed over: {len(left)} images beside the {wanted.upper()} of their subjects ({names}); a pattern"
        " such as 'FOLDER/*/NAME.nii.gz', in quotes, takes others"
    ]


def _below(place: Path, settings: BatchSettings) -> Found:
    return walk(place, without=settings.out, follow_links=settings.follow_links)


def _of_table(settings: BatchSettings) -> Found:
    """List the files that the rows of a CSV stand for; what does not exist is refused by itself."""
    table = read_table(settings.source, _REQUIRED, _OPTIONAL)
    for row in table.rows:
        if modality_of(table, row) == settings.to:
            continue
        try:
            place = table.file(row["path"])
        except InputRefused as refusal:
            yield Refused(table.path, str(refusal))
            continue
        if place.exists():
            yield from _below(place, settings)
        else:
            yield Refused(place, f"{place}: does not exist; check the path")
