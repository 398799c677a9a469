"""report.html: the result as one page that needs no network, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from medtranslate.metrics import PROFILES
from medtranslate.report.drawing import (
    Curve,
    Plane,
    draw_curve,
    draw_plane,
    error_colours,
    error_limit,
    spread_planes,
)
from medtranslate.report.pictures import Pictures
from medtranslate.report.wording import (
    NOTES,
    UNMASKED,
    about_translation,
    judge,
    judge_cycle,
    name_images,
    number,
    say_cycle,
    say_pairs,
    similarity,
    similarity_name,
    span,
    tissue_error,
    tissue_range,
)
from medtranslate.result import (
    Cohort,
    Cycle,
    Result,
    SliceScores,
    worst_slices,
)

MOST_PLANES = 6
MOST_WARNINGS = 20
PAGES = Environment(
    loader=PackageLoader("medtranslate.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Gallery:
    """Slices of one pair that share an error scale ending at `limit`."""

    title: str
    planes: list[tuple[str, Plane]]
    limit: float
    pictures: Pictures


def write(result: Result | Cohort | Cycle, pictures: Mapping[str, Pictures], folder: Path) -> None:
    """Write `folder/report.html`: summary, scores beside baselines, curves and pictures.

    Every text from outside (names, warnings, a model's name) is escaped; the page forbids itself
    scripts and anything from a network.
    """
    items = [result] if isinstance(result, Result) else result.items
    scores = result.volume if isinstance(result, Result) else result.mean
    words, first, several = name_images(result), items[0], len(items) > 1 or isinstance(result, Cohort)
    page = PAGES.get_template("report.html").render(
        title=f"{len(items)} {words.many}" if several else first.name or "Translation",
        subject=say_cycle(result) if isinstance(result, Cycle) else say_pairs(items),
        kind=words.kind,
        words=words,
        result=result,
        items=items,
        first=first,
        cohort=several,
        own=f"Mean over the {words.many}" if several else words.own,
        scores=scores,
        verdict=judge_cycle(result, first.unit)
        if isinstance(result, Cycle)
        else judge(scores, result.baselines, first.unit),
        warnings=result.warnings[:MOST_WARNINGS],
        more_warnings=max(0, len(result.warnings) - MOST_WARNINGS),
        notes=NOTES,
        curves=[] if several else _curves(first),
        worst=[] if several else worst_slices(first),
        similarity=similarity_name(scores),
        similar=similarity,
        unmasked_note=UNMASKED,
        tissues={} if several else first.tissues,
        tissue_range=tissue_range,
        tissue_error=tissue_error,
        agreement=None if several else first.agreement,
        galleries=_galleries(items, pictures),
        colours=error_colours(),
        facts=_facts(items),
        number=number,
        span=span,
        where=_where,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")


def _facts(items: list[Result]) -> list[tuple[str, str]]:
    """What a score means nothing without: model, mask, range, definitions."""
    result = items[0]
    models = {item.translation.model for item in items if item.translation}
    facts = [("Model", f"{m.name}, to {m.to.upper()}, digest {m.sha256[:12]}") for m in models]
    if len(items) == 1 and result.translation:
        facts += about_translation(result.translation)
    if result.mask:
        facts.append(("Scored voxels", result.mask.rule))
    ranges = {item.data_range for item in items if item.data_range}
    numbers = f"{span(ranges.pop())} {result.unit}: " if len(ranges) == 1 else ""
    facts += [("Reference", text) for text in result.reference]
    definitions = next((found.definitions for name, found in PROFILES.items() if name == result.profile), {})
    return [*facts, ("Range", f"{numbers}{result.data_range_rule or 'not stated'}"), *definitions.items()]


def _where(plane: SliceScores) -> str:
    """A slice by its number, and its height where that is known."""
    return f"slice {plane.index}" + ("" if plane.position_mm is None else f" ({plane.position_mm:+.1f} mm)")


def _curves(result: Result) -> list[tuple[str, str, Curve]]:
    """(title, label of the x axis, curve) of the scores that change along the stack."""
    heights = [plane.position_mm for plane in result.slices if plane.position_mm is not None]
    known = len(heights) == len(result.slices)
    x = heights if known else [float(plane.index) for plane in result.slices]
    label = "position along the stack in mm, feet to head" if known else "slice"
    maes = [plane.mae for plane in result.slices if plane.mae is not None]
    ssims = [plane.ssim for plane in result.slices if plane.ssim is not None]
    named = (
        (f"Mean absolute error per slice, {result.unit} (lower is better)", maes, True),
        ("SSIM per slice (higher is better)", ssims, False),
    )
    return [
        (title, label, draw_curve(x, y, highest_is_worst=high))
        for title, y, high in named
        if len(y) == len(x) > 2
    ]


def _galleries(items: list[Result], pictures: Mapping[str, Pictures]) -> list[Gallery]:
    """Slices of a lone result; of a cohort one slice each of the pairs that pictures are at hand for."""
    shown = [item for item in items if item.name in pictures and pictures[item.name].mask.any()]
    shown.sort(key=lambda item: item.volume.mae or 0.0)
    limit = max((error_limit(pictures[item.name]) for item in shown), default=1.0)
    if len(items) == 1:
        return [_gallery(item, pictures[item.name], "", MOST_PLANES, limit) for item in shown]
    ranks = ["Best"] + ["Median"] * (len(shown) - 2) + ["Worst"]
    return [
        _gallery(item, pictures[item.name], f"{rank}: {item.name}", 1, limit)
        for rank, item in zip(ranks, shown, strict=False)
    ]


def _gallery(result: Result, pictures: Pictures, title: str, count: int, limit: float) -> Gallery:
    scores = {plane.index: plane for plane in result.slices}
    worst = [plane.index for plane in worst_slices(result, 1)] if count > 1 else []
    chosen = sorted({*spread_planes(pictures.mask, count - len(worst)), *worst})
    captions = [
        (f"{_where(scores[index]).capitalize()}: " if pictures.mask.shape[2] > 1 else "")
        + f"MAE {number(scores[index].mae)} {result.unit}"
        + ("" if scores[index].ssim is None else f", SSIM {number(scores[index].ssim, '.3f')}")
        + (", the worst slice" if index in worst else "")
        for index in chosen
    ]
    return Gallery(
        title=title,
        planes=[(text, draw_plane(pictures, k, limit)) for text, k in zip(captions, chosen, strict=True)],
        limit=limit,
        pictures=pictures,
    )
