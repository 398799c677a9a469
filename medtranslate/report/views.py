"""Views by name: of scores, and of translations without a reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path

from medtranslate import plugins
from medtranslate.records import Cohort, Cycle, Evaluation, Translation
from medtranslate.report.pictures import Pictures, Shown

View = Callable[[Evaluation | Cohort | Cycle, Mapping[str, Pictures], Path], None]
"""Function of a result, pictures by the name of their result, and a folder; it writes a file there."""

VIEWS: MutableMapping[str, View] = plugins.load(
    "medtranslate.views",
    {
        "json": "medtranslate.report.as_json:write",
        "csv": "medtranslate.report.as_csv:write",
        "cases": "medtranslate.report.as_cases:write",
        "html": "medtranslate.report.as_html:write",
        "pdf": "medtranslate.report.as_pdf:write",
        "methods": "medtranslate.report.as_methods:write",
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
"""Views of translations without a reference, by name."""
