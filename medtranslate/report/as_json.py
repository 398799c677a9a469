"""result.json: the complete result, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medtranslate.records import Cohort, Cycle, Evaluation, write_result
from medtranslate.report.pictures import Pictures


def write(result: Evaluation | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/result.json`; `medtranslate.records.read_result` reads it."""
    write_result(result, folder / "result.json")
