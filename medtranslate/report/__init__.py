"""One result, several views of it; each writes its file into a folder.

A new view is one file here and one line in `VIEWS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from medtranslate.report import as_csv, as_html, as_json
from medtranslate.report.pictures import Pictures
from medtranslate.result import Cohort, Result

__all__ = ["VIEWS", "Pictures", "View"]

View = Callable[[Result | Cohort, Mapping[str, Pictures], Path], None]
"""(result, pictures by the name of the result they belong to, folder) to a file in the folder."""

VIEWS: dict[str, View] = {
    "json": as_json.write,
    "csv": as_csv.write,
    "html": as_html.write,
}
