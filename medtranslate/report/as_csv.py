"""slices.csv: the scores of every slice, for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from medtranslate.records import Cohort, Cycle, Evaluation
from medtranslate.report.pictures import Pictures
from medtranslate.report.wording import unit_of

COLUMNS = ("name", "index", "position_mm", "mae", "psnr", "ssim", "mae_unit")


def write(result: Evaluation | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/slices.csv`, one row per slice; a score that is not defined is an empty cell.

    `mae_unit` is the unit, or what the values were clipped to before the error was taken.
    """
    items = [result] if isinstance(result, Evaluation) else result.items
    with (folder / "slices.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for item in items:
            unit = unit_of(item)
            table.writerows(
                (item.name, s.index, s.position_mm, s.mae, s.psnr, s.ssim, unit) for s in item.slices
            )
