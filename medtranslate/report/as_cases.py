"""cases.csv: the scores and measures of every case, for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from medtranslate.records import Cohort, Cycle, Evaluation
from medtranslate.report.as_csv import ALWAYS
from medtranslate.report.ct_measures import case_measures
from medtranslate.report.pictures import Pictures
from medtranslate.report.wording import unit_of


def write(result: Evaluation | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/cases.csv`, one row per case; undefined values are empty.

    The columns are the scores of the volume, as in slices.csv, and the measures of CT that any case has, with
    their unit in the name; tissues are in HU.
    """
    items = [result] if isinstance(result, Evaluation) else result.items
    scores = dict.fromkeys([*ALWAYS, *(name for item in items for name in item.volume)])
    found = [{measure.key: measure.value for measure in case_measures(item)} for item in items]
    keys = dict.fromkeys(key for measures in found for key in measures)
    with (folder / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", *scores, "mae_unit", *keys))
        for item, measures in zip(items, found, strict=True):
            row = (*map(item.volume.get, scores), unit_of(item), *map(measures.get, keys))
            table.writerow((item.name, *row))
