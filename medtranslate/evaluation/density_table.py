"""Reads the CSV of relative electron densities that `evaluate --densities` takes."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from medtranslate.errors import Unreadable
from medtranslate.io.tables import read_table
from medtranslate.metrics import SCHNEIDER, check_densities
from medtranslate.records import Densities

MOST_KNOTS = 1000
"""Most rows of a table, which is copied into each record; clinical ones have 10 to 50."""


def read_densities(name: str | PathLike[str] | None) -> Densities:
    """Read a CSV of `hu,density`, one knot in a row, ascending.

    Args:
        name: path of the CSV, whose name becomes the table's; None for Schneider's table.

    Raises:
        Unreadable: no CSV of these columns, a cell that is no number, or more than `MOST_KNOTS` rows.
        InputRefused: it is no table of relative electron densities, as `check_densities` says.
    """
    if name is None:
        return SCHNEIDER
    path = Path(name)
    rows = read_table(path, ("hu", "density")).rows
    if len(rows) > MOST_KNOTS:
        raise Unreadable(f"{path}: {len(rows)} rows; a table of densities has {MOST_KNOTS} at most")
    try:
        knots = [(float(row["hu"]), float(row["density"])) for row in rows]
    except ValueError as error:
        raise Unreadable(f"{path}: {error}; write HU and density as numbers, with a decimal point") from None
    table = Densities(
        name=path.name, hu=tuple(hu for hu, _ in knots), density=tuple(density for _, density in knots)
    )
    check_densities(table, str(path))
    return table
