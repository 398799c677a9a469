"""One result, several views of it; each writes its file into a folder.

A new view is one file here and one line in `VIEWS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from medtranslate.report import as_csv, as_html, as_json
from medtranslate.report.as_html import case_place, write_case
from medtranslate.report.drawing import draw_differences
from medtranslate.report.pictures import Pictures, Shown
from medtranslate.report.translation_page import write_translation, write_translation_case
from medtranslate.result import Cohort, Cycle, Result

__all__ = [
    "VIEWS",
    "Pictures",
    "Shown",
    "View",
    "case_place",
    "draw_differences",
    "write_case",
    "write_translation",
    "write_translation_case",
]

View = Callable[[Result | Cohort | Cycle, Mapping[str, Pictures], Path], None]
"""(result, pictures by the name of the result they belong to, folder) to a file in the folder."""

VIEWS: dict[str, View] = {
    "json": as_json.write,
    "csv": as_csv.write,
    "html": as_html.write,
}
