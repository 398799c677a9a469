"""Scores of a cohort over its patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medtranslate.evaluation.subjects import Subjects
from medtranslate.metrics import by_patient, estimate
from medtranslate.records import Estimate, Evaluation, Patients, Scores

SPACING = "largest voxel side, mm"
"""Column that is read from the records of the inputs: the slice spacing of most scans."""


def score_patients(items: Sequence[Evaluation], known: Subjects) -> Patients:
    """Compute mean, standard deviation and interval of each score over patients.

    Args:
        items: scores of the pairs.
        known: patients of the pairs, and facts about them.
    """
    names = {item.name for item in items}
    of = {name: subject for name, subject in known.of.items() if name in names}
    columns = {key: {n: v for n, v in column.items() if n in names} for key, column in known.columns.items()}
    baselines = dict.fromkeys(name for item in items for name in item.baselines)
    biases = {item.name: item.agreement.bias for item in items if item.agreement}
    bias = estimate(list(by_patient(biases, of).values()))
    spread = None if bias is None or bias.sd is None else 1.96 * bias.sd
    return Patients(
        rule=known.rule,
        subjects=of,
        scores=_estimates({item.name: item.volume for item in items}, of),
        baselines={
            name: _estimates({item.name: item.baselines.get(name, {}) for item in items}, of)
            for name in (baselines if of else ())
        },
        bias=bias,
        limits=None if bias is None or spread is None else (bias.mean - spread, bias.mean + spread),
        columns=_sizes(items) | columns,
        notes=known.notes,
    )


def _estimates(scores: Mapping[str, Scores], of: Mapping[str, str]) -> dict[str, Estimate]:
    """Estimate each score over patients; `scores` by the name of the pair."""
    found = {}
    for score in dict.fromkeys(score for own in scores.values() for score in own):
        values = by_patient({name: own[score] for name, own in scores.items() if score in own}, of)
        if known := estimate(list(values.values())):
            found[score] = known
    return found


def _sizes(items: Sequence[Evaluation]) -> dict[str, dict[str, float | str]]:
    """Collect the largest voxel side of the sources, or else of the references; nothing if all are equal."""
    sizes: dict[str, float | str] = {}
    for item in items:
        inputs = item.provenance.inputs if item.provenance else {}
        source = inputs.get("source") or inputs.get("reference")
        if source and source.format != "png":
            sizes[item.name] = round(max(source.spacing_mm), 3)
    return {SPACING: sizes} if len(set(sizes.values())) > 1 else {}
