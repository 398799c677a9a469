"""The pictures of a printed report: which slices, under which captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reportlab.platypus import Flowable, KeepTogether

from medtranslate.report.case_page import where
from medtranslate.report.drawing import (
    compare_plane,
    error_colours,
    error_limit,
    show_plane,
    spread_limit,
    spread_planes,
    width_mm,
)
from medtranslate.report.pdf_figures import Scale, Shot, Strip
from medtranslate.report.pdf_layout import section, text
from medtranslate.report.pictures import Pictures, Shown
from medtranslate.report.trust import ranked_slices
from medtranslate.report.wording import Words, number, span
from medtranslate.result import Result, SliceScores, Translation

FAIR_SHARE = 0.2
"""Of the scored voxels that show something, against the slice with most: with less it shows no head."""
VISIBLE = 0.03
"""Share of the range above which a voxel shows something."""
STRIP = 214.0
"""Height of a strip of pictures with its caption at most: three fill a page."""
VIEW = "Radiological view: anterior on top, the patient’s right on the left."


def telling_slices(result: Result, pictures: Pictures) -> list[tuple[str, SliceScores]]:
    """The worst, a typical and the best slice by MAE, of those that show a fair part of the head."""
    low, high = pictures.data_range
    seen = pictures.mask & (pictures.reference > low + VISIBLE * (high - low))
    area = seen.sum(axis=(0, 1))
    fair = [
        p for p in ranked_slices(result) if p.index < len(area) and area[p.index] >= FAIR_SHARE * area.max()
    ]
    if len(fair) < 3:
        return [("", plane) for plane in fair]
    return [("Worst", fair[-1]), ("Typical", fair[len(fair) // 2]), ("Best", fair[0])]


def slices_of_pair(result: Result, words: Words, pictures: Pictures | None) -> list[Flowable]:
    """The worst, a typical and the best slice: source, translation, reference, error and spread."""
    if pictures is None or not pictures.mask.any():
        return section("Pictures", text("Left out: the images were not at hand.", "soft"))
    limit = error_limit(pictures)
    strips = [
        _strip(f"{rank}: {where(plane)}" if rank else where(plane), result, plane, pictures, limit)
        for rank, plane in telling_slices(result, pictures)
    ]
    return _pictured(strips, words, pictures, result.unit, limit)


def slices_by_rank(items: Sequence[Result], words: Words, pictures: Mapping[str, Pictures]) -> list[Flowable]:
    """One slice each of the pairs that pictures are at hand for, the best first."""
    shown = [item for item in items if item.name in pictures and pictures[item.name].mask.any()]
    shown.sort(key=lambda item: item.volume.mae or 0.0)
    if not shown:
        return []
    limit = max(error_limit(pictures[item.name]) for item in shown)
    ranks = ["Best", *["Median"] * (len(shown) - 2), "Worst"][: len(shown)]
    strips = []
    for rank, item in zip(ranks, shown, strict=True):
        (index,) = spread_planes(pictures[item.name].mask, 1)
        plane = next((p for p in item.slices if p.index == index), SliceScores(index=index))
        strips.append(_strip(f"{rank}: {item.name}", item, plane, pictures[item.name], limit))
    return _pictured(strips, words, pictures[shown[0].name], items[0].unit, limit)


def _pictured(
    strips: Sequence[Flowable], words: Words, pictures: Pictures, unit: str, limit: float
) -> list[Flowable]:
    """Strips under what their columns show."""
    source = [] if pictures.source is None else [f"{words.source} ({span(pictures.source_range)})"]
    scale = f"({span(pictures.data_range)} {unit})"
    order = [*source, f"{words.prediction} {scale}", f"{words.reference} {scale}", "absolute error"]
    if pictures.spread is not None:
        ends = span((0.0, spread_limit([pictures.spread[pictures.mask]])))
        order.append(f"standard deviation of the samples ({ends} {unit} in the same colours)")
    view = f"From left: {', '.join(order)}. {VIEW} The error is black outside the scored voxels."
    colours = Scale(limit, unit, error_colours(), "absolute error")
    return _together([text(view, "soft"), colours, *strips])


def _strip(caption: str, result: Result, plane: SliceScores, pictures: Pictures, limit: float) -> Strip:
    scores = f"MAE {number(plane.mae)} {result.unit}"
    scores += "" if plane.ssim is None else f", SSIM {number(plane.ssim, '.3f')}"
    own = None if pictures.spread is None else spread_limit([pictures.spread[pictures.mask]])
    images = list(compare_plane(pictures, plane.index, limit, own).values())
    span_mm = None if plane.position_mm is None else width_mm(pictures)
    return Strip(f"{caption}, {scores}", [Shot(image, span_mm) for image in images], STRIP)


def slices_of_translation(shown: Sequence[tuple[str, Shown]], first: Translation) -> list[Flowable]:
    """Slices of a lone volume, or one of each of several, with the spread of the samples."""
    limit = spread_limit(view.spread[view.mask] for _, view in shown if view.spread is not None)
    strips = [
        Strip(
            f"{name}, slice {index}" if view.mask.shape[2] > 1 else name,
            [
                Shot(image, None if view.affine is None else width_mm(view))
                for image in show_plane(view, index, limit or 1.0)
            ],
            STRIP,
        )
        for name, view in shown
        if view.mask.any()
        for index in spread_planes(view.mask, 3 if len(shown) == 1 else 1)
    ]
    if not strips:
        return section("Pictures", text("Left out: the images were not at hand.", "soft"))
    order = ["source", f"translation ({span(first.model.output_range)} {first.model.unit})"]
    order += ["standard deviation"] if limit else []
    view = f"From left: {', '.join(order)}. {VIEW}"
    unit = first.uncertainty.unit if first.uncertainty else ""
    colours = [Scale(limit, unit, error_colours(), "standard deviation")] if limit else []
    return _together([text(view, "soft"), *colours, *strips])


def _together(parts: Sequence[Flowable]) -> list[Flowable]:
    """Pictures that are compared with each other, on one page where they fit on one."""
    return [KeepTogether(section("Pictures", *parts))]
