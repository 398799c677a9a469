"""Patients of the pairs of a cohort, and the facts that tables and headers state about them.

A DICOM patient's identity is compared in memory and never kept: patients are numbered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from medtranslate.config import EvaluateSettings
from medtranslate.errors import SettingsError
from medtranslate.evaluation.facts import SCAN, TableOfFacts, header_facts, read_facts
from medtranslate.io import FORMATS
from medtranslate.io.dicom_identity import Person, first_header, person_of
from medtranslate.io.tables import is_table, read_table
from medtranslate.io.trees import is_pattern, root_of
from medtranslate.runtime import few

_BIDS = re.compile(r"(?:^|[/_])(sub-[0-9A-Za-z]+)")
_DICOM = ("", ".dcm", ".ima", ".zip")
UNKNOWN = (
    "It is unknown which pictures are of one patient, so nothing is computed over patients. Give --subjects"
    " PATTERN, or a CSV of pairs with a column subject."
)

Paths = Mapping[str, Path]


@dataclass(frozen=True)
class Subjects:
    """Patients of pairs, and facts about them.

    Attributes:
        rule: how the patient of a pair is found, in a sentence.
        of: patient by the name of the pair; empty if unknown.
        columns: facts by column and pair.
        notes: on columns that are left out, and on suspicious patients.
    """

    rule: str
    of: dict[str, str]
    columns: dict[str, dict[str, float | str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_subjects(settings: EvaluateSettings, pairs: Mapping[str, Paths]) -> Subjects:
    """Find the patient of each pair by the first rule that covers all pairs, and the facts about them.

    The rules: `settings.subjects`; a column `subject` of the table of facts or of the CSV of pairs; `sub-` of
    BIDS; the patient of DICOM headers; a folder for each pair; one patient for each volume.

    Raises:
        SettingsError: the pattern is invalid, or does not match the name of a pair.
        Unreadable: a CSV is refused.
    """
    table = read_facts(settings.table) if settings.table else None
    headers = {name: header for name, paths in pairs.items() if (header := _header_of(paths))}
    rules: tuple[Callable[[], Subjects | None], ...] = (
        lambda: _by_pattern(settings.subjects, pairs),
        lambda: _by_table(table, pairs),
        lambda: _by_list(settings.prediction, pairs),
        lambda: _by_bids(settings.prediction, pairs),
        lambda: _by_headers(headers, pairs),
        lambda: _by_folder(pairs),
        lambda: _by_volume(pairs),
    )
    found = next((known for rule in rules if (known := rule())), Subjects(UNKNOWN, {}))
    columns, notes = table.of_pairs(found.of, list(pairs)) if table else ({}, [])
    return Subjects(found.rule, found.of, header_facts(headers) | columns, [*found.notes, *notes])


def _by_pattern(pattern: str | None, pairs: Mapping[str, Paths]) -> Subjects | None:
    if pattern is None:
        return None
    try:
        found = {name: re.search(pattern, name) for name in pairs}
    except re.error as error:
        raise SettingsError(f"--subjects {pattern!r}: is no regular expression ({error}); mend it") from None
    missing = [name for name, match in found.items() if match is None or not match[match.re.groups and 1]]
    if missing:
        raise SettingsError(
            f"--subjects {pattern!r}: finds no patient in {len(missing)} of {len(pairs)} names"
            f" ({few(missing)}); give a pattern that matches a part of every name"
        )
    of = {name: match[match.re.groups and 1] for name, match in found.items() if match}
    return Subjects(
        f"Pairs belong to one patient where the pattern {pattern} finds the same in their names.", of
    )


def _by_table(table: TableOfFacts | None, pairs: Mapping[str, Paths]) -> Subjects | None:
    of = table.subjects if table else {}
    if table is None or not all(name in of for name in pairs):
        return None
    return Subjects(
        f"Patients are those of the column subject in {table.path.name}.", {n: of[n] for n in pairs}
    )


def _by_list(path: Path, pairs: Mapping[str, Paths]) -> Subjects | None:
    """Take the column of a CSV of pairs; its rows are told apart by their predictions."""
    if not is_table(path):
        return None
    table = read_table(path, ("prediction",), ("subject",))
    listed = {table.file(row["prediction"]): row["subject"] for row in table.rows}
    of = {name: listed.get(paths["prediction"], "") for name, paths in pairs.items()}
    if not all(of.values()):
        return None
    return Subjects(f"Patients are those of the column subject in {path.name}.", of)


def _by_bids(root: Path, pairs: Mapping[str, Paths]) -> Subjects | None:
    found = {name: _BIDS.search(_place(root, paths["prediction"])) for name, paths in pairs.items()}
    if not all(found.values()):
        return None
    of = {name: match[1] for name, match in found.items() if match}
    return Subjects("Patients are those of BIDS, by sub- in the names.", of)


def _place(root: Path, file: Path) -> str:
    """Give the part of a path that tells pairs apart, with slashes."""
    top = root_of(root) if is_pattern(root) else root
    return (file.relative_to(top) if file.is_relative_to(top) else Path(file.name)).as_posix()


def _by_headers(headers: Mapping[str, Dataset], pairs: Mapping[str, Paths]) -> Subjects | None:
    people = {name: person_of(headers[name]) for name in pairs if name in headers}
    if len(people) < len(pairs) or not all(map(any, people.values())):
        return None
    numbers: dict[Person, str] = {}
    of = {name: numbers.setdefault(who, f"patient {len(numbers) + 1}") for name, who in people.items()}
    alike = "All headers name the same patient. If an anonymiser did this, give --subjects or a table."
    notes = [alike] if len(numbers) == 1 < len(pairs) else []
    return Subjects("Patients are those of the DICOM headers; they are numbered, not named.", of, notes=notes)


def _header_of(paths: Paths) -> Dataset | None:
    """Read the first DICOM header of a pair; None without one."""
    given = [paths[role] for role in ("source", "reference", "prediction") if role in paths]
    places = [path for path in given if path.is_dir() or path.suffix.lower() in _DICOM]
    return next((header for path in places if (header := first_header(path, SCAN))), None)


def _by_folder(pairs: Mapping[str, Paths]) -> Subjects | None:
    if len({paths["prediction"].parent for paths in pairs.values()}) < len(pairs) or len(pairs) < 2:
        return None
    return Subjects("Each folder is one patient.", {name: name for name in pairs})


def _by_volume(pairs: Mapping[str, Paths]) -> Subjects | None:
    pictures = FORMATS["png"].suffixes
    if any(paths["prediction"].name.lower().endswith(pictures) for paths in pairs.values()):
        return None
    return Subjects(
        "Each volume counts as one patient: nothing states which are of the same one. If some are, give"
        " --subjects PATTERN, or a CSV of pairs with a column subject.",
        {name: name for name in pairs},
    )
