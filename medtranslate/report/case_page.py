"""Page of one pair or one round trip: slices to scroll through, scores, and errors by tissue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medtranslate.errors import InputRefused
from medtranslate.metrics import score_info
from medtranslate.records import Cycle, Evaluation, SliceScores, Translation, worst_slices
from medtranslate.report import wording
from medtranslate.report.charts import draw_histograms
from medtranslate.report.ct_measures import ct_section
from medtranslate.report.doubts import evaluation_doubts, measures
from medtranslate.report.drawing import (
    Curve,
    Cut,
    Plane,
    draw_curve,
    draw_plane,
    error_colours,
    middle_cuts,
    spread_planes,
)
from medtranslate.report.grades import Verdict, judge, judge_cycle
from medtranslate.report.key_planes import key_of_pair
from medtranslate.report.limitations import chosen, how_far, method, provenance
from medtranslate.report.measures import inputs, secondary_measures
from medtranslate.report.methods import methods
from medtranslate.report.page import VIEWER_SCRIPTS, render
from medtranslate.report.pictures import Pictures
from medtranslate.report.radiographs import draw_projections
from medtranslate.report.regions import image_digest
from medtranslate.report.scale_ends import error_limit, uncertainty_limit
from medtranslate.report.viewer import Grid, Image, Viewer, build_viewer, offered_windows
from medtranslate.report.wording import Words, map_title, number

MOST_PLANES = 6
MOST_WARNINGS = 20
MOST_SLICES = 4000
"""Most points of a curve, several for each pixel of a screen; scanners give fewer slices."""


@dataclass(frozen=True)
class Gallery:
    """Slices of one pair with a common scale of errors that ends at `limit`."""

    title: str
    planes: list[tuple[str, Plane]]
    limit: float
    pictures: Pictures
    link: str | None = None


@dataclass(frozen=True)
class Chart:
    """Curve along the stack, and the slice of each of its points."""

    title: str
    label: str
    drawn: Curve
    slices: list[int]


def case_page(result: Evaluation | Cycle, pictures: Pictures | None, home: str | None = None) -> str:
    """Render the page as text.

    Args:
        result: of a pair, or a cycle test of one image.
        pictures: the arrays that were compared; None leaves the slices out.
        home: link to the page of all, if this is one of many.

    Raises:
        InputRefused: result and pictures are not of the same volume.
    """
    item = result if isinstance(result, Evaluation) else result.items[0]
    words = wording.name_images(result)
    drawn = pictures if pictures is not None and pictures.mask.any() else None
    _check_same(item, drawn)
    doubts = evaluation_doubts(item)
    verdict = _verdict(result, item, doubts)
    return render(
        "case.html",
        *(VIEWER_SCRIPTS if drawn else ()),
        title=item.name or "Translation",
        kind=words.kind,
        about=about(item.translation),
        home=home,
        home_many=words.many,
        key=drawn and key_of_pair(item, drawn, words),
        doubts=doubts,
        verdict=verdict,
        against="" if isinstance(result, Cycle) else verdict.sentence,
        summary=_summary(result, item, verdict.sentence),
        warnings=item.warnings[:MOST_WARNINGS],
        more_warnings=max(0, len(item.warnings) - MOST_WARNINGS),
        viewer=drawn and pair_viewer(item, drawn, words),
        curves=_curves(item),
        worst=worst_slices(item),
        own=words.own,
        item=item,
        baselines=result.baselines,
        histogram=item.histograms
        and draw_histograms(item.histograms, {"prediction": words.prediction, "reference": words.reference}),
        secondary=secondary_measures(item),
        measures=measures(item.translation),
        ct=ct_section(item, draw_projections(drawn)),
        methods=methods(result),
        gallery=drawn and gallery(item, drawn, "", MOST_PLANES, error_limit(drawn)),
        across=drawn and across(item, drawn, error_limit(drawn)),
        words=words,
        wording=wording,
        notes=wording.NOTES,
        unmasked_note=wording.UNMASKED,
        colours=error_colours(),
        facts=method([item]),
        provenance=origin(result, item),
        number=number,
        span=wording.span,
        where=where,
        scores=wording.score_names([item]),
    )


def _verdict(result: Evaluation | Cycle, item: Evaluation, doubts: Sequence[str]) -> Verdict:
    if isinstance(result, Cycle):
        return judge_cycle(result)
    return judge(item.volume, item.baselines, item, doubtful=bool(doubts))


def about(record: Translation | None) -> list[tuple[str, str]]:
    """List series description and model, for the line under the title."""
    if record is None:
        return []
    description = record.source.description
    return [*([("Series", description)] if description else []), ("Model", record.model.name)]


def pair_viewer(item: Evaluation, pictures: Pictures, words: Words) -> Viewer:
    """Build the viewer of a pair: source, translation, reference, error and uncertainty, if present."""
    truth = pictures.reference if pictures.unclipped is None else pictures.unclipped
    scored = "scored range" if item.data_range == pictures.data_range else "standard"
    offered = offered_windows(item.unit, truth, pictures.mask, pictures.data_range, scored)
    limit = error_limit(pictures)
    images = [
        Image("translation", words.prediction, item.unit, pictures.prediction, pictures.data_range, offered),
        Image("reference", words.reference, item.unit, truth, pictures.data_range, offered),
    ]
    if pictures.source is not None:
        own, unit = pictures.source_range, pictures.source_unit
        own_windows = offered_windows(unit, pictures.source, pictures.mask, own, "standard")
        images.insert(0, Image("source", words.source, unit, pictures.source, own, own_windows))
    if pictures.uncertainty is not None:
        limit_of_map = uncertainty_limit([pictures.uncertainty[pictures.mask]])
        images.append(
            Image(
                "spread",
                map_title(item.translation),
                item.unit,
                pictures.uncertainty,
                (0.0, limit_of_map or 1.0),
            )
        )
    return build_viewer(
        images,
        pictures.mask,
        Grid(pictures.spacing_mm, pictures.affine),
        error={
            "limit": limit,
            "unit": item.unit,
            "of": wording.unit_of(item),
            "clip": item.data_range if pictures.unclipped is not None else None,
        },
        slices={plane.index: plane.scores["mae"] for plane in item.slices if "mae" in plane.scores},
        colours=error_colours(),
        digest=image_digest(item),
    )


def gallery(
    result: Evaluation, pictures: Pictures, title: str, count: int, limit: float, link: str | None = None
) -> Gallery:
    """Draw up to `count` slices, the worst among them."""
    scores = {plane.index: plane for plane in result.slices}
    worst = [plane.index for plane in worst_slices(result, 1)] if count > 1 else []
    chosen_planes = sorted({*spread_planes(pictures.mask, count - len(worst)), *worst})
    captions = [
        (f"{where(scores[index]).capitalize()}: " if pictures.mask.shape[2] > 1 else "")
        + wording.say_slice(scores[index], result)
        + (", the worst slice" if index in worst else "")
        for index in chosen_planes
        if index in scores
    ]
    planes = [draw_plane(pictures, Cut(2, index), limit) for index in chosen_planes if index in scores]
    return Gallery(title, list(zip(captions, planes, strict=True)), limit, pictures, link)


def across(result: Evaluation, pictures: Pictures, limit: float) -> Gallery | None:
    """Draw a coronal and a sagittal plane through the middle of the mask; None for a single slice."""
    planes = [(middle_of(cut), draw_plane(pictures, cut, limit)) for cut in middle_cuts(pictures.mask)]
    return Gallery("", planes, limit, pictures) if planes else None


def middle_of(cut: Cut) -> str:
    """Return the caption of a plane through the middle."""
    return f"{cut.name.capitalize()}, through the middle of the head"


def where(plane: SliceScores) -> str:
    """Name a slice by its number, and by its height if that is known."""
    return f"slice {plane.index}" + ("" if plane.position_mm is None else f" ({plane.position_mm:+.1f} mm)")


def origin(result: Evaluation | Cycle, item: Evaluation) -> list[tuple[str, str]]:
    """List model, inputs and settings."""
    rows = provenance(item.translation) if item.translation else []
    settings = chosen(result.settings or item.settings)
    return [*rows, *inputs(item), *([("Settings", settings)] if settings else [])]


def plot(
    title: str,
    planes: Sequence[tuple[int, float | None]],
    values: Sequence[float],
    *,
    high: bool,
    most: float | None = None,
) -> Chart:
    """Draw a curve along the stack.

    Args:
        planes: index and height of each slice.
        values: one for each slice.
        high: True if the highest value is the worst.
        most: largest possible value.
    """
    heights = [mm for _, mm in planes if mm is not None]
    known = len(heights) == len(planes)
    label = "position along the stack in mm, feet to head" if known else "slice"
    x = heights if known else [float(index) for index, _ in planes]
    curve = draw_curve(x, values, highest_is_worst=high, most=most)
    return Chart(title, label, curve, [index for index, _ in planes])


def _summary(result: Evaluation | Cycle, item: Evaluation, sentence: str) -> list[tuple[str, list[str]]]:
    """Describe subject, model and limitations in sentences, under their headings."""
    record, parts = item.translation, []
    if isinstance(result, Cycle):
        done, trust = [wording.say_cycle(result)], [sentence]
    else:
        subject = [wording.say_made(record)] if record else []
        done, trust = (
            [*subject, wording.say_compared(item)],
            [wording.say_error(item.volume, item.baselines, item), *how_far(item)],
        )
    parts.append(("What was done", done))
    if record:
        parts.append(("With which model", [wording.say_model(record.model)]))
    return [*parts, ("How far to trust it", trust)]


def _curves(result: Evaluation) -> list[Chart]:
    """Draw the scores along the stack."""
    charts = []
    drawn, note = thinned(result.slices)
    planes = [(plane.index, plane.position_mm) for plane in drawn]
    for score in wording.charted_scores([result]):
        values = [plane.scores[score] for plane in drawn if score in plane.scores]
        if len(values) > 2 and len(values) == len(drawn):
            title = wording.with_direction(wording.chart_title(score, result, " per slice"), score)
            high, most = wording.is_error(score), score_info(score).highest
            charts.append(plot(title + note, planes, values, high=high, most=most))
    return charts


def thinned(slices: Sequence[SliceScores]) -> tuple[Sequence[SliceScores], str]:
    """Choose up to `MOST_SLICES` evenly spaced slices and the worst; return them with a note on the rest."""
    if len(slices) <= MOST_SLICES:
        return slices, ""
    step = math.ceil(len(slices) / MOST_SLICES)
    worst = max(range(len(slices)), key=lambda k: slices[k].scores.get("mae", 0.0))
    chosen_slices = [slices[k] for k in sorted({*range(0, len(slices), step), worst})]
    return chosen_slices, f"; one in {step} of {len(slices)} slices is drawn"


def _check_same(item: Evaluation, pictures: Pictures | None) -> None:
    last = max((plane.index for plane in item.slices), default=0)
    if pictures is not None and last >= pictures.mask.shape[2]:
        raise InputRefused(
            f"{item.name or 'result'}: scores of slice {last}, but the volume has {pictures.mask.shape[2]}"
            " slices; render the volumes that were scored"
        )
