"""Rows of measures as Markdown and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = dict[str, str | float]

HEADINGS = {
    "mae": "MAE",
    "mae aligned": "MAE aligned",
    "mae matched": "matched",
    "ssim": "SSIM",
    "true fluid": "truth",
    "fluid dice": "fluid Dice",
    "swd": "SWD",
}
DIGITS = {
    "ssim": 3,
    "bone": 3,
    "bone aligned": 3,
    "bone 200": 3,
    "bone 91": 3,
    "bone 300": 3,
    "ventricles": 3,
    "bone back": 3,
    "fluid dice": 3,
    "gradient": 3,
    "held": 2,
    "clear": 0,
    "slices": 0,
    "closed": 2,
    "seams": 2,
}
"""Of a column's values, otherwise one."""


def table(found: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> list[str]:
    """Lay out rows in Markdown; columns without a value are left out."""
    shown = [name for name in columns if any(name in row for row in found.values())]
    lines = ["| | " + " | ".join(HEADINGS.get(name, name) for name in shown) + " |"]
    lines.append("| --- |" + " --- |" * len(shown))
    for name, row in found.items():
        values = (f"{row[key]:.{DIGITS.get(key, 1)}f}" if key in row else "" for key in shown)
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    return lines


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with all columns that any has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()}
            for row in rows
        )
