"""slices.csv: the scores of every slice, for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from medtranslate.report.pictures import Pictures
from medtranslate.result import Cohort, Cycle, Result

COLUMNS = ("name", "index", "position_mm", "mae", "psnr", "ssim")


def write(result: Result | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/slices.csv`, one row per slice; a score that is not defined is an empty cell."""
    items = [result] if isinstance(result, Result) else result.items
    with (folder / "slices.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for item in items:
            table.writerows((item.name, s.index, s.position_mm, s.mae, s.psnr, s.ssim) for s in item.slices)
