"""Lists what a batch is to translate and where each translation goes: names alone, no volumes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from natsort import natsorted

from medtranslate.batch import bids
from medtranslate.batch.bids_filter import Choice, choose
from medtranslate.batch.sources import list_source
from medtranslate.batch.tree import Refused
from medtranslate.config import BatchSettings, Modality
from medtranslate.errors import InputRefused, MedtranslateError, SettingsError, UsageError
from medtranslate.io import FORMATS, detect_format, is_preview
from medtranslate.io.dicom_files import file_of
from medtranslate.io.dicom_folders import Share, join_shares
from medtranslate.io.dicom_series import find_series
from medtranslate.io.names import synthetic_name
from medtranslate.io.trees import SUFFIXES
from medtranslate.modality import OTHER
from medtranslate.runtime import reason
from medtranslate.translation import RECORD, cannot_become, has_whole_name, name_in, record_beside

_PROMISING = (*SUFFIXES, ".dcm")
"""Of names that promise an image; a file of another name that is none is passed over."""
_TAIL = 12


@dataclass(frozen=True, kw_only=True)
class Item:
    """Volume, series or picture to translate.

    Attributes:
        name: path within the source, for people; of a series its folder and the end of its UID.
        source: what `read_volume` takes.
        target: path within the output's folder: a file, or the folder of a DICOM series.
        format: key of FORMATS to write.
        files: names of what is read within `source`, or beside it where that is a file.
        series: SeriesInstanceUID.
        origin: where a BIDS dataset has it.
        refused: why it can't be translated, as far as its place tells.
        whole_name: its record bears the whole name of its file, for that of the stem is another's.
    """

    name: str
    source: Path
    target: Path
    format: str = ""
    files: tuple[str, ...] = ()
    series: str | None = None
    origin: str | None = None
    refused: str = ""
    whole_name: bool = False

    @property
    def paths(self) -> list[Path]:
        """Files that are read."""
        folder = self.source if self.series else self.source.parent
        return [folder / name for name in self.files] or [self.source]

    @property
    def record(self) -> Path:
        """Path of the translation's record within the output's folder."""
        if self.format == "dicom":
            return self.target / RECORD
        return record_beside(self.target, whole=self.whole_name)


def find_items(settings: BatchSettings) -> list[Item]:
    """List what lies in the source, in natural order, each with a place of its own in the output.

    A CSV stands for the files and folders that it names in `path`; rows whose `modality` is the target's are
    left out. A pattern stands for what it names. A folder with a dataset_description.json is a BIDS dataset,
    any other a tree: what is an image by its content is an item, what is only named like one is an item that
    is refused, and what lies in a subject's folder beside the image that is wanted is none (`lies_beside`).
    Files outside of a CSV's folder keep their whole path below the output. DICOM is put together
    by series; one that several folders share out is one item, whole stacks in folders of their own are an
    item each, though they share a UID.

    Raises:
        Unreadable: the source does not exist, or a CSV is none.
        UsageError: the output is the source, or holds it; or a BIDS dataset has not what is chosen.
    """
    source = settings.source
    root, found = list_source(settings)
    if source.resolve().is_relative_to(settings.out.resolve()):
        raise UsageError(f"{settings.out}: is or holds the source {source}; name another output")
    chosen = [
        name for name in ("participant_label", "session_id", "bids_filter_file") if getattr(settings, name)
    ]
    if chosen and not bids.is_dataset(source):
        option = f"--{chosen[0].replace('_', '-')}"
        raise SettingsError(f"{option}: {source} holds no {bids.DESCRIPTION}; name a BIDS dataset")
    if bids.is_dataset(source):
        wanted = choose(source, settings.participant_label, settings.session_id, settings.bids_filter_file)
        items = _from_dataset(root, found, OTHER[settings.to], wanted)
    else:
        items = list(_from_files(root, found, settings.format, settings.to))
    listed = natsorted(map(_named, items), key=lambda item: (item.name, item.refused))
    return _apart(listed, settings.out)


def _from_dataset(
    root: Path, found: Iterable[Path | Refused], modality: Modality, wanted: Choice
) -> list[Item]:
    """Make items of the images of a dataset that are wanted, named as those of a derivative."""
    items = []
    for place in found:
        path = place.path if isinstance(place, Refused) else place
        if not wanted(path.relative_to(root)):
            continue
        if target := bids.derived(path.relative_to(root), modality):
            inside = path.relative_to(root).as_posix()
            item = Item(name=inside, source=path, target=target, format="nifti", origin=inside)
            items.append(replace(item, refused=place.why) if isinstance(place, Refused) else item)
    return items


@dataclass
class _Part:
    """Files of a series in one folder or archive."""

    files: list[str] = field(default_factory=list)
    share: Share = field(default_factory=Share)


_Found = dict[str, dict[Path, _Part]]
"""Parts by the series' UID and their folder."""


def _from_files(
    root: Path, found: Iterable[Path | Refused], format: str | None, to: Modality
) -> Iterator[Item]:
    """Make items of files: volumes and pictures as they come, series when all files have been seen."""
    series: _Found = {}
    for place in found:
        if isinstance(place, Refused):
            yield _refused(root, place.path, place.why)
            continue
        kind = ""
        try:
            kind = detect_format(place)
            if kind == "dicom":
                yield from _gather(root, place, series)
                continue
        except (MedtranslateError, OSError) as error:
            if kind or (place.name.lower().endswith(_PROMISING) and not is_preview(place)):
                yield _refused(root, place, reason(error))
            continue
        inside = _inside(root, place)
        name = name_in(place, format or kind, to)
        yield Item(
            name=_name(root, place),
            source=place,
            target=inside.with_name(name),
            format=format or kind,
            files=_with_voxels(place, kind),
            refused=_unable(inside, kind, format),
        )
    for uid, parts in series.items():
        for source, files in _wholes(parts):
            yield _series(root, uid, source, files, format or "dicom", to)


def _with_voxels(path: Path, kind: str) -> tuple[str, ...]:
    """Name a header and the file with its voxels, if that is another one."""
    with suppress(InputRefused):
        find = FORMATS[kind].voxel_file
        name = find(path) if find else None
        if name and Path(name).name == name and path.with_name(name).is_file():
            return path.name, name
    return ()


def _gather(root: Path, file: Path, series: _Found) -> Iterator[Item]:
    """Add the images of a DICOM file or archive to their series; a damaged file is an item."""
    findings = find_series(file)
    for refusal in findings.refused:
        yield _refused(root, file, str(refusal))
    for uid, headers in findings.series.items():
        inside = isinstance(file_of(headers[0]), Path)
        part = series.setdefault(uid, {}).setdefault(file.parent if inside else file, _Part())
        for header in headers:
            part.share.add(header)
        if inside and file.name not in part.files[-1:]:
            part.files.append(file.name)


def _wholes(parts: dict[Path, _Part]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Find the complete copies of a series: in folders that share it out, or in one with a whole stack."""
    folders = [place for place in parts if place.is_dir()]
    for joined in join_shares({folder: parts[folder].share for folder in folders}):
        above = Path(os.path.commonpath(joined))
        names = (folder.relative_to(above) / name for folder in joined for name in parts[folder].files)
        yield above, tuple(map(str, names))
    yield from ((place, ()) for place in parts if place not in folders)


def _series(root: Path, uid: str, source: Path, files: tuple[str, ...], format: str, to: Modality) -> Item:
    end = "".join(sign if sign.isalnum() else "-" for sign in uid[-_TAIL:])
    inside = _inside(root, source)
    folder = inside if source.is_dir() else inside.with_suffix("")
    target = folder / synthetic_name(f"series-{end}{FORMATS[format].suffixes[-1]}", to)
    name = Path(_name(root, source)) / f"series-{end}"
    return Item(
        name=name.as_posix(),
        source=source,
        target=target,
        format=format,
        files=files,
        series=uid,
        refused=_unable(name, "dicom", format),
    )


def _unable(name: Path, found: str, format: str | None) -> str:
    """Say why a translation cannot be written in the wanted format; empty if it can."""
    why = cannot_become(found, format or found)
    return f"{name}: {why}" if why else ""


def _refused(root: Path, path: Path, why: str) -> Item:
    return Item(name=_name(root, path), source=path, target=_inside(root, path), refused=why)


def _inside(root: Path, path: Path) -> Path:
    """Place a path in the output; a path outside of `root` keeps all its folders."""
    if path.is_relative_to(root):
        return path.relative_to(root)
    whole = Path(os.path.abspath(path))
    return whole.relative_to(whole.anchor)


def _name(root: Path, path: Path) -> str:
    """Name a path for people: within `root`, or whole."""
    return (path.relative_to(root) if path.is_relative_to(root) else Path(os.path.abspath(path))).as_posix()


def _named(item: Item) -> Item:
    """Refuse an item whose name is not UTF-8: records and tables could not hold it."""
    name = printable(item.name)
    if name == item.name and str(item.target) == printable(str(item.target)):
        return item
    return replace(item, name=name, refused=item.refused or f"{name}: not a name in UTF-8; rename it")


def printable(text: str) -> str:
    """Escape bytes of a name that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _apart(items: Sequence[Item], out: Path) -> list[Item]:
    """Keep each item once, and refuse those whose output would replace that of an earlier one.

    Of files that share a stem, such as x.mha and x.nrrd, the first that is written has the stem's record.
    """
    stems = Counter(item.record for item in items if not item.refused)
    taken: dict[Path, str] = {}
    found: dict[str, Item] = {}
    for item in items:
        if item.name in found:
            continue
        if not item.refused and stems[item.record] > 1 and item.format != "dicom":
            item = replace(item, whole_name=item.record in taken or has_whole_name(out / item.target))
        places = () if item.refused else (item.target, item.record)
        if other := next((taken[place] for place in places if place in taken), None):
            why = f"{item.name}: its translation would be named like that of {other}; rename one of them"
            item = replace(item, refused=why)
        taken |= dict.fromkeys(places, item.name)
        found[item.name] = item
    return list(found.values())
