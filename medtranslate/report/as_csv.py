"""slices.csv: the scores of every slice, for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from medtranslate.records import Cohort, Cycle, Evaluation
from medtranslate.report.pictures import Pictures
from medtranslate.report.wording import unit_of

ALWAYS = ("mae", "psnr", "ssim")
"""Scores that have a column in every table, so that tables of several profiles fit together."""


def write(result: Evaluation | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/slices.csv`, one row per slice and a column per score; undefined scores are empty.

    `mae_unit` is the unit, or the range to which values were clipped before scoring.
    """
    items = [result] if isinstance(result, Evaluation) else result.items
    scores = dict.fromkeys([*ALWAYS, *(name for item in items for s in item.slices for name in s.scores)])
    with (folder / "slices.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", "index", "position_mm", *scores, "mae_unit"))
        for item in items:
            unit = unit_of(item)
            table.writerows(
                (item.name, s.index, s.position_mm, *map(s.scores.get, scores), unit) for s in item.slices
            )
