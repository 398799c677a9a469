"""report.html of a translation without a reference: source, translation and uncertainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from medtranslate.io.names import pair_name
from medtranslate.metrics import Values
from medtranslate.records import Translation
from medtranslate.report.as_html import CASES, case_place
from medtranslate.report.case_page import MOST_PLANES, Chart, about, middle_of, plot
from medtranslate.report.doubts import MOST_DOUBTS, doubts_of, measures
from medtranslate.report.drawing import (
    Cut,
    draw_shown,
    error_colours,
    middle_cuts,
    spread_planes,
)
from medtranslate.report.grades import Verdict
from medtranslate.report.key_planes import key_of_translation
from medtranslate.report.limitations import chosen, provenance, what_it_lacks
from medtranslate.report.page import VIEWER_SCRIPTS, render
from medtranslate.report.pictures import Shown
from medtranslate.report.regions import image_digest
from medtranslate.report.scale_ends import uncertainty_limit
from medtranslate.report.viewer import Grid, Image, Viewer, build_viewer, offered_windows
from medtranslate.report.wording import about_translation, map_title, number, say_made, say_model, span

Drawn = tuple[str, list[str]]
"""Caption, and the pictures under it as data URIs."""
LEAST_AREA = 0.1
"""Least area of a slice for a mean, as a share of the head's largest slice."""
UNSCORED = Verdict(
    "unknown", "Not scored", "There is no reference: nothing here was compared with the truth."
)


def write_translation(
    records: Sequence[Translation], shown: Sequence[tuple[str, Shown]], folder: Path
) -> None:
    """Write `folder/report.html` of one translation, or of those of a folder.

    A page of many links to the pages that `write_translation_case` wrote into the folder before.

    Args:
        records: of all translations.
        shown: arrays to draw, by name: several slices of a lone volume, one slice each of several; empty
            without the images.
        folder: an existing folder.
    """
    if len(records) == 1:
        page = translation_page(records[0], *(shown[0] if shown else (records[0].output, None)))
    else:
        page = _many(records, shown, folder)
    (folder / "report.html").write_text(page, encoding="utf-8")


def write_translation_case(record: Translation, name: str, shown: Shown, folder: Path) -> None:
    """Write the page of one translation of many; the page of all links to it."""
    place = case_place(folder, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(translation_page(record, name, shown, home="../report.html"), encoding="utf-8")


def translation_page(record: Translation, name: str, shown: Shown | None, home: str | None = None) -> str:
    """Make the page of one translation.

    Args:
        shown: arrays to draw; None without the images.
        home: link to the page of all, if this is one of many.
    """
    limit = uncertainty_limit(_uncertainties([shown] if shown else []))
    return render(
        "translation.html",
        *(VIEWER_SCRIPTS if shown else ()),
        title=name,
        **_common([record], limit, shown),
        about=about(record),
        key=key_of_translation(shown) if shown and shown.mask.any() else None,
        home=home,
        home_many="translations",
        warnings=record.warnings,
        viewer=_viewer(record, shown, limit) if shown else None,
        curves=_curves(shown, record) if shown else [],
        rows=[],
        links={},
        planes=_planes(shown, name, limit or 1.0) if shown and shown.mask.any() else [],
        across=_across(shown, "", limit or 1.0) if shown and shown.mask.any() else [],
        facts=[*measures(record), *about_translation(record)],
        provenance=[*provenance(record), *_settings(record)],
    )


def _many(records: Sequence[Translation], shown: Sequence[tuple[str, Shown]], folder: Path) -> str:
    names = [pair_name(Path(record.output)) for record in records]
    limit = uncertainty_limit(_uncertainties([view for _, view in shown]))
    model = records[0].model
    counts = Counter(text for record in records for text in record.warnings)
    return render(
        "translation.html",
        "cohort.js",
        title=f"{len(records)} translations",
        **_common(records, limit, shown[0][1] if shown else None),
        key=None,
        home=None,
        warnings=[f"{text} ({count})" for text, count in counts.items()],
        viewer=None,
        curves=[],
        rows=list(zip(names, records, strict=True)),
        links={
            name: quote(f"{CASES}/{place.name}")
            for name in names
            if (place := case_place(folder, name)).is_file()
        },
        planes=[
            drawn
            for name, view in shown
            if view.mask.any()
            for drawn in (*_planes(view, name, limit or 1.0, 1), *_across(view, f"{name}, ", limit or 1.0))
        ],
        across=[],
        facts=[],
        provenance=[
            ("Model", f"{model.name}, SHA-256 {model.sha256}"),
            *_settings(records[0]),
        ],
    )


def _planes(shown: Shown, name: str, limit: float, count: int = MOST_PLANES) -> list[Drawn]:
    """Draw axial slices under their numbers, or a picture under its name."""
    several = shown.mask.shape[2] > 1
    lone = count == 1
    return [
        (
            (f"{name}, slice {index}" if lone else f"slice {index}") if several else name,
            draw_shown(shown, Cut(2, index), limit),
        )
        for index in spread_planes(shown.mask, count)
    ]


def _across(shown: Shown, before: str, limit: float) -> list[Drawn]:
    """Draw a coronal and a sagittal plane; none for slices without a regular grid."""
    cuts = middle_cuts(shown.mask) if shown.regular else []
    return [(before + middle_of(cut), draw_shown(shown, cut, limit)) for cut in cuts]


def _common(records: Sequence[Translation], limit: float, shown: Shown | None) -> dict[str, object]:
    """Gather the common content of pages of one and of many; the first record represents all."""
    record, doubts = records[0], doubts_of(records)
    return {
        "summary": [
            ("What was done", [_subject(records), UNSCORED.sentence]),
            ("With which model", [say_model(record.model)]),
            ("How far to trust it", what_it_lacks(record) or ["Nothing was measured that would say."]),
        ],
        "doubts": doubts[:MOST_DOUBTS],
        "more_doubts": max(0, len(doubts) - MOST_DOUBTS),
        "doubtful": {name for name, item in zip(_names(records), records, strict=True) if item.doubts},
        "kind": "medtranslate translation",
        "verdict": UNSCORED,
        "shown_range": shown.range if shown else record.model.output_range,
        "limit": limit,
        "map_title": map_title(record),
        "unit": shown.unit if shown else record.model.unit,
        "colours": error_colours(),
        "number": number,
        "span": span,
    }


def _names(records: Sequence[Translation]) -> list[str]:
    return [Path(record.output.removesuffix(".gz")).stem for record in records]


def _subject(records: Sequence[Translation]) -> str:
    if len(records) == 1:
        return say_made(records[0])
    ways = " or ".join(dict.fromkeys(record.way for record in records))
    return f"{len(records)} images were translated to {records[0].model.to.upper()}, {ways}."


def _settings(record: Translation) -> list[tuple[str, str]]:
    line = chosen(record.settings)
    return [("Settings", line)] if line else []


def _uncertainties(shown: Sequence[Shown]) -> list[Values]:
    return [view.uncertainty[view.mask] for view in shown if view.uncertainty is not None]


def _viewer(record: Translation, shown: Shown, limit: float) -> Viewer:
    source, translation = shown.source, shown.translation
    own = offered_windows(shown.source_unit, source, shown.mask, shown.source_range, "standard")
    other = offered_windows(shown.unit, translation, shown.mask, shown.range, "standard")
    images = [
        Image("source", "Source", shown.source_unit, source, shown.source_range, own),
        Image("translation", "Translation", shown.unit, translation, shown.range, other),
    ]
    if shown.uncertainty is not None:
        images.append(Image("spread", map_title(record), shown.unit, shown.uncertainty, (0.0, limit or 1.0)))
    return build_viewer(
        images,
        shown.mask,
        Grid(shown.spacing_mm, shown.affine, shown.regular),
        colours=error_colours(),
        digest=image_digest(record),
    )


def _curves(shown: Shown, record: Translation) -> list[Chart]:
    """Draw the measures per slice that need no reference: uncertainty, and jumps between neighbours."""
    depth = shown.mask.shape[2]
    area = shown.mask.sum(axis=(0, 1))
    inside = [index for index in range(1, depth - 1) if area[index] >= LEAST_AREA * max(1, area.max())]
    if len(inside) < 3:
        return []
    low, high = record.model.output_range if shown.unit == record.model.unit else shown.range
    width = high - low
    translation = shown.translation
    jumps = []
    for index in inside:
        jump = np.abs(translation[..., index - 1] - 2 * translation[..., index] + translation[..., index + 1])
        jumps.append(100 * float(jump[shown.mask[..., index]].mean()) / width)
    planes = [(index, None) for index in inside]
    charts = [plot("Seams: mean jump to the neighbouring slices, % of the range", planes, jumps, high=True)]
    if shown.uncertainty is not None:
        means = [float(shown.uncertainty[..., index][shown.mask[..., index]].mean()) for index in inside]
        charts.insert(0, plot(f"{map_title(record)} per slice, {shown.unit}", planes, means, high=True))
    return charts
