"""Reads CSV files that name images, with every cell checked, since they come from anywhere."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medtranslate.errors import Unreadable
from medtranslate.runtime import few

MAX_TABLE_BYTES = 2**26
"""Longest CSV; half a million rows."""
_SHOWN = 5

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """Rows of a CSV that names images.

    Attributes:
        path: the CSV; names in it are relative to its folder.
        rows: cells by column, columns in lower case; a column that is not there has empty cells.
        ignored: columns that say nothing here.
    """

    path: Path
    rows: list[Row]
    ignored: list[str]

    @property
    def notes(self) -> list[str]:
        """Name the columns that are not read; one of them may be misspelt."""
        columns = ", ".join(map(repr, self.ignored))
        return [f"{self.path}: not read: the columns {columns}"] if self.ignored else []

    def file(self, name: str) -> Path:
        """Find the file that a cell names: relative to the CSV's folder, or absolute.

        Lists made on Windows have backslashes, which become slashes where no file has them in its name.

        Raises:
            Unreadable: no file can have this name.
        """
        if "\0" in name:
            raise Unreadable(f"{self.path}: {name!r} is no name of a file; mend it")
        file = Path(os.path.normpath(self.path.parent / name))
        if "\\" in name and not file.exists():
            file = Path(os.path.normpath(self.path.parent / name.replace("\\", "/")))
        return file

    def require(self, files: Iterable[Path]) -> None:
        """Refuse a table that names files which are not there.

        Raises:
            Unreadable: says how many and names the first.
        """
        listed = list(files)
        missing = [str(file) for file in listed if not file.exists()]
        if missing:
            raise Unreadable(
                f"{self.path}: {len(missing)} of {len(listed)} files do not exist ({few(missing, _SHOWN)});"
                " mend the list, or put them there"
            )


def is_table(path: Path) -> bool:
    """Check if a path is a CSV, by its name."""
    return path.suffix.lower() == ".csv"


def read_table(
    path: Path, required: Sequence[str], optional: Sequence[str] = (), *, whole: bool = False
) -> Table:
    """Read a CSV (UTF-8, a header, commas or semicolons) whose `required` cells are all filled.

    Columns may stand in any order and in any case, others beside them. Rows of empty cells are left out, as
    spreadsheets append them.

    Args:
        path: of the CSV.
        required: columns.
        optional: columns.
        whole: keep the other columns, too.

    Raises:
        Unreadable: no CSV, a missing or doubled column, a row of another length, no rows.
    """
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise Unreadable(f"{path}: over the bound of {MAX_TABLE_BYTES / 2**20:.0f} MiB; split it")
        with path.open(newline="", encoding="utf-8-sig") as file:
            mark = _separator(file.readline())
            file.seek(0)
            lines = csv.reader(file, strict=True, delimiter=mark)
            names = [name.strip().lower() for name in next(lines, [])]
            if whole:
                optional = [
                    *optional,
                    *(name for name in names if name and name not in (*required, *optional)),
                ]
            _check_columns(path, names, required, optional)
            rows = [
                _row(path, lines.line_num, names, cells, required)
                for cells in lines
                if any(map(str.strip, cells))
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"{path}: no CSV in UTF-8 ({error}); name an existing one") from None
    if not rows:
        raise Unreadable(f"{path}: holds no row below its header; add one")
    known = {*required, *optional}
    return Table(
        path,
        [{name: row.get(name, "") for name in (*required, *optional)} for row in rows],
        [name for name in names if name and name not in known],
    )


def read_groups(path: Path) -> dict[Path, str]:
    """Read the group of each file that a table of `file,group` names, by the file's real path.

    Raises:
        Unreadable: as `read_table`; or a file is in two groups.
    """
    groups: dict[Path, str] = {}
    table = read_table(path, ("file", "group"))
    for row in table.rows:
        file, group = table.file(row["file"]).resolve(), row["group"]
        if groups.setdefault(file, group) != group:
            raise Unreadable(f"{path}: {row['file']!r} is in groups {groups[file]!r} and {group!r}; mend it")
    return groups


def _separator(header: str) -> str:
    """Find the separator: the sign that the header has most of."""
    return max(",;\t", key=header.count)


def _check_columns(
    path: Path, names: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> None:
    known = [name for name in names if name in required or name in optional]
    if not {*required} <= {*known} or len(set(known)) < len(known):
        columns = " and optionally ".join(", ".join(part) for part in (required, optional) if part)
        found = ", ".join(map(repr, names)) or "none"
        raise Unreadable(f"{path}: columns are {found}; write {columns}, separated by commas")


def _row(path: Path, line: int, names: Sequence[str], cells: Sequence[str], required: Sequence[str]) -> Row:
    row = dict(zip(names, map(str.strip, cells), strict=False))
    if len(cells) != len(names) or not all(row[name] for name in required):
        raise Unreadable(
            f"{path}: line {line} does not have one cell for each of {', '.join(names)}; mend it"
        )
    return row
