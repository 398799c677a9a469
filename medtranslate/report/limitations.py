"""How far a translation can be trusted, in sentences that need no statistics, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from medtranslate.metrics import PROFILES, WHOLE_CT, covers, score_info
from medtranslate.records import Evaluation, ModelInfo, SliceScores, Source, Translation
from medtranslate.report.wording import clipping, number, span

CALIBRATED = 0.95
"""Share of normal errors within two of their own standard deviations."""

VERDICTS = {
    "pass": "passed",
    "warn": "warned",
    "refuse": "refused",
    "forced": "refused, and passed by force",
    "none": "the model has none: nothing was judged",
}
"""What a page calls the verdicts of the input gate."""


def how_far(result: Evaluation) -> list[str]:
    """What scores of one pair say to somebody who wants to use the image: slices, voxels, spread, seams."""
    said = []
    values = f" (values {clipping(result)})" if result.clipped else ""
    ranked = ranked_slices(result)
    if len(ranked) > 2:
        worst, middle = ranked[-1], median(plane.scores["mae"] for plane in ranked)
        said.append(
            f"Half of the slices err by {number(middle)} {result.unit} or less on average, the worst, slice"
            f" {worst.index}, by {number(worst.scores['mae'])} {result.unit}{values}."
        )
    if result.agreement:
        low, high = result.agreement.limits
        said.append(
            f"A single voxel can be far off: 95 % of the differences lie between {number(low)} and"
            f" {number(high)} {result.unit}{values}, if they are normally distributed."
        )
    if result.translation:
        said += what_it_lacks(result.translation)
    return said


def what_it_lacks(record: Translation) -> list[str]:
    """What a translation cannot say, and what its own signs of doubt are worth."""
    said = [*say_gate(record), *limits(record.model)]
    if record.seams and (before := record.seams.get("source")) and "output" in record.seams:
        ratio = record.seams["output"] / before
        said.append(
            f"Neighbouring slices differ {number(ratio)} times as much as in the source"
            + (": slices were translated one by one, and it shows." if ratio > 1.2 else ".")
        )
    if (found := record.uncertainty) and found.coverage is not None:
        said.append(
            f"Two of its standard deviations hold {found.coverage:.0%} of the errors"
            + (
                f" ({CALIBRATED:.0%} would be calibrated): the model is surer of itself than it is right."
                if found.coverage < CALIBRATED - 0.05
                else "."
            )
        )
    elif found and found.calibrated_on:
        said.append(
            f"Its standard deviations are as large as errors were on {found.calibrated_on}; on other heads"
            " errors can be larger."
        )
    elif found:
        said.append(
            "Where samples differ much, doubt the translation; where they agree, it can still be wrong."
        )
    return said


def say_gate(record: Translation) -> list[str]:
    """That the model has no input gate; what a gate had against the source is said first (`say_doubts`)."""
    if record.gate and record.gate.verdict == "none":
        return ["The model has no input gate: whether the source is what it knows was not judged."]
    return []


def limits(model: ModelInfo) -> list[str]:
    """What the model's own card says of it, and what a CT of a windowed model is not good for."""
    said = [f"The card of the model says: {model.summary}"] if model.summary else []
    if model.to == "ct" and not covers(model.output_range, WHOLE_CT):
        said.append(
            f"The model says nothing outside {span(model.output_range)} {model.unit}: bone and air cannot be"
            " judged by it, and no dose can be computed on it."
        )
    return said


def models_limits(items: Sequence[Evaluation]) -> list[str]:
    """`limits` of every model that made one of several."""
    models = {item.translation.model for item in items if item.translation}
    return [said for model in sorted(models, key=lambda model: model.name) for said in limits(model)]


def ranked_slices(result: Evaluation) -> list[SliceScores]:
    """The slices by MAE, the best first."""
    scored = [plane for plane in result.slices if "mae" in plane.scores]
    return sorted(scored, key=lambda plane: plane.scores["mae"])


def method(items: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """What scores mean nothing without: mask, range, what was done to the reference, definitions."""
    result = items[0]
    found = [("Profile", result.profile)]
    if result.mask:
        share = f" ({result.mask.share:.0%} of the voxels)" if len(items) == 1 else ""
        found.append(("Scored voxels", result.mask.rule + share))
    ranges = {item.data_range for item in items if item.data_range}
    numbers = f"{span(ranges.pop())} {result.unit}: " if len(ranges) == 1 else ""
    found.append(("Range", f"{numbers}{result.data_range_rule or 'not stated'}"))
    found += [("Reference", words) for words in result.reference]
    if result.clipped:
        found.append(("Clipped", f"all scores are of values {clipping(result)}"))
    known = PROFILES.get(result.profile)
    defined = known.scores.items() if known else ()
    return [*found, *((score_info(name).title, score.words) for name, score in defined)]


def provenance(record: Translation) -> list[tuple[str, str]]:
    """By which model a translation was made, and from what."""
    model, source = record.model, record.source
    found = [
        ("Model", f"{model.name}, to {model.to.upper()}, {span(model.output_range)} {model.unit}"),
        ("Model digest", f"SHA-256 {model.sha256}"),
        ("Source", _geometry(source)),
    ]
    if source.digest:
        found.append(("Source digest", f"SHA-256 {source.digest}"))
    if gate := record.gate:
        planes = f" (slices judged: {gate.slices})" if gate.slices else ""
        found.append(("Input gate", VERDICTS["forced" if gate.forced else gate.verdict] + planes))
    if record.saturated:
        found.append(("Saturated", f"{record.saturated:.2%} of the source lay outside the model's window"))
    return found


def _geometry(source: Source) -> str:
    shape = " x ".join(map(str, source.shape))
    size = " x ".join(f"{length:.3g}" for length in source.spacing_mm)
    kind = " ".join(word for word in (source.format, (source.modality or "").upper()) if word)
    return f"{kind or 'in memory'}, {shape} voxels of {size} mm"


def chosen(settings: Mapping[str, object]) -> str:
    """The settings that were chosen, in one line; paths are left out, which name people and machines."""
    kept = {
        key: value
        for key, value in settings.items()
        if key not in _PATHS and value not in (None, False, "") and not isinstance(value, dict)
    }
    return ", ".join(f"{key} {value}" for key, value in kept.items())


_PATHS = (
    *(
        "input",
        "output",
        "out",
        "source",
        "prediction",
        "reference",
        "mask",
        "report",
        "uncertainty",
        "model",
    ),
)
