"""Words of pages and reports: names, sentences, numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medtranslate.metrics import OF_IMAGES, PROFILES, Range, score_info
from medtranslate.modality import UNITS
from medtranslate.records import (
    Cohort,
    Cycle,
    Evaluation,
    ModelInfo,
    Scores,
    SliceScores,
    Tissue,
    Translation,
)

SEES_THE_REFERENCE = "histogram match"
NOTES = {
    "source copied": "the source's range stretched to the reference's, nothing translated",
    "histogram match": "the source with the histogram of the reference, so it uses the truth",
    "mean image": "the mean of the target modality, whatever the source",
    "untranslated": "the original through the model's frame and back: the score of networks that copy",
    "intermediate copied": "the intermediate image, its range stretched, not translated back",
    "intermediate matched": "the intermediate image with the histogram of the original",
}
UNMASKED = "background included, which improves every score; not a measure of the head"

_KINDS = {unit: modality.upper() for modality, unit in UNITS.items()}
"""Modality of a unit, for sentences."""

CAUTION = "For research only. Not for diagnosis, treatment planning or dose calculation."


@dataclass(frozen=True)
class Words:
    """Names of the compared images on a page."""

    kind: str
    own: str
    many: str
    source: str
    prediction: str
    reference: str


def name_images(result: Evaluation | Cohort | Cycle) -> Words:
    """Name the images that a result compares."""
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


def say_cycle(result: Cycle) -> str:
    """Describe a cycle test in one sentence."""
    way = " to ".join(name.upper() for name in result.path)
    noise = (
        f", with noise of {result.noise:.1%} of the range on the intermediate image" if result.noise else ""
    )
    images = f"{len(result.items)} images" if len(result.items) > 1 else "One image"
    return (
        f"{images} from {way} by the posterior mean of the model {result.model.name}{noise},"
        " compared with the original."
    )


def number(value: float | None, form: str | None = None) -> str:
    """Format a number: about three digits, an infinity sign, or n/a."""
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞"
    return format(value, form or (".1f" if abs(value) >= 10 else ".3g"))


def span(ends: Range) -> str:
    """Format a range."""
    return f"{round(ends[0], 1):g} to {round(ends[1], 1):g}"


def score_names(items: Sequence[Evaluation]) -> list[str]:
    """List the scores of a table: those of the profile, then others of the items."""
    known = PROFILES.get(items[0].profile)
    own = known.scores if known else ("mae", "psnr")
    return list(dict.fromkeys([*own, *(name for item in items for name in item.volume)]))


def charted_scores(items: Sequence[Evaluation]) -> list[str]:
    """List the scores that pages draw."""
    return [name for name in score_names(items) if score_info(name).charted]


def short(scores: Scores, name: str) -> str:
    """Format a score for a table."""
    return number(scores.get(name), score_info(name).short)


def heading(name: str, item: Evaluation) -> str:
    """Write the head of a score's column, with its unit or the clipping of the values: "MAE, HU"."""
    info = score_info(name)
    return _with_unit(info.title, info.unit_on(unit_of(item)))


def chart_title(name: str, item: Evaluation, of: str = "") -> str:
    """Write the title of a score's chart: errors are spelt out, acronyms such as SSIM are kept."""
    info = score_info(name)
    spelt = info.meaning if info.unit == OF_IMAGES else info.title
    return _with_unit(spelt + of, info.unit_on(unit_of(item)))


def _with_unit(title: str, unit: str) -> str:
    return f"{title}, {unit}" if unit else title


def direction(name: str) -> str:
    """Describe the direction of improvement, "lower is better"; empty if there is none."""
    better = score_info(name).better
    return f"{better} is better" if better else ""


def with_direction(title: str, name: str) -> str:
    """Add the direction of improvement to a title."""
    return f"{title} ({direction(name)})" if direction(name) else title


def directions(names: Sequence[str]) -> str:
    """Describe the directions of several scores in one sentence."""
    parts = []
    for way in ("lower", "higher"):
        titles = [score_info(name).title for name in names if score_info(name).better == way]
        if titles:
            parts.append(f"{way} {' and '.join(titles)} {'are' if len(titles) > 1 else 'is'} better")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def is_error(name: str) -> bool:
    """Return True for a score whose highest value is the worst."""
    return score_info(name).better == "lower"


def tissue_range(tissue: Tissue) -> str:
    """Format the HU range of a tissue."""
    low, high = tissue.range_hu
    if low is None and high is None:
        return "outline of the reference"
    if low is None:
        return f"below {high:g} HU"
    return f"above {low:g} HU" if high is None else f"{low:g} to {high:g} HU"


def tissue_note(tissues: Mapping[str, Tissue], item: Evaluation) -> str:
    """Explain sign, clipping and saturation in a table of tissues."""
    note = "ME is the mean error, translation minus reference."
    if item.clipped:
        note += f" Values are {clipping(item)}."
    if saturated := [name for name, tissue in tissues.items() if tissue.saturated]:
        note += f" Beyond that range, {' and '.join(saturated)} count as its end."
    return note


def signed(value: float | None) -> str:
    """Format a number with its sign; empty without one."""
    return "" if value is None else number(value, "+.1f" if abs(value) >= 10 else "+.2f")


def tissue_error(tissue: Tissue) -> str:
    """Format a tissue's MAE; "not representable" if the tissue lies outside the model's range."""
    return number(tissue.mae) if tissue.representable else "not representable"


def say_pairs(items: list[Evaluation]) -> str:
    """Describe the compared images in one sentence."""
    first = items[0]
    kind = kind_of(first)
    models = sorted({item.translation.model.name for item in items if item.translation})
    by = f", made by the model {' and '.join(models)}," if models else ""
    if len(items) > 1:
        return f"{len(items)} translated images{by} scored against their references, pair by pair."
    planes = f"{len(first.slices)} axial slices" if len(first.slices) != 1 else "one slice"
    return f"A translated {kind}{by} scored against its reference on {planes}."


def kind_of(item: Evaluation) -> str:
    """Name the modality that was scored, by its unit; "image" if it is not known."""
    return _KINDS.get(item.unit, "image")


def say_model(model: ModelInfo) -> str:
    """Describe a model and its range in one sentence."""
    values = f"{span(model.output_range)} {model.unit}"
    return f"{model.name} (SHA-256 {model.sha256[:12]}…), which represents {values}."


def say_made(record: Translation) -> str:
    """Describe a translation in one sentence."""
    source, target = record.source, record.model.to.upper()
    kind = {"ct": "A CT", "mr": "An MR"}.get(source.modality or "", "An image")
    if source.shape[2] == 1:
        return f"{kind} slice was translated to {target}."
    voxels = " × ".join(map(str, source.shape))
    size = " × ".join(f"{length:.3g}" for length in source.spacing_mm)
    return f"{kind} of {voxels} voxels of {size} mm was translated to {target}, {record.way}."


def say_compared(result: Evaluation) -> str:
    """Describe the reference in one sentence."""
    truth = f"the true {kind_of(result)}"
    planes = f"on {len(result.slices)} axial slices" if len(result.slices) != 1 else "on one slice"
    return f"It was compared with {truth} of the same head, voxel by voxel, {planes}."


def say_error(scores: Scores, baselines: Mapping[str, Scores], item: Evaluation) -> str:
    """Describe the mean absolute error and that of the baselines in one sentence."""
    nothing = [
        f"{short(base, 'mae')} for the {name}"
        for name, base in baselines.items()
        if name != SEES_THE_REFERENCE
    ]
    against = f"; without any translation it would be {' and '.join(nothing)}" if nothing else ""
    clipped = f", counted on values {clipping(item)}" if item.clipped else ""
    return f"A voxel is off by {short(scores, 'mae')} {item.unit} on average{clipped}{against}."


def clipping(item: Evaluation) -> str:
    """Describe the clipping of both images: "clipped to -20..100 HU"; empty without clipping."""
    if item.clipped is None:
        return ""
    low, high = item.clipped
    return f"clipped to {low:g}..{high:g} {item.unit}"


def unit_of(item: Evaluation) -> str:
    """Return the unit of the MAE, or the clipping of the values, for the head of a column."""
    return clipping(item) or item.unit


def say_mae(value: float | None, item: Evaluation, name: str = "MAE", form: str | None = None) -> str:
    """Format a mean absolute error with its name, and its unit or the clipping of the values."""
    if item.clipped is None:
        return f"{name} {number(value, form)} {item.unit}"
    return f"{name}, {clipping(item)}: {number(value, form)}"


def say_slice(plane: SliceScores, item: Evaluation) -> str:
    """Format the charted scores of a slice in one line."""
    names = [name for name in charted_scores([item]) if name in plane.scores or name == "mae"]
    return ", ".join(say_score(plane.scores, name, item) for name in names)


def say_score(scores: Scores, name: str, item: Evaluation) -> str:
    """Format a score with its title and unit."""
    if name == "mae":
        return say_mae(scores.get(name), item)
    info = score_info(name)
    return f"{info.title} {short(scores, name)} {info.unit_on(item.unit)}".rstrip()


def map_title(record: Translation | None) -> str:
    """Name the values of an uncertainty map; without a record they count as standard deviations."""
    return record.uncertainty.title if record and record.uncertainty else "Standard deviation"


def about_translation(record: Translation) -> list[tuple[str, str]]:
    """List measures that need no reference: contrast of the source, seams and uncertainty."""
    facts = [("Contrast of the source", f"looks like {record.contrast.words}")] if record.contrast else []
    if record.seams:
        jumps = " %, ".join(f"{name} {100 * share:.1f}" for name, share in record.seams.items())
        facts.append(("Seams", f"mean jump between neighbouring slices, of the range: {jumps} %"))
    if measured := record.uncertainty:
        drawn = f"from {measured.samples} samples (seed {measured.seed})"
        origin = drawn if measured.samples else "estimated by the model"
        text = f"{number(measured.mean_std)} {measured.unit} over the head, {origin}: {measured.meaning}"
        if measured.calibrated_on:
            text += f". Fitted on {measured.calibrated_on}"
        if measured.within is not None:
            text += f". {measured.within:.0%} of the head's errors lie within it"
        if measured.coverage is not None:
            text += f". {measured.coverage:.0%} of the head's errors lie within twice its value"
        if measured.correlation is not None:
            text += f"; rank correlation with the error {measured.correlation:.2f}"
        facts.append((measured.title, text))
    return facts
