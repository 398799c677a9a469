"""CSV files that name images: read with every cell checked, since they come from anywhere."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection
from pathlib import Path

from medtranslate.errors import Unreadable

MAX_TABLE_BYTES = 2**26
"""Longest CSV; half a million rows."""

Row = dict[str, str]


def read_table(path: Path, required: str, optional: Collection[str]) -> list[Row]:
    """Rows of a CSV (UTF-8, commas, a header), each with the `required` cell filled.

    Raises:
        Unreadable: no CSV, an unknown, missing or doubled column, a row of another length, no rows.
    """
    columns = " and optionally ".join(filter(None, (required, ", ".join(optional))))
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise Unreadable(f"{path}: over the bound of {MAX_TABLE_BYTES / 2**20:.0f} MiB; split it")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            names = list(reader.fieldnames or [])
            if required not in names or len(set(names)) < len(names) or not {*names} <= {required, *optional}:
                found = ", ".join(map(repr, names)) or "none"
                raise Unreadable(f"{path}: columns are {found}; write {columns}, separated by commas")
            rows: list[Row] = []
            for row in reader:
                if None in row or None in row.values() or not row[required]:
                    raise Unreadable(
                        f"{path}: line {reader.line_num} does not have one cell for each of"
                        f" {', '.join(names)}; mend it"
                    )
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"{path}: no CSV in UTF-8 ({error}); name an existing one") from None
    if not rows:
        raise Unreadable(f"{path}: holds no row below its header; list at least one image")
    return rows


def beside(table: Path, name: str) -> Path:
    """The file that a table calls `name`: below the table's own folder, so that none reaches elsewhere.

    Raises:
        Unreadable: an absolute path, one that leads out of the folder, or one that no file can have.
    """
    inside = Path(os.path.normpath(name))
    if inside.is_absolute() or inside.parts[:1] == (os.pardir,) or "\0" in name:
        raise Unreadable(f"{table}: {name!r} leads out of its folder; write paths relative to the CSV")
    return table.parent / inside


def read_groups(table: Path) -> dict[Path, str]:
    """Group of each file that a table of `file,group` names, by the file's real path.

    Raises:
        Unreadable: as `read_table`; or a file is in two groups.
    """
    groups: dict[Path, str] = {}
    for row in read_table(table, "file", ("group",)):
        file = beside(table, row["file"]).resolve()
        group = row.get("group", "")
        if not group:
            raise Unreadable(f"{table}: {row['file']!r} has no group; write file,group")
        if groups.setdefault(file, group) != group:
            raise Unreadable(f"{table}: {row['file']!r} is in groups {groups[file]!r} and {group!r}; mend it")
    return groups
