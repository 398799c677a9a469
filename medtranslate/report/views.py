"""Views by name: of scores, and of translations without a reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path

from medtranslate import plugins
from medtranslate.records import Cohort, Cycle, Evaluation, Translation
from medtranslate.report import as_csv, as_html, as_json, as_pdf
from medtranslate.report.pictures import Pictures, Shown
from medtranslate.report.translation_page import write_translation

View = Callable[[Evaluation | Cohort | Cycle, Mapping[str, Pictures], Path], None]
"""Function of a result, pictures by the name of their result, and a folder; it writes a file there."""

VIEWS: MutableMapping[str, View] = plugins.load(
    "medtranslate.views",
    {"json": as_json.write, "csv": as_csv.write, "html": as_html.write, "pdf": as_pdf.write},
)
"""Views of scores, by name."""

TranslationView = Callable[[Sequence[Translation], Sequence[tuple[str, Shown]], Path], None]
"""Function of records, arrays to draw by name, and a folder; it writes a file there."""

TRANSLATION_VIEWS: MutableMapping[str, TranslationView] = plugins.load(
    "medtranslate.translation_views", {"html": write_translation, "pdf": as_pdf.write_translation}
)
"""Views of translations without a reference, by name."""
