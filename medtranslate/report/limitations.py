"""Limitations of a translation, in sentences that need no statistics, and its provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from medtranslate.metrics import PROFILES, WHOLE_CT, covers, score_info
from medtranslate.records import Evaluation, ModelInfo, SliceScores, Source, Translation
from medtranslate.report.wording import clipping, number, span

CALIBRATED = 0.95
"""Share of normal errors within two of their own standard deviations."""

AIR_TO_BONE = (-1000.0, 1500.0)
"""HU of a model that represents air and the bone of the skull; enamel and metal are denser."""

VERDICTS = {
    "pass": "passed",
    "warn": "warned",
    "refuse": "refused",
    "forced": "refused, and passed by force",
    "none": "the model has none, so the source was not checked",
}
"""Verdicts of the input gate, in words."""


def how_far(result: Evaluation) -> list[str]:
    """Describe the errors of one pair for a user of the image: by slice, by voxel, uncertainty, seams."""
    sentences = []
    values = f" (values {clipping(result)})" if result.clipped else ""
    ranked = ranked_slices(result)
    if len(ranked) > 2:
        worst, middle = ranked[-1], median(plane.scores["mae"] for plane in ranked)
        sentences.append(
            f"Half of the slices err by {number(middle)} {result.unit} or less on average, the worst, slice"
            f" {worst.index}, by {number(worst.scores['mae'])} {result.unit}{values}."
        )
    if result.agreement:
        low, high = result.agreement.limits
        sentences.append(
            f"A single voxel can be far off: 95 % of the differences lie between {number(low)} and"
            f" {number(high)} {result.unit}{values}, if they are normally distributed."
        )
    if result.translation:
        sentences += what_it_lacks(result.translation)
    return sentences


def what_it_lacks(record: Translation) -> list[str]:
    """Describe the limitations of a translation, and the reliability of its uncertainty."""
    sentences = [*say_gate(record), *limits(record.model)]
    if record.seams and (before := record.seams.get("source")) and "output" in record.seams:
        ratio = record.seams["output"] / before
        sentences.append(
            f"Neighbouring slices differ {number(ratio)} times as much as in the source"
            + (": slices were translated one by one, and it shows." if ratio > 1.2 else ".")
        )
    uncertainty = record.uncertainty
    if uncertainty and uncertainty.share and uncertainty.within is not None:
        sentences.append(
            f"Its error limits hold {uncertainty.within:.0%} of the errors ({uncertainty.share:.0%} would be"
            " right)"
            + (
                ": the model underestimates its errors."
                if uncertainty.within < uncertainty.share - 0.05
                else "."
            )
        )
    elif uncertainty and uncertainty.coverage is not None:
        sentences.append(
            f"Two of its standard deviations hold {uncertainty.coverage:.0%} of the errors"
            + (
                f" ({CALIBRATED:.0%} would be calibrated): the model underestimates its errors."
                if uncertainty.coverage < CALIBRATED - 0.05
                else "."
            )
        )
    elif uncertainty and uncertainty.share and not uncertainty.calibrated_on:
        sentences.append("Its error limits are the model's own estimate, and were not compared with errors.")
    elif uncertainty and uncertainty.share:
        sentences.append(
            f"{uncertainty.share:.0%} of the errors on {uncertainty.calibrated_on} lie within its error"
            " limits; on other heads errors can be larger."
        )
    elif uncertainty and uncertainty.calibrated_on:
        sentences.append(
            f"Its standard deviations are as large as errors were on {uncertainty.calibrated_on}; on other"
            " heads errors can be larger."
        )
    elif uncertainty:
        sentences.append(
            "Where samples differ much, doubt the translation; where they agree, it can still be wrong."
        )
    return sentences


def say_gate(record: Translation) -> list[str]:
    """Mention a missing input gate; `say_doubts` gives the reasons of a gate."""
    if record.gate and record.gate.verdict == "none":
        return ["The model has no input gate, so the source was not checked."]
    return []


def limits(model: ModelInfo) -> list[str]:
    """Quote the model's card, and describe the limits of a CT in a window of HU."""
    sentences = [f"The card of the model says: {model.summary}"] if model.summary else []
    if model.to == "ct" and not covers(model.output_range, WHOLE_CT):
        lacking = (
            "teeth and metal are cut off, and no dose has been tested"
            if covers(model.output_range, AIR_TO_BONE)
            else "bone and air cannot be assessed on it, and no dose can be computed"
        )
        sentences.append(f"The model represents {span(model.output_range)} {model.unit} only: {lacking}.")
    return sentences


def models_limits(items: Sequence[Evaluation]) -> list[str]:
    """Give the `limits` of each model of several translations."""
    models = {item.translation.model for item in items if item.translation}
    return [sentence for model in sorted(models, key=lambda model: model.name) for sentence in limits(model)]


def ranked_slices(result: Evaluation) -> list[SliceScores]:
    """Sort the slices by MAE, the best first."""
    scored = [plane for plane in result.slices if "mae" in plane.scores]
    return sorted(scored, key=lambda plane: plane.scores["mae"])


def method(items: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """List mask, range, preparation of the reference, and definitions of the scores."""
    result = items[0]
    rows = [("Profile", result.profile)]
    if result.mask:
        share = f" ({result.mask.share:.0%} of the voxels)" if len(items) == 1 else ""
        rows.append(("Scored voxels", result.mask.rule + share))
    ranges = {item.data_range for item in items if item.data_range}
    numbers = f"{span(ranges.pop())} {result.unit}: " if len(ranges) == 1 else ""
    rows.append(("Range", f"{numbers}{result.data_range_rule or 'not stated'}"))
    rows += [("Reference", words) for words in result.reference]
    if result.clipped:
        rows.append(("Clipped", f"all scores are of values {clipping(result)}"))
    known = PROFILES.get(result.profile)
    defined = known.scores.items() if known else ()
    return [*rows, *((score_info(name).title, score.words) for name, score in defined)]


def provenance(record: Translation) -> list[tuple[str, str]]:
    """List model and source of a translation."""
    model, source = record.model, record.source
    rows = [
        ("Model", f"{model.name}, to {model.to.upper()}, {span(model.output_range)} {model.unit}"),
        ("Model digest", f"SHA-256 {model.sha256}"),
        ("Source", _geometry(source)),
    ]
    if source.digest:
        rows.append(("Source digest", f"SHA-256 {source.digest}"))
    if gate := record.gate:
        planes = f" (slices judged: {gate.slices})" if gate.slices else ""
        rows.append(("Input gate", VERDICTS["forced" if gate.forced else gate.verdict] + planes))
    if record.saturated:
        rows.append(("Saturated", f"{record.saturated:.2%} of the source lay outside the model's window"))
    return rows


def _geometry(source: Source) -> str:
    shape = " x ".join(map(str, source.shape))
    size = " x ".join(f"{length:.3g}" for length in source.spacing_mm)
    kind = " ".join(word for word in (source.format, (source.modality or "").upper()) if word)
    return f"{kind or 'in memory'}, {shape} voxels of {size} mm"


def chosen(settings: Mapping[str, object]) -> str:
    """Join the chosen settings in one line, without paths, which name people and machines."""
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
        "densities",
        "model",
        "table",
    ),
)
