"""Views of a record: page, PDF, CSV, JSON and DICOM. Each writes its file into a folder.

A new view is one file here and one line in `VIEWS`; other packages add views by entry points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path

from medtranslate import plugins
from medtranslate.records import Cohort, Cycle, Evaluation, Translation
from medtranslate.report.as_html import case_place, write_case
from medtranslate.report.batch_page import write_batch_pages
from medtranslate.report.drawing import draw_differences
from medtranslate.report.pictures import Pictures, Shown
from medtranslate.report.planes import Sheet, draw, own_slices, three_planes, thumbnail
from medtranslate.report.translation_page import write_translation_case

__all__ = [
    "TRANSLATION_VIEWS",
    "VIEWS",
    "Pictures",
    "Sheet",
    "Shown",
    "View",
    "case_place",
    "draw",
    "draw_differences",
    "own_slices",
    "three_planes",
    "thumbnail",
    "write_batch_pages",
    "write_case",
    "write_translation_case",
]

View = Callable[[Evaluation | Cohort | Cycle, Mapping[str, Pictures], Path], None]
"""Function of a result, pictures by the name of their result, and a folder; it writes a file there."""

VIEWS: MutableMapping[str, View] = plugins.load(
    "medtranslate.views",
    {
        "json": "medtranslate.report.as_json:write",
        "csv": "medtranslate.report.as_csv:write",
        "html": "medtranslate.report.as_html:write",
        "pdf": "medtranslate.report.as_pdf:write",
    },
)
"""Views of scores, by name."""

TranslationView = Callable[[Sequence[Translation], Sequence[tuple[str, Shown]], Path], None]
"""Function of records, arrays to draw by name, and a folder; it writes a file there."""

TRANSLATION_VIEWS: MutableMapping[str, TranslationView] = plugins.load(
    "medtranslate.translation_views",
    {
        "html": "medtranslate.report.translation_page:write_translation",
        "pdf": "medtranslate.report.as_pdf:write_translation",
    },
)
"""Views of translations that have no reference, by name."""
