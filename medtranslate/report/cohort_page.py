"""Page of many pairs or round trips: means, distributions, and a link to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite, nan

from medtranslate.metrics import score_info
from medtranslate.records import Cohort, Cycle, Evaluation
from medtranslate.report import wording
from medtranslate.report.case_page import MOST_WARNINGS, Gallery, across, gallery
from medtranslate.report.charts import Strips, draw_strips, outliers
from medtranslate.report.ct_measures import case_table
from medtranslate.report.doubts import MOST_DOUBTS, doubts_of, evaluation_doubts
from medtranslate.report.drawing import error_colours
from medtranslate.report.grades import judge, judge_cycle
from medtranslate.report.limitations import chosen, method, models_limits
from medtranslate.report.methods import methods
from medtranslate.report.page import render
from medtranslate.report.patients import say_count, view_patients
from medtranslate.report.pictures import Pictures
from medtranslate.report.scale_ends import error_limit
from medtranslate.report.scatter import MOST_DOTS
from medtranslate.report.wording import number

SHOWN = 3
"""Doubts and warnings that are open at first; a click opens the others."""
MOST_OUTLIERS = 20
"""Outliers that are listed; the table marks all."""
OPEN_ROWS = 300
"""Rows of the table that are laid out at once, which opens a page of thousands quickly."""


def cohort_page(result: Cohort | Cycle, pictures: Mapping[str, Pictures], links: Mapping[str, str]) -> str:
    """Render the page as text.

    Args:
        result: at least one item.
        pictures: arrays of the items to draw, by name.
        links: to the pages of items, by name.
    """
    items, first = result.items, result.items[0]
    words = wording.name_images(result)
    doubts = doubts_of(items)
    if isinstance(result, Cycle):
        verdict, subject = judge_cycle(result), wording.say_cycle(result)
    else:
        verdict = judge(result.mean, result.baselines, first, doubtful=bool(doubts))
        subject = wording.say_pairs(items)
    odd = _odd(items)
    return render(
        "cohort.html",
        "cohort.js",
        title=f"{say_count(result)}{len(items)} {words.many}",
        kind=words.kind,
        home=None,
        doubts=doubts[:MOST_DOUBTS],
        more_doubts=max(0, len(doubts) - MOST_DOUBTS),
        shown=SHOWN,
        open_rows=OPEN_ROWS,
        doubtful={item.name for item in items if evaluation_doubts(item)},
        verdict=verdict,
        against="" if isinstance(result, Cycle) else verdict.sentence,
        summary=_summary(result, verdict.sentence, subject, odd),
        warnings=result.warnings[:MOST_WARNINGS],
        more_warnings=max(0, len(result.warnings) - MOST_WARNINGS),
        own=f"Mean over the {words.many}",
        result=result,
        items=items,
        failed=result.failed if isinstance(result, Cohort) else {},
        unit=first.unit,
        unit_of=wording.unit_of(first),
        cases=case_table(items),
        methods=methods(result),
        distributions=_distributions(result),
        patients=view_patients(result, links) if isinstance(result, Cohort) else None,
        of=_several_of_one(result),
        odd=odd,
        most_odd=MOST_OUTLIERS,
        most_dots=MOST_DOTS,
        links=links,
        galleries=_galleries(items, pictures, links),
        words=words,
        wording=wording,
        notes=wording.NOTES,
        unmasked_note=wording.UNMASKED,
        colours=error_colours(),
        facts=method(items),
        provenance=_origin(result),
        number=number,
        span=wording.span,
        scores=wording.score_names(items),
    )


def _summary(
    result: Cohort | Cycle, sentence: str, subject: str, odd: Mapping[str, Sequence[str]]
) -> list[tuple[str, list[str]]]:
    """Describe subject, models and limitations in sentences, under their headings."""
    items, unit = result.items, result.items[0].unit
    models = {item.translation.model for item in items if item.translation}
    ranked = sorted((item.volume["mae"], item.name) for item in items if "mae" in item.volume)
    means_nothing = isinstance(result, Cycle)
    values = f" (values {wording.clipping(items[0])})" if items[0].clipped else ""
    trust = [sentence if means_nothing else wording.say_error(result.mean, result.baselines, items[0])]
    if len(ranked) > 1:
        (best, best_name), (worst, worst_name) = ranked[0], ranked[-1]
        trust.append(
            f"The best, {best_name}, is off by {number(best)} {unit} on average, the worst, {worst_name}, by"
            f" {number(worst)} {unit}{values}."
        )
    if odd:
        trust.append(f"{len(odd)} of {len(items)} stand out from the rest: look at them first.")
    trust += models_limits(items)
    with_model = [wording.say_model(model) for model in models]
    return [
        ("What was done", [subject]),
        *([("With which model", with_model)] if with_model else []),
        ("How far to trust it", trust),
    ]


def _distributions(result: Cohort | Cycle) -> list[tuple[str, Strips]]:
    """Draw the scores of the items beside those of their baselines."""
    items, first = result.items, result.items[0]
    if len(items) < 3:
        return []
    own, drawn = "as translated", []
    for score in wording.charted_scores(items):
        rows = {own: _by_case(items, score)}
        rows |= {name: _by_case(items, score, name) for name in result.baselines}
        if rows[own]:
            title = wording.with_direction(wording.heading(score, first), score)
            drawn.append(
                (
                    title,
                    draw_strips({name: row for name, row in rows.items() if row}, score_info(score).highest),
                )
            )
    return drawn


def _several_of_one(result: Cohort | Cycle) -> dict[str, str]:
    """Give the patient of each pair where a patient has several; otherwise nothing."""
    known = result.patients if isinstance(result, Cohort) else None
    return known.subjects if known and known.count < len(known.subjects) else {}


def _by_case(items: Sequence[Evaluation], score: str, baseline: str | None = None) -> dict[str, float]:
    """Collect a score of each item, or of its baseline, by the item's name."""
    by_name = {
        item.name: item.volume if baseline is None else item.baselines.get(baseline, {}) for item in items
    }
    return {name: scores[score] for name, scores in by_name.items() if isfinite(scores.get(score, nan))}


def _odd(items: Sequence[Evaluation]) -> dict[str, list[str]]:
    """Collect the reasons why items are outliers, by name; worst first."""
    reasons: dict[str, list[str]] = {}
    for score in wording.charted_scores(items):
        values = _by_case(items, score)
        for name in sorted(outliers(values), key=values.__getitem__, reverse=wording.is_error(score)):
            text = wording.say_score({score: values[name]}, score, items[0])
            reasons.setdefault(name, []).append(text)
    return reasons


def _galleries(
    items: Sequence[Evaluation], pictures: Mapping[str, Pictures], links: Mapping[str, str]
) -> list[Gallery]:
    """Draw one slice and two planes of each item with pictures, best first."""
    pictured = [item for item in items if item.name in pictures and pictures[item.name].mask.any()]
    pictured.sort(key=lambda item: item.volume.get("mae", 0.0))
    limit = max((error_limit(pictures[item.name]) for item in pictured), default=1.0)
    ranks = ["Best"] + ["Median"] * (len(pictured) - 2) + ["Worst"]
    galleries = []
    for rank, item in zip(ranks, pictured, strict=False):
        drawn = pictures[item.name]
        own = gallery(item, drawn, f"{rank}: {item.name}", 1, limit, links.get(item.name))
        others = across(item, drawn, limit)
        galleries.append(replace(own, planes=[*own.planes, *(others.planes if others else [])]))
    return galleries


def _origin(result: Cohort | Cycle) -> list[tuple[str, str]]:
    models = {item.translation.model for item in result.items if item.translation}
    rows = [("Model", f"{model.name}, SHA-256 {model.sha256}") for model in models]
    settings = chosen(result.settings)
    return [*rows, *([("Settings", settings)] if settings else [])]
