"""Contents of a file, a folder or an archive: one item per series, volume or folder of pictures.

A series that holds several acquisitions is an item for each.

Headers only, and nothing that identifies a patient: a series goes by the end of its UID and by what its
scanner calls it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image
from pydicom.dataset import FileDataset

from medtranslate.errors import InputRefused, Unreadable
from medtranslate.geometry import Floats, spacing
from medtranslate.io import FORMATS, detect_format, is_preview
from medtranslate.io.dicom_files import File, is_archive
from medtranslate.io.dicom_series import find_series, text_of
from medtranslate.io.dicom_stack import list_parts, order_planes
from medtranslate.io.dicom_values import check_values
from medtranslate.io.facts import Facts
from medtranslate.io.formats import image_suffixes
from medtranslate.io.shear import describe_shear, right_angled

_DESCRIPTION = 40


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that could be read, or why it could not.

    Attributes:
        name: end of a SeriesInstanceUID (as `--series` takes it), or a path within the input.
        select: the acquisition of a series that holds several (as `--select` takes it).
        count: images of a series, pictures of a folder; 1 for a volume.
        size: columns, rows, slices; None where they differ or are not known.
        spacing_mm: between columns, rows and slices.
        geometry: "regular", or in words what is not; the third spacing of a sheared volume is the distance
            between its slices.
        coding: transfer syntax, or number type.
        refused: the sentence that reading it would end with.
        warnings: what reading it would warn of, as far as headers tell.
    """

    name: str
    format: str
    select: str = ""
    modality: str | None = None
    description: str = ""
    count: int = 1
    size: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    geometry: str = ""
    coding: str = ""
    refused: str = ""
    warnings: tuple[str, ...] = ()


def list_items(path: Path, volume: int | None = None) -> list[Item]:
    """Everything below a path that is an image or should be one.

    Args:
        volume: number, from 1, of the one to look at where a file holds several.

    Raises:
        Unreadable: the path does not exist, or an archive is over the bounds.
    """
    if not path.exists():
        raise Unreadable(f"{path}: does not exist; check the path")
    found = find_series(path, ["SeriesDescription"])
    damaged = [
        Item(name=str(refusal).split(": ")[0], format="dicom", refused=str(refusal))
        for refusal in found.refused
    ]
    series = [item for uid, headers in found.series.items() for item in _series(uid, headers)]
    return [*series, *damaged, *_others(path, found.others, volume)]


def _series(uid: str, headers: Sequence[FileDataset]) -> Iterator[Item]:
    """Yield a series, or each acquisition in it."""
    try:
        parts = list_parts(headers)
    except InputRefused:
        parts = []
    for part in parts or [""]:
        yield _acquisition(Item(name=f"...{uid[-12:]}", format="dicom", select=part), headers)


def _acquisition(item: Item, headers: Sequence[FileDataset]) -> Item:
    """Describe an acquisition, and why it is refused if it is."""
    first = headers[0]
    item = replace(item, count=len(headers))
    try:
        text = "".join(c for c in text_of(first, "SeriesDescription") if c.isprintable())
        modality = text_of(first, "Modality").lower() or None
        item = replace(item, modality=modality, description=text[:_DESCRIPTION])
        planes, stack, notes, _ = order_planes(headers, item.select or None)
        item = replace(
            item,
            count=len(planes),
            size=(int(planes[0].Columns), int(planes[0].Rows), len(planes)),
            spacing_mm=_three(spacing(stack.affine)),
            geometry="regular" if stack.slices is None else str(stack.slices),
        )
        checked = check_values(planes)
        return replace(item, coding=" and ".join(checked.codings), warnings=(*notes, *checked.notes))
    except InputRefused as refusal:
        return replace(item, refused=str(refusal))


def _others(path: Path, files: Iterable[File], volume: int | None) -> Iterator[Item]:
    """Volumes one by one, pictures folder by folder; what neither is nor is named like one is passed over."""
    pictures: dict[Path, list[Path]] = defaultdict(list)
    for file in (file for file in files if isinstance(file, Path)):
        if is_archive(file):
            refused = f"{file}: an archive inside a folder is not looked into; name it by itself"
            yield Item(name=_name_in(path, file), format="archive", refused=refused)
            continue
        try:
            format = detect_format(file)
        except Unreadable as refusal:
            named = file.name.lower().endswith((*image_suffixes(), ".mnc")) and not is_preview(file)
            if file == path or named:
                yield Item(name=_name_in(path, file), format="unknown", refused=str(refusal))
            continue
        if read_facts := FORMATS[format].facts:
            yield _volume(Item(name=_name_in(path, file), format=format), partial(read_facts, file, volume))
        else:
            pictures[file.parent].append(file)
    for folder, members in pictures.items():
        yield _pictures(members, _name_in(path, folder))


def _volume(item: Item, read_facts: Callable[[], Facts]) -> Item:
    """Describe a volume by its header, as its reader understands it."""
    try:
        facts = read_facts()
    except InputRefused as refusal:
        return replace(item, refused=str(refusal))
    sheared = describe_shear(facts.affine)
    return replace(
        item,
        size=facts.shape,
        spacing_mm=_three(right_angled(facts.affine)[1] if sheared else spacing(facts.affine)),
        geometry=sheared or "regular",
        coding=facts.dtype.name,
        warnings=tuple(facts.notes),
    )


def _pictures(members: Sequence[Path], name: str) -> Item:
    sizes, codings = set(), set()
    for file in members:
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                sizes.add(picture.size)
                codings.add(f"{picture.format} {picture.mode}")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            return Item(name=name, format="png", count=len(members), refused=f"{file}: damaged picture")
    size = (*sizes.pop(), 1) if len(sizes) == 1 else None
    geometry = "pictures" if size else f"pictures of {len(sizes)} sizes"
    coding = " and ".join(sorted(codings))
    return Item(name=name, format="png", count=len(members), size=size, geometry=geometry, coding=coding)


def _name_in(path: Path, file: Path) -> str:
    return str(file.relative_to(path)) if path.is_dir() and file != path else file.name


def _three(lengths: Floats) -> tuple[float, float, float]:
    columns, rows, slices = (round(float(length), 4) for length in lengths)
    return columns, rows, slices
