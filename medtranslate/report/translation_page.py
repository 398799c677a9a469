"""report.html of a translation that has no reference: what went in, what came out, how sure it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medtranslate.report.as_html import MOST_PLANES, PAGES
from medtranslate.report.drawing import draw_shown, error_colours, spread_planes
from medtranslate.report.pictures import Shown
from medtranslate.report.wording import about_translation, span
from medtranslate.result import Translation


def write_translation(
    records: Sequence[Translation], shown: Sequence[tuple[str, Shown]], folder: Path
) -> None:
    """Write `folder/report.html` of one translation, or of those of a folder.

    Args:
        records: of all translations.
        shown: those that are drawn, by name: several slices of a lone volume, one slice each of several.
    """
    first = records[0]
    spreads = [view.spread[view.mask] for _, view in shown if view.spread is not None and view.mask.any()]
    limit = max((float(np.percentile(spread, 99.5)) for spread in spreads), default=0.0)
    planes = [
        (f"{name}, slice {index}" if view.mask.shape[2] > 1 else name, draw_shown(view, index, limit or 1.0))
        for name, view in shown
        for index in spread_planes(view.mask, MOST_PLANES if len(shown) == 1 else 1)
    ]
    counts = Counter(text for record in records for text in record.warnings)
    facts = [("Model", f"{first.model.name}, to {first.model.to.upper()}, digest {first.model.sha256[:12]}")]
    page = PAGES.get_template("translation.html").render(
        title=first.output if len(records) == 1 else f"{len(records)} translations",
        kind="medtranslate translation",
        subject=f"Translated to {first.model.to.upper()} by the model {first.model.name}.",
        first=first,
        warnings=[text if len(records) == 1 else f"{text} ({count})" for text, count in counts.items()],
        planes=planes,
        limit=limit,
        unit=first.uncertainty.unit if first.uncertainty else "",
        colours=error_colours(),
        facts=facts + (about_translation(first) if len(records) == 1 else []),
        span=span,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
