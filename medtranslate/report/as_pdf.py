"""report.pdf: the result on a few pages of A4, for the archive and for print."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from reportlab.platypus import Flowable, KeepTogether, Spacer

from medtranslate import __version__
from medtranslate.metrics import score_info
from medtranslate.records import Cohort, Cycle, Evaluation, Scores, Translation, worst_slices
from medtranslate.report.case_page import thinned, where
from medtranslate.report.ct_measures import path_sentences, structures
from medtranslate.report.doubts import DOUBTFUL, doubts_of, measures
from medtranslate.report.drawing import draw_curve
from medtranslate.report.grades import Verdict, judge, judge_cycle
from medtranslate.report.limitations import (
    chosen,
    how_far,
    limits,
    method,
    models_limits,
    provenance,
    what_it_lacks,
)
from medtranslate.report.measures import inputs, secondary_measures
from medtranslate.report.pdf_figures import Chart, curve_chart, histogram_chart
from medtranslate.report.pdf_layout import (
    JUDGED,
    SOFT,
    boxed,
    facts,
    points,
    section,
    side_by_side,
    table,
    text,
    write_pages,
)
from medtranslate.report.pdf_pictures import (
    slices_by_rank,
    slices_of_pair,
    slices_of_translation,
)
from medtranslate.report.pictures import Pictures, Shown
from medtranslate.report.translation_page import UNSCORED
from medtranslate.report.wording import (
    NOTES,
    UNMASKED,
    Words,
    about_translation,
    chart_title,
    directions,
    heading,
    is_error,
    name_images,
    number,
    say_cycle,
    say_pairs,
    score_names,
    short,
    signed,
    tissue_note,
    tissue_range,
    unit_of,
)

MOST_LINES = 12
"""Most lines of a list of warnings or doubts."""
MAKER = f"medtranslate {__version__}"


def write(result: Evaluation | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/report.pdf`: summary, scores, curves, pictures, method and provenance.

    Text from outside is printed unchanged, never interpreted as markup.
    """
    items = [result] if isinstance(result, Evaluation) else result.items
    first, words = items[0], name_images(result)
    lone = first if len(items) == 1 and not isinstance(result, Cohort) else None
    scores = result.volume if isinstance(result, Evaluation) else result.mean
    doubts = doubts_of(items)
    title = (lone.name or "Translation") if lone else f"{len(items)} {words.many}"
    if isinstance(result, Cycle):
        subject, verdict = say_cycle(result), judge_cycle(result)
    else:
        subject = say_pairs(items)
        verdict = judge(scores, result.baselines, first, doubtful=bool(doubts))
    trust = how_far(lone) if lone else models_limits(items)
    story = _opening(words.kind, title, subject, doubts, verdict, trust, result.warnings)
    own = words.own if lone else f"Mean over the {words.many}"
    story += _scores(result, items, scores, own)
    if lone and (measured := measures(lone.translation)):
        story += section("What the translation itself shows", facts(measured))
    story += _where_it_errs(lone) + _along(lone, words) if lone else _all_items(items)
    story += section("How this was measured", facts(method(items)))
    story += section("Where it came from", facts(_origin(result, items)))
    if lone:
        story += slices_of_pair(lone, words, pictures.get(lone.name))
    else:
        story += slices_by_rank(items, words, pictures)
    write_pages(story, folder / "report.pdf", title=title, subject=subject, maker=MAKER)


def write_translation(
    records: Sequence[Translation], shown: Sequence[tuple[str, Shown]], folder: Path
) -> None:
    """Write `folder/report.pdf` of translations that have no reference.

    Args:
        records: of all translations.
        shown: arrays to draw, by name: several slices of a lone volume, one slice each of several.
        folder: an existing folder.
    """
    first, lone = records[0], len(records) == 1
    title = first.output if lone else f"{len(records)} translations"
    subject = f"Translated to {first.model.to.upper()} by the model {first.model.name}."
    counts = Counter(words for record in records for words in record.warnings)
    warnings = [words if lone else f"{words} ({count})" for words, count in counts.items()]
    trust = what_it_lacks(first) if lone else limits(first.model)
    kind = "medtranslate translation"
    story = _opening(kind, title, subject, doubts_of(records), UNSCORED, trust, warnings)
    if lone and (measured := [*measures(first), *about_translation(first)]):
        story += section("What the translation itself shows", facts(measured))
    story += section("Where it came from", facts(_made(first)))
    story += slices_of_translation(shown, first)
    write_pages(story, folder / "report.pdf", title=title, subject=subject, maker=MAKER)


def _opening(
    kind: str,
    title: str,
    subject: str,
    doubts: Sequence[str],
    verdict: Verdict,
    trust: Sequence[str],
    warnings: Sequence[str],
) -> list[Flowable]:
    """Lay out the first page: subject, doubts, verdict, limitations and warnings."""
    parts: list[Flowable] = [text(kind, "kind"), text(title, "title"), text(subject), Spacer(1, 4)]
    if doubts:
        doubted = [text(DOUBTFUL, "doubtful"), *points(_some(doubts))]
        parts += [boxed(JUDGED["doubtful"], *doubted, fill=True), Spacer(1, 6)]
    rule = [text(verdict.rule, "soft")] if verdict.rule else []
    caution = text("A translated image can show what is not there and miss what is.", "soft")
    summary = [text(verdict.headline, "verdict"), *rule, text(verdict.sentence), *points(trust), caution]
    parts.append(boxed(JUDGED.get(verdict.kind, SOFT), *summary))
    return [*parts, *section("To bear in mind", *points(_some(warnings)))] if warnings else parts


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"and {more} more in result.json"] if more > 0 else [])]


def _scores(
    result: Evaluation | Cohort | Cycle, items: Sequence[Evaluation], scores: Scores, own: str
) -> list[Flowable]:
    """Lay out the table of scores beside those of the baselines."""
    rows = [(own, "", scores)]
    rows += [(name, NOTES.get(name, ""), base) for name, base in result.baselines.items()]
    if result.unmasked:
        rows.append(("Every voxel", UNMASKED, result.unmasked))
    names = score_names(items)
    head = ["", *(heading(name, items[0]) for name in names)]
    cells = [(name, note, [short(row, score) for score in names]) for name, note, row in rows]
    note = text(directions(names), "soft")
    return section("Scores", table(head, cells, own=True), Spacer(1, 2), note)


def _where_it_errs(result: Evaluation) -> list[Flowable]:
    """Lay out errors by tissue, agreement, seams, and the coverage of the uncertainty."""
    parts: list[Flowable] = []
    if result.tissues:
        rows = []
        for name, tissue in result.tissues.items():
            dice = "" if tissue.dice is None else number(tissue.dice, ".3f")
            errors = [number(tissue.mae), signed(tissue.me), number(tissue.rmse)]
            note = tissue_range(tissue) + ("" if tissue.representable else ", not representable")
            rows.append((name, note, [f"{tissue.share:.1%}", *errors, dice]))
        heads = ["Tissue of the reference", "Share", "MAE, HU", "ME, HU", "RMSE, HU", "Dice"]
        parts += [table(heads, rows), text(tissue_note(result.tissues, result), "soft")]
    if found := structures(result.anatomy):
        heads = ["Structure", "Translation", "Reference", "Difference"]
        cells = [(row.name, "", [row.prediction, row.reference, row.difference]) for row in found]
        parts += [Spacer(1, 5), table(heads, cells)]
    lengths = path_sentences(result).items()
    named = [(f"Path length from the {beam}", sentence) for beam, sentence in lengths]
    named += [("Not measured", f"{name}: {reason}") for name, reason in result.unmeasured.items()]
    if named:
        parts += [Spacer(1, 5), KeepTogether(facts(named))]
    if measured := secondary_measures(result):
        parts += [Spacer(1, 5), KeepTogether(facts(measured))]
    return section("Where it errs", *parts) if parts else []


def _along(result: Evaluation, words: Words) -> list[Flowable]:
    """Lay out scores along the stack, and histograms, as vector graphics."""
    slices, note = thinned(result.slices)
    heights = [plane.position_mm for plane in slices if plane.position_mm is not None]
    known = len(heights) == len(slices)
    x = heights if known else [float(plane.index) for plane in slices]
    label = "position in mm, feet to head" if known else "slice"
    drawn = sorted(score_names([result]), key=lambda name: not score_info(name).charted)
    charts = [
        chart
        for name in drawn
        if (chart := _curve(chart_title(name, result), label, x, [p.scores.get(name) for p in slices], name))
    ]
    notes = [text(f"A dot marks the worst slice{note}.", "soft")] if charts else []
    if worst := worst_slices(result):
        listed = "; ".join(f"{where(plane)} with {short(plane.scores, 'mae')}" for plane in worst)
        notes.append(text(f"Highest mean absolute errors, {unit_of(result)}: {listed}.", "soft"))
    title = "Slice by slice" if charts else "How often values occur"
    if result.histograms:
        names = {"prediction": words.prediction, "reference": words.reference}
        charts.append(histogram_chart(result.histograms, names, result.unit))
    return section(title, side_by_side(charts), *notes, room=130) if charts else []


def _curve(title: str, label: str, x: list[float], y: Sequence[float | None], score: str) -> Chart | None:
    """Draw a chart of the slices with a finite score; None for fewer than three."""
    known = [
        (place, value)
        for place, value in zip(x, y, strict=True)
        if value is not None and math.isfinite(value)
    ]
    if len(known) < 3 or x != sorted(x):
        return None
    places, values = zip(*known, strict=True)
    return curve_chart(title, label, draw_curve(places, values, highest_is_worst=is_error(score)))


def _all_items(items: Sequence[Evaluation]) -> list[Flowable]:
    names = score_names(items)
    head = ["Name", *(heading(name, items[0]) for name in names)]
    rows = [(item.name, "", [short(item.volume, name) for name in names]) for item in items]
    return section(f"All {len(items)}", table(head, rows))


def _origin(result: Evaluation | Cohort | Cycle, items: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """List model, inputs, versions and settings."""
    records = {item.translation.model.sha256: item.translation for item in items if item.translation}
    rows: list[tuple[str, str]] = []
    if len(items) == 1 and records:
        rows = _made(*records.values(), reported=False)
    else:
        rows = [("Model", f"{r.model.name}, SHA-256 {r.model.sha256}") for r in records.values()]
    if len(items) == 1:
        rows += inputs(items[0])
    if (line := chosen(result.settings)) and line not in dict(rows).values():
        rows.append(("Settings", line))
    return [*rows, ("Reported by", MAKER)]


def _made(record: Translation, *, reported: bool = True) -> list[tuple[str, str]]:
    used = chosen(record.settings)
    rows = [*provenance(record), *([("Translated with", used)] if used else [])]
    return [*rows, *([("Reported by", MAKER)] if reported else [])]
