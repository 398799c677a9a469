"""Facts about pairs, such as age, vendor and slice thickness, from a table or DICOM headers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from medtranslate.errors import Unreadable
from medtranslate.io.tables import Row, read_table
from medtranslate.runtime import few

SCAN = {
    "Manufacturer": "vendor",
    "SliceThickness": "slice thickness, mm",
    "MagneticFieldStrength": "field, T",
}
"""DICOM attributes that describe a scan and not a patient, and their columns."""

MOST_COLUMNS = 20
"""Columns that are kept of a table; the others are named."""

MOST_KINDS = 8
"""Different texts of a column that is drawn; free text has more."""

_KEYS = ("name", "subject", "prediction", "reference", "mask", "source", "uncertainty")
_IDENTITY = re.compile(
    r"name|birth|dob|mrn|accession|address|phone|mail|physician|insur|ssn|\bp?id\b|_id|patient.?id"
)
_MISSING = ("", "-", "na", "n/a", "nan", "none", "null", "unknown", "?")

Column = dict[str, float | str]
"""Values of one column by pair; missing ones are absent."""


@dataclass(frozen=True)
class TableOfFacts:
    """CSV with facts about pairs, by the name of the pair or by subject.

    Attributes:
        subjects: patient by the name of the pair, where the table has both.
    """

    path: Path
    rows: list[Row]
    subjects: dict[str, str]

    def of_pairs(self, of: Mapping[str, str], pairs: Sequence[str]) -> tuple[dict[str, Column], list[str]]:
        """Give each column that can be drawn by pair, and the reasons why others cannot.

        Args:
            of: patient of each pair.
            pairs: their names.
        """
        by_name = {row["name"]: row for row in self.rows if row.get("name")}
        by_subject = {row["subject"]: row for row in self.rows if row.get("subject")}
        known = {name: by_name.get(name) or by_subject.get(of.get(name, "")) for name in pairs}
        found = {name: row for name, row in known.items() if row}
        where, notes = self.path.name, list[str]()
        if len(found) < len(pairs):
            missing = [name for name in pairs if name not in found]
            notes.append(f"{where} has no row for {len(missing)} of {len(pairs)} pairs ({few(missing)}).")
        headings = [key for key in self.rows[0] if key not in _KEYS]
        private = [key for key in headings if _IDENTITY.search(key)]
        if private:
            notes.append(f"{where}: not drawn, because they may identify a patient: {', '.join(private)}.")
        open_ = [key for key in headings if key not in private]
        if len(open_) > MOST_COLUMNS:
            notes.append(f"{where}: the first {MOST_COLUMNS} of {len(open_)} columns are drawn.")
        columns: dict[str, Column] = {}
        for key in open_[:MOST_COLUMNS]:
            column, note = read_column({name: row[key] for name, row in found.items()}, len(self.rows))
            notes += [f"{where}: {key}: {note}."] if note else []
            columns |= {key: column} if column else {}
        return columns, notes


def read_facts(path: Path) -> TableOfFacts:
    """Read a CSV whose rows are about pairs (`name`), or about patients (`subject`).

    Raises:
        Unreadable: it has neither column, or two rows are about the same pair or patient.
    """
    rows = read_table(path, (), whole=True).rows
    key = next((key for key in ("name", "subject") if key in rows[0]), None)
    if key is None:
        columns = ", ".join(map(repr, rows[0]))
        raise Unreadable(f"{path}: has the columns {columns}; add one called name (of the pair) or subject")
    keys = [row[key] for row in rows if row[key]]
    if doubled := [one for one in dict.fromkeys(keys) if keys.count(one) > 1]:
        raise Unreadable(
            f"{path}: {len(doubled)} {key}s have several rows ({few(doubled)}); keep one of each"
        )
    subjects = {row["name"]: row["subject"] for row in rows if row.get("name") and row.get("subject")}
    return TableOfFacts(path, rows, subjects)


def read_column(cells: Mapping[str, str], rows: int) -> tuple[Column, str]:
    """Read the cells of a column as numbers, or as texts if most are none; state what cannot be drawn.

    Args:
        cells: by pair.
        rows: of the table. A text that differs in each is a name, and no fact to compare.

    Returns:
        The values by the names of `cells`, empty if they cannot be drawn, and a remark or nothing.
    """
    filled = {name: cell for name, cell in cells.items() if cell.lower() not in _MISSING}
    numbers = {name: value for name, cell in filled.items() if (value := _number(cell)) is not None}
    if not filled:
        return {}, "has no value for these pairs"
    if 2 * len(numbers) >= len(filled):
        column: Column = dict(numbers)
        odd = [cell for name, cell in filled.items() if name not in numbers]
        remark = f"{len(odd)} cells are no numbers ({few(list(dict.fromkeys(odd)))})" if odd else ""
    else:
        column, remark = dict(filled), ""
        kinds = len(set(filled.values()))
        if kinds > MOST_KINDS or kinds == rows > 2:
            return {}, f"not drawn, because it has {kinds} different texts in {rows} rows"
    if len(set(column.values())) == 1:
        return {}, f"not drawn, because all its values are {next(iter(column.values()))}"
    missing = len(cells) - len(filled)
    lacks = f"{missing} of {len(cells)} pairs have no value" if missing else ""
    return column, "; ".join(text for text in (remark, lacks) if text)


def header_facts(headers: Mapping[str, Dataset]) -> dict[str, Column]:
    """Read what DICOM headers state about the scans, by column and pair; constant columns are left out."""
    columns = {}
    for keyword, title in SCAN.items():
        cells = {name: _text(header, keyword) for name, header in headers.items()}
        if column := read_column(cells, len(cells))[0]:
            columns[title] = column
    return columns


def _text(header: Dataset, keyword: str) -> str:
    """Read an attribute as text; empty where it is absent or damaged."""
    with suppress(Exception):
        return str(header.get(keyword) or "")[:64]
    return ""


def _number(cell: str) -> float | None:
    """Read a finite number, with a point or a decimal comma."""
    with suppress(ValueError):
        value = float(cell.replace(",", "."))
        return value if math.isfinite(value) else None
    return None
