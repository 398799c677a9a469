"""report.html: the result as one page that needs no network, for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from medtranslate.metrics import PROFILES, Range
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
from medtranslate.result import (
    Cohort,
    Cycle,
    Result,
    Scores,
    SliceScores,
    Tissue,
    Translation,
    worst_slices,
)

MOST_PLANES = 6
MOST_WARNINGS = 20
SEES_THE_REFERENCE = "histogram match"
NOTES = {
    "source copied": "the source's range stretched to the reference's, nothing translated",
    "histogram match": "the source given the reference's own histogram: it has seen the truth",
    "mean image": "the mean of the target modality, whatever the source",
    "untranslated": "the original through the model's frame and back: the score of networks that copy",
    "intermediate copied": "the image between, its range stretched, not translated back",
    "intermediate matched": "the image between given the original's own histogram",
}
UNMASKED = "background included: flattered by it, and no measure of the head"

PAGES = Environment(
    loader=PackageLoader("medtranslate.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Words:
    """What a page calls the images that it compares."""

    kind: str
    own: str
    many: str
    source: str
    prediction: str
    reference: str


@dataclass(frozen=True)
class Verdict:
    """Whether it is better than doing nothing: `kind` is better, mixed, worse or unknown."""

    kind: str
    headline: str
    sentence: str


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
    words, first, several = _words(result), items[0], len(items) > 1 or isinstance(result, Cohort)
    page = PAGES.get_template("report.html").render(
        title=f"{len(items)} {words.many}" if several else first.name or "Translation",
        subject=_round_trip(result) if isinstance(result, Cycle) else _subject(items),
        kind=words.kind,
        words=words,
        result=result,
        items=items,
        first=first,
        cohort=several,
        own=f"Mean over the {words.many}" if several else words.own,
        scores=scores,
        verdict=_judge_cycle(result, first.unit)
        if isinstance(result, Cycle)
        else judge(scores, result.baselines, first.unit),
        warnings=result.warnings[:MOST_WARNINGS],
        more_warnings=max(0, len(result.warnings) - MOST_WARNINGS),
        notes=NOTES,
        curves=[] if several else _curves(first),
        worst=[] if several else worst_slices(first),
        similarity=_similarity_name(scores),
        similar=_similarity,
        unmasked_note=UNMASKED,
        tissues={} if several else first.tissues,
        tissue_range=_tissue_range,
        tissue_error=_tissue_error,
        agreement=None if several else first.agreement,
        galleries=_galleries(items, pictures),
        colours=error_colours(),
        facts=_facts(items),
        number=number,
        span=span,
        where=_where,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")


def _words(result: Result | Cohort | Cycle) -> Words:
    if not isinstance(result, Cycle):
        return Words(
            "medtranslate evaluation", "This translation", "pairs", "Source", "Translation", "Reference"
        )
    name, other = result.path[0].upper(), result.path[1].upper()
    return Words(
        "medtranslate cycle test",
        f"This {name}, there and back",
        "round trips",
        f"Between, as {other}",
        f"{name} that came back",
        f"Original {name}",
    )


def _round_trip(result: Cycle) -> str:
    """What a cycle test did, in one sentence."""
    way = " to ".join(name.upper() for name in result.path)
    noise = f", with noise of {result.noise:.1%} of the range on the image between" if result.noise else ""
    images = f"{len(result.items)} images" if len(result.items) > 1 else "One image"
    return (
        f"{images} from {way} by the posterior mean of the model {result.model.name}{noise},"
        " scored against where they began."
    )


def _judge_cycle(result: Cycle, unit: str) -> Verdict:
    """The score of a round trip, and why it is no verdict on the translation."""
    scores, copied = result.mean, result.baselines.get("untranslated", Scores())
    way = " → ".join(name.upper() for name in result.path)
    return Verdict(
        "unknown",
        f"{way}: mean absolute error {number(scores.mae)} {unit}",
        f"SSIM {number(scores.ssim, '.3f')}. Networks that only copied their input would reach"
        f" {number(copied.mae)} {unit}. This says {result.meaning}. Score translations against real"
        " pairs where there are any, and repeat this test with --noise.",
    )


def judge(scores: Scores, baselines: Mapping[str, Scores], unit: str) -> Verdict:
    """Compare with doing nothing (every baseline but the one that sees the reference).

    Better (or worse) means a lower (higher) MAE and a higher (lower) SSIM than each of them.
    """
    nothing = {name: s for name, s in baselines.items() if name != SEES_THE_REFERENCE}
    if scores.mae is None or not nothing:
        return Verdict(
            "unknown",
            "Nothing to compare with",
            "Whether this is better than doing nothing can't be said without the source (--source).",
        )
    wins = [verdict for base in nothing.values() for verdict in _wins(scores, base)]
    against = " and ".join(f"{number(base.mae)} for the {name}" for name, base in nothing.items())
    sentence = f"Mean absolute error {number(scores.mae)} {unit}, against {against}"
    sentence += f"; {_similarity_name(scores)} {number(_similarity(scores), '.3f')}, against "
    sentence += " and ".join(number(_similarity(base), ".3f") for base in nothing.values())
    matched = baselines.get(SEES_THE_REFERENCE)
    if matched:
        reached = all(_wins(scores, matched))
        sentence += (
            f". It {'betters' if reached else 'does not better'} a histogram match"
            f" ({number(matched.mae)} {unit}), which has seen the reference"
        )
    kind = "better" if all(wins) else "mixed" if any(wins) else "worse"
    headline = {
        "better": "Better than doing nothing",
        "mixed": "Better than doing nothing in some scores only",
        "worse": "Not better than doing nothing",
    }[kind]
    return Verdict(kind, headline, sentence + ".")


def number(value: float | None, form: str | None = None) -> str:
    """A score in the page's words: three digits or so, an infinity sign, or n/a."""
    if value is None:
        return "n/a"
    if math.isinf(value):
        return "∞"
    return format(value, form or (".1f" if abs(value) >= 10 else ".3g"))


def span(ends: Range) -> str:
    """A range in the page's words."""
    return f"{ends[0]:g} to {ends[1]:g}"


def _wins(scores: Scores, base: Scores) -> list[bool]:
    """One verdict per score that both have: lower MAE, higher SSIM or MS-SSIM."""
    pairs = ((base.mae, scores.mae), (_similarity(scores), _similarity(base)))
    return [larger > smaller for larger, smaller in pairs if larger is not None and smaller is not None]


def _similarity(scores: Scores) -> float | None:
    """MS-SSIM where the profile has it, else SSIM."""
    return scores.ssim if scores.ms_ssim is None else scores.ms_ssim


def _similarity_name(scores: Scores) -> str:
    return "SSIM" if scores.ms_ssim is None else "MS-SSIM"


def _tissue_range(tissue: Tissue) -> str:
    low, high = tissue.range_hu
    if low is None:
        return f"below {high:g} HU"
    return f"above {low:g} HU" if high is None else f"{low:g} to {high:g} HU"


def _tissue_error(tissue: Tissue) -> str:
    return number(tissue.mae) if tissue.representable else "not representable"


def _subject(items: list[Result]) -> str:
    """What was compared, in one sentence."""
    first = items[0]
    kind = {"HU": "CT", "a.u.": "MR"}.get(first.unit, "image")
    models = sorted({item.translation.model.name for item in items if item.translation})
    made = f", made by the model {' and '.join(models)}," if models else ""
    if len(items) > 1:
        return f"{len(items)} translated images{made} scored against their references, pair by pair."
    planes = f"{len(first.slices)} axial slices" if len(first.slices) != 1 else "one slice"
    return f"A translated {kind}{made} scored against its reference on {planes}."


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


def about_translation(record: Translation) -> list[tuple[str, str]]:
    """What was measured of a translation without a reference: seams, spread of the posterior."""
    facts = []
    if record.seams:
        jumps = " %, ".join(f"{name} {100 * share:.1f}" for name, share in record.seams.items())
        facts.append(("Seams", f"mean jump between neighbouring slices, of the range: {jumps} %"))
    if found := record.uncertainty:
        text = f"{number(found.mean_std)} {found.unit} over the head, from {found.samples} samples"
        text += f" (seed {found.seed}): {found.meaning}"
        if found.coverage is not None:
            text += f". {found.coverage:.0%} of the head's errors lie within two standard deviations"
        if found.correlation is not None:
            text += f"; rank correlation with the error {found.correlation:.2f}"
        facts.append(("Standard deviation", text))
    return facts


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
