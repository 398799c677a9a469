"""Comparison of the patients of DICOM images, whose identity is never printed.

PatientID alone is not enough: it is unique within one hospital only, and empty or the same for all in many
research sets. So the name and the date of birth are compared, too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag

from medtranslate.errors import Unreadable
from medtranslate.io.dicom_files import is_dicom, list_files, raw_of, read_dicom, without_comment

PERSON = ("PatientID", "PatientName", "PatientBirthDate")
_TAGS = tuple(Tag(keyword) for keyword in PERSON)

Person = tuple[str, ...]
"""Values of the attributes PERSON; empty for missing ones."""


def person_of(header: Dataset) -> Person:
    """Give the person that a header names, without differences that mean nothing.

    Those are padding, upper and lower case, empty components of a name, and its character set.
    """
    return tuple(_plain(str(header.get(keyword) or "")) for keyword in PERSON)


def persons_of(headers: Iterable[FileDataset]) -> dict[Person, FileDataset]:
    """Collect the persons that headers name, each with the first header that does."""
    seen: dict[tuple[object, ...], FileDataset] = {}
    for header in headers:
        seen.setdefault(tuple(raw_of(header, tag) for tag in _TAGS), header)
    persons: dict[Person, FileDataset] = {}
    for header in seen.values():
        persons.setdefault(person_of(header), header)
    return persons


@without_comment()
def first_header(path: Path, keywords: Iterable[str]) -> FileDataset | None:
    """Read PERSON and some more attributes of the first DICOM file of a folder, a .zip, or a file.

    Returns:
        None if there is no DICOM that can be read.
    """
    with suppress(Unreadable, OSError):
        for file in list_files(path):
            with suppress(Unreadable):
                if is_dicom(file):
                    return read_dicom(file, [*PERSON, *keywords])
    return None


def difference(one: Person, other: Person) -> str:
    """Keyword of what tells two persons apart; empty if they can be one.

    An empty value beside a full one is no difference, as long as they agree in another.
    """
    both = [bool(here and there) for here, there in zip(one, other, strict=True)]
    for keyword, full, here, there in zip(PERSON, both, one, other, strict=True):
        if full and not _agree(here, there):
            return keyword
    if any(both) or one == other:
        return ""
    return next(keyword for keyword, here, there in zip(PERSON, one, other, strict=True) if here != there)


def _agree(one: str, other: str) -> bool:
    """Return True for equal values; names are compared in their common scripts (PS3.5 6.2.1)."""
    pairs = [(here, there) for here, there in zip(one.split("="), other.split("="), strict=False)]
    return all(here == there for here, there in pairs if here and there) and any(
        here and there for here, there in pairs
    )


def _plain(text: str) -> str:
    groups = unicodedata.normalize("NFC", text).casefold().split("=")
    names = (" ".join(group.replace("^", " ^ ").split()) for group in groups)
    return "=".join(name.strip("^ ") for name in names)
