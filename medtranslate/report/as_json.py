"""result.json: the result as it is, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medtranslate.report.pictures import Pictures
from medtranslate.result import Cohort, Cycle, Result, write_result


def write(result: Result | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/result.json`; `medtranslate.result.read_result` reads it."""
    write_result(result, folder / "result.json")
