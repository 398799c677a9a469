"""Reads and writes the files of the ablation: a row for each run, direction and set of cases."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RUN = ("method", "seed", "dataset", "direction", "images_seen")
TEXTS = ("method", "dataset", "direction", "device", "commit")
SCORES = ("mae", "psnr", "ssim")
COLUMNS = (
    *RUN,
    *("wall_s", "device", "commit"),
    *SCORES,
    *("mae_low", "mae_high", "mae_matched", "mae_floor", "size", "threads", "cpu_s"),
)
ANATOMY = (
    *(*RUN, "size", "cycle_mae", "sliced_wasserstein", "checkerboard", "displacement", "displacement_95"),
    *("lesions", "lesions_kept", "lesion_contrast", "slices", "slices_invented"),
    *("spread_area", "spread_width", "constant_width", "binned_width"),
)

REPORTING = "real reporting"

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """Read the whole rows of a CSV; of a run that was done twice, the last ones."""
    if not path.is_file():
        return []
    whole, end, _ = path.read_text(encoding="utf-8").rpartition("\n")  # a line that was cut off has no end
    rows = [
        {name: text if name in TEXTS else float(text) for name, text in row.items()}
        for row in csv.DictReader((whole + end).splitlines())
    ]
    return list({tuple(row[name] for name in (*RUN, "size")): row for row in rows}.values())


def append(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    """Write rows at once, after what is there; a line that was cut off goes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="nan", lineterminator="\n")
    before = path.read_bytes() if path.is_file() else b""
    if not before.endswith(b"\n") and before:
        os.truncate(path, before.rfind(b"\n") + 1)
    if b"\n" not in before:
        writer.writeheader()
    writer.writerows({name: as_text(value) for name, value in row.items()} for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text.getvalue())


def hours(rows: Iterable[Row]) -> float:
    """Sum the hours of all runs in the results; a run's seconds stand in each of its rows."""
    runs = {
        (row["method"], row["seed"], row["dataset"].split()[0], row["images_seen"], row["size"]): row
        for row in rows
    }
    return float(sum(row["wall_s"] for row in runs.values())) / 3600


def as_text(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value
