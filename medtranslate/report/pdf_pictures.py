"""Pictures of a printed report: choice of slices, and captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reportlab.platypus import Flowable, KeepTogether

from medtranslate.metrics import shows
from medtranslate.records import Evaluation, SliceScores, Translation
from medtranslate.report.case_page import middle_of, where
from medtranslate.report.drawing import (
    FAIR_SHARE,
    Cut,
    compare_plane,
    error_colours,
    middle_cuts,
    show_plane,
    size_mm,
    spread_planes,
)
from medtranslate.report.limitations import ranked_slices
from medtranslate.report.pdf_figures import Scale, Shot, Strip
from medtranslate.report.pdf_layout import section, text
from medtranslate.report.pictures import Pictures, Shown
from medtranslate.report.scale_ends import error_limit, uncertainty_limit
from medtranslate.report.wording import Words, map_title, say_slice, span

STRIP = 214.0
"""Largest height of a strip of pictures with its caption: three fill a page."""
VIEW = "Radiological view: anterior on top, the patient’s right on the left."
VIEW_ACROSS = "Coronal and sagittal pictures run through the middle of the head; its top is up."
CHOICE = (
    "Slices are chosen by their mean absolute error: the worst is the worst of all; the typical (the median)"
    f" and the best are of those that show at least {FAIR_SHARE:.0%} as much of the head as the fullest."
)


def representative_slices(result: Evaluation, pictures: Pictures) -> list[tuple[str, SliceScores]]:
    """Choose the worst slice by MAE, and a typical and the best one of those that show enough of the head."""
    area = (pictures.mask & shows(pictures.reference, pictures.data_range)).sum(axis=(0, 1))
    ranked = [plane for plane in ranked_slices(result) if plane.index < len(area)]
    if len(ranked) < 3:
        return [("", plane) for plane in ranked]
    fair = [plane for plane in ranked if area[plane.index] >= FAIR_SHARE * area.max()] or ranked
    chosen = {"Worst": ranked[-1], "Typical": fair[len(fair) // 2], "Best": fair[0]}
    ranks = {plane.index: rank for rank, plane in reversed(chosen.items())}
    return [(rank, plane) for rank, plane in chosen.items() if ranks[plane.index] == rank]


def slices_of_pair(result: Evaluation, words: Words, pictures: Pictures | None) -> list[Flowable]:
    """Show source, translation, reference, error and uncertainty of representative slices."""
    if pictures is None or not pictures.mask.any():
        return section("Pictures", text("Left out: the images were not at hand.", "soft"))
    limit = error_limit(pictures)
    strips = [
        _strip(f"{rank}: {where(plane)}" if rank else where(plane), result, plane, pictures, limit)
        for rank, plane in representative_slices(result, pictures)
    ]
    choice = CHOICE if len(strips) > 2 else ""
    return _pictured(strips, _across(pictures, limit), words, pictures, result, limit, choice)


def slices_by_rank(
    items: Sequence[Evaluation], words: Words, pictures: Mapping[str, Pictures]
) -> list[Flowable]:
    """Show one slice of each pair with pictures, the best first."""
    pictured = [item for item in items if item.name in pictures and pictures[item.name].mask.any()]
    pictured.sort(key=lambda item: item.volume.get("mae", 0.0))
    if not pictured:
        return []
    limit = max(error_limit(pictures[item.name]) for item in pictured)
    ranks = ["Best", *["Median"] * (len(pictured) - 2), "Worst"][: len(pictured)]
    strips, others = [], []
    for rank, item in zip(ranks, pictured, strict=True):
        drawn = pictures[item.name]
        (index,) = spread_planes(drawn.mask, 1)
        plane = next((p for p in item.slices if p.index == index), SliceScores(index=index))
        strips.append(_strip(f"{rank}: {item.name}", item, plane, drawn, limit))
        others += _across(drawn, limit, f"{rank}: {item.name}, ")
    choice = "Best, median and worst by mean absolute error, of each the slice in the middle of its head."
    return _pictured(strips, others, words, pictures[pictured[0].name], items[0], limit, choice)


def _pictured(
    strips: Sequence[Flowable],
    others: Sequence[Flowable],
    words: Words,
    pictures: Pictures,
    first: Evaluation,
    limit: float,
    choice: str,
) -> list[Flowable]:
    """Put strips of slices, then of other planes, under an explanation of their columns and choice."""
    unit = first.unit
    source = [] if pictures.source is None else [f"{words.source} ({span(pictures.source_range)})"]
    scale = f"({span(pictures.data_range)} {unit})"
    order = [*source, f"{words.prediction} {scale}", f"{words.reference} {scale}", "absolute error"]
    if pictures.uncertainty is not None:
        ends = span((0.0, uncertainty_limit([pictures.uncertainty[pictures.mask]])))
        name = map_title(first.translation).lower()
        order.append(f"{name} ({ends} {unit} in the same colours)")
    view = f"From left: {', '.join(order)}. {VIEW} The error is black outside the scored voxels. {choice}"
    colours = Scale(limit, unit, error_colours(), "absolute error")
    return [*_together("Pictures", [text(view, "soft"), colours, *strips]), *_other_planes(others)]


def _strip(caption: str, result: Evaluation, plane: SliceScores, pictures: Pictures, limit: float) -> Strip:
    known = plane.position_mm is not None
    scores = say_slice(plane, result)
    return Strip(f"{caption}, {scores}", _shots(pictures, Cut(2, plane.index), limit, known=known), STRIP)


def _across(pictures: Pictures, limit: float, before: str = "") -> list[Flowable]:
    """Show a coronal and a sagittal plane through the middle of the mask."""
    known = pictures.affine is not None
    return [
        Strip(before + middle_of(cut), _shots(pictures, cut, limit, known=known), STRIP)
        for cut in middle_cuts(pictures.mask)
    ]


def _shots(pictures: Pictures, cut: Cut, limit: float, *, known: bool) -> list[Shot]:
    own = None if pictures.uncertainty is None else uncertainty_limit([pictures.uncertainty[pictures.mask]])
    span_mm = size_mm(pictures, cut)[0] if known else None
    images = compare_plane(pictures, cut, limit, own).values()
    return [Shot(image, span_mm, cut.left) for image in images]


def slices_of_translation(shown: Sequence[tuple[str, Shown]], first: Translation) -> list[Flowable]:
    """Show slices of a lone volume, or one of each of several, with their uncertainty."""
    limit = uncertainty_limit(
        view.uncertainty[view.mask] for _, view in shown if view.uncertainty is not None
    )
    visible = [(name, view) for name, view in shown if view.mask.any()]
    strips = [
        _translation_strip(
            f"{name}, slice {index}" if view.mask.shape[2] > 1 else name, view, Cut(2, index), limit
        )
        for name, view in visible
        for index in spread_planes(view.mask, 3 if len(shown) == 1 else 1)
    ]
    others = [
        _translation_strip(f"{name}: {middle_of(cut)}", view, cut, limit)
        for name, view in visible
        if view.regular
        for cut in middle_cuts(view.mask)
    ]
    if not strips:
        return section("Pictures", text("Left out: the images were not at hand.", "soft"))
    order = ["source", f"translation ({span(first.model.output_range)} {first.model.unit})"]
    name = map_title(first).lower()
    order += [name] if limit else []
    view = f"From left: {', '.join(order)}. {VIEW} Slices lie at even distances in the head."
    unit = first.uncertainty.unit if first.uncertainty else ""
    colours = [Scale(limit, unit, error_colours(), name)] if limit else []
    return [*_together("Pictures", [text(view, "soft"), *colours, *strips]), *_other_planes(others)]


def _translation_strip(caption: str, view: Shown, cut: Cut, limit: float) -> Strip:
    span_mm = None if view.affine is None else size_mm(view, cut)[0]
    return Strip(
        caption, [Shot(image, span_mm, cut.left) for image in show_plane(view, cut, limit or 1.0)], STRIP
    )


def _other_planes(strips: Sequence[Flowable]) -> list[Flowable]:
    return _together("Coronal and sagittal", [text(VIEW_ACROSS, "soft"), *strips]) if strips else []


def _together(title: str, parts: Sequence[Flowable]) -> list[Flowable]:
    """Keep pictures for comparison on one page if they fit."""
    return [KeepTogether(section(title, *parts))]
