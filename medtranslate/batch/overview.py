"""Writes summary.csv and overview.html of a batch."""

from __future__ import annotations

import csv
from pathlib import Path

from medtranslate.batch.folder import own
from medtranslate.batch.preview import thumbnail_of
from medtranslate.records import Batch
from medtranslate.report import write_batch_pages
from medtranslate.report.item_measures import MEASURES
from medtranslate.runtime import whole_outputs

SUMMARY, OVERVIEW = "summary.csv", "overview.html"
FILES = (SUMMARY, OVERVIEW, "settings.yaml")
"""Files of a batch at the top of its folder, beside the journal."""


def write_overview(batch: Batch, out: Path, part: str = "") -> None:
    """Write both into the batch's folder.

    Args:
        part: the participant whose batch it is, such as sub-01, which is added to the names.

    Raises:
        DiskFull: the file system is full.
    """
    summary = out / own(SUMMARY, part)
    with whole_outputs({summary: False}, overwrite=True) as fresh:
        _write_summary(batch, fresh[summary])
    pictures = {item.name: out / thumbnail_of(Path(item.output)) for item in batch.items}
    write_batch_pages(batch, pictures, out / own(OVERVIEW, part))


def _write_summary(batch: Batch, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["name", "state", "slices", "seconds", "output", "reason", "warnings", *MEASURES])
        for item in batch.items:
            told = [item.reason or "", "; ".join(item.warnings)]
            measured = [f"{item.measures[name]:.6g}" if name in item.measures else "" for name in MEASURES]
            table.writerow([item.name, item.state, item.slices, item.seconds, item.output, *told, *measured])
