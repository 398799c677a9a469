"""Chooses images of a BIDS dataset by participant, session and the filters of BIDS Apps.

A filter file is that of fMRIPrep and QSIPrep: `{"t1w": {"session": "pre", "acquisition": null}}`, with the
entities' long names, as PyBIDS has them. A query is about images of one suffix: its `suffix`, or its name.
Images of a suffix without a query are taken as they are. Of a list of values one has to fit; null stands for
"without this entity", "*" for "with any".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medtranslate.errors import SettingsError, Unreadable
from medtranslate.runtime import few

MAX_FILTER_BYTES = 2**20

_SHORT = {
    "subject": "sub",
    "session": "ses",
    "sample": "sample",
    "task": "task",
    "tracer": "trc",
    "acquisition": "acq",
    "ceagent": "ce",
    "staining": "stain",
    "reconstruction": "rec",
    "direction": "dir",
    "run": "run",
    "echo": "echo",
    "flip": "flip",
    "inv": "inv",
    "inversion": "inv",
    "mt": "mt",
    "part": "part",
    "proc": "proc",
    "processing": "proc",
    "space": "space",
    "res": "res",
    "resolution": "res",
    "den": "den",
    "desc": "desc",
    "description": "desc",
    "label": "label",
    "chunk": "chunk",
}
"""Entities as they stand in names, by the names that PyBIDS gives them."""
_OF_FILES = ("suffix", "extension", "datatype")
_ABSENT, _ANY, _OPTIONAL = (None, "Query.NONE"), ("*", "Query.ANY"), "Query.OPTIONAL"

Choice = Callable[[Path], bool]
"""Whether an image of a dataset is wanted, by its path within it."""


@dataclass(frozen=True)
class Query:
    """Query of a filter file.

    Attributes:
        suffix: of the images that it is about, in lower case.
        values: what they must have, by entity; each a list of which one has to fit.
    """

    suffix: tuple[str, ...]
    values: dict[str, list[object]]

    def fits(self, found: Mapping[str, str]) -> bool:
        return all(
            any(_fits(value, found.get(name)) for value in wanted) for name, wanted in self.values.items()
        )


def choose(
    dataset: Path, participants: tuple[str, ...], sessions: tuple[str, ...], filters: Path | None
) -> Choice:
    """Make the test that images of a dataset have to pass.

    Args:
        participants: labels, with or without `sub-`; all without any.
        sessions: labels, with or without `ses-`; all without any, images without a session too.
        filters: a filter file.

    Raises:
        SettingsError: the dataset has no such participant or session.
        Unreadable: the filter file is none.
    """
    subjects = _known(dataset, "participant", "sub", participants, "sub-*")
    visits = _known(dataset, "session", "ses", sessions, "sub-*/ses-*")
    queries = read_filters(filters) if filters else []

    def wanted(image: Path) -> bool:
        found = entities_of(image)
        if (subjects and found.get("sub") not in subjects) or (visits and found.get("ses") not in visits):
            return False
        own = [query for query in queries if found["suffix"].lower() in query.suffix]
        return not own or any(query.fits(found) for query in own)

    return wanted


def read_filters(path: Path) -> list[Query]:
    """Read a filter file.

    Raises:
        Unreadable: it is no JSON of this kind, or has an entity that BIDS does not have.
    """
    try:
        if path.stat().st_size > MAX_FILTER_BYTES:
            raise Unreadable(
                f"{path}: over the bound of {MAX_FILTER_BYTES >> 20} MiB; give a BIDS filter file"
            )
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"{path}: no JSON ({type(error).__name__}); give a BIDS filter file") from None
    if not isinstance(told, dict) or not all(isinstance(values, dict) for values in told.values()):
        raise Unreadable(f'{path}: write queries such as {{"t1w": {{"session": "pre"}}}}')
    return [_query(path, name, values) for name, values in told.items()]


def _query(path: Path, name: str, given: Mapping[str, Any]) -> Query:
    """Check one query; without `suffix` its name is the suffix."""
    lists = {key: value if isinstance(value, list) else [value] for key, value in given.items()}
    suffixes = tuple(str(value).lower() for value in lists.pop("suffix", [name]))
    values: dict[str, list[object]] = {}
    for key, wanted in lists.items():
        short = _SHORT.get(key, key)
        if short not in _SHORT.values() and short not in _OF_FILES:
            raise Unreadable(f"{path}: {name} has no entity {key!r}; write one of {', '.join(_SHORT)}")
        if not all(value is None or isinstance(value, str | int) for value in wanted):
            raise Unreadable(f'{path}: {key} of {name} is {wanted!r}; write labels, null or "*"')
        values[short] = wanted
    return Query(suffixes, values)


def entities_of(image: Path) -> dict[str, str]:
    """Read the entities of an image by their short names, and its suffix, extension and data type."""
    *pairs, last = image.name.split("_")
    suffix, _, ending = last.partition(".")
    found = {key: label for key, _, label in (pair.partition("-") for pair in pairs)}
    return {**found, "suffix": suffix, "extension": f".{ending}", "datatype": image.parent.name}


def _fits(wanted: object, found: str | None) -> bool:
    if wanted == _OPTIONAL:
        return True
    if wanted in _ABSENT:
        return found is None
    if wanted in _ANY:
        return found is not None
    if found is None:
        return False
    numbers = str(wanted).isdigit() and found.isdigit()  # a run is a number: 1 is 01
    return int(str(wanted)) == int(found) if numbers else str(wanted).lstrip(".") == found.lstrip(".")


def _known(dataset: Path, what: str, entity: str, labels: tuple[str, ...], places: str) -> set[str]:
    """Strip the entity from labels, and refuse labels that no folder has.

    Raises:
        SettingsError: names them, and what there is.
    """
    wanted = {re.sub(rf"^{entity}-", "", label.strip()) for label in labels}
    there = {place.name.partition("-")[2] for place in dataset.glob(places) if place.is_dir()}
    if missing := sorted(wanted - there):
        known = few(sorted(there), 10) or "none"
        raise SettingsError(f"{dataset}: has no {what} {', '.join(missing)}; it has {known}")
    return wanted
