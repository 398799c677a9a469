"""Scores over patients as data of a template: table, Bland-Altman plot, and scores beside known facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from medtranslate.metrics import FEW, by_patient, score_info
from medtranslate.records import Cohort, Cycle, Estimate, Evaluation, Patients
from medtranslate.report import wording
from medtranslate.report.charts import Strips, draw_strips
from medtranslate.report.scatter import Scatter, draw_scatter
from medtranslate.report.wording import number

Values = Mapping[str, float]


@dataclass(frozen=True)
class PatientsView:
    """Content of the section over patients.

    Attributes:
        title: of the section.
        sentences: who counts as a patient, and how far the figures reach.
        scores: names of the table's columns.
        rows: names and cells of the table; a cell is mean, and interval or nothing.
        agreement: Bland-Altman plot.
        scatters, strips: a score beside a fact that is a number, or a text, with the title of the chart.
        links: page of the worst pair by the name of the patient.
        notes: facts and patients that are left out, and why.
    """

    title: str
    sentences: list[str]
    scores: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    agreement: Scatter | None = None
    scatters: list[tuple[str, Scatter]] = field(default_factory=list)
    strips: list[tuple[str, Strips]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def view_patients(result: Cohort, links: Mapping[str, str]) -> PatientsView | None:
    """Lay the scores over patients out; None for a record without them.

    Args:
        result: of the cohort.
        links: to the pages of pairs, by name.
    """
    known = result.patients
    if known is None:
        return None
    items = result.items
    each = known.subjects or {item.name: item.name for item in items}
    errors = {item.name: item.volume["mae"] for item in items if "mae" in item.volume}
    scatters, strips = _beside_facts(known, by_patient(errors, each), each, items[0])
    scores = wording.score_names(items) if known.subjects else []
    rows = {"As translated": known.scores, **known.baselines} if known.subjects else {}
    return PatientsView(
        title=f"Over {_count(known)}" if known.subjects else "Over patients",
        sentences=_sentences(known, len(items)),
        scores=scores,
        rows=[(name, [_cell(own.get(score), score) for score in scores]) for name, own in rows.items()],
        agreement=_bland_altman(known, items),
        scatters=scatters,
        strips=strips,
        links=_worst(errors, each, links),
        notes=known.notes,
    )


def say_patients(result: Cohort) -> str:
    """State the mean error over patients in one line; empty without patients."""
    known = result.patients
    if known is None or not known.subjects or "mae" not in known.scores:
        return ""
    error = known.scores["mae"]
    text = f"over {_count(known)}: {wording.say_mae(error.mean, result.items[0], form='.2f')}"
    if error.sd is None or error.interval is None:
        return f"{text}; one patient has neither standard deviation nor interval"
    low, high = error.interval
    return f"{text}, SD {error.sd:.2f}, 95 % bootstrap interval {low:.2f} to {high:.2f}"


def say_count(result: Cohort | Cycle) -> str:
    """Begin a title with the number of patients: "7 patients, "; empty where each pair is one, or unknown."""
    known = result.patients if isinstance(result, Cohort) else None
    return f"{_count(known)}, " if known and 0 < known.count < len(result.items) else ""


def _count(known: Patients) -> str:
    return "1 patient" if known.count == 1 else f"{known.count} patients"


def _sentences(known: Patients, pairs: int) -> list[str]:
    """Describe who counts as a patient, and how far the figures reach."""
    if not known.subjects:
        return [known.rule]
    several = (
        " The pairs of a patient are averaged first, so that each patient counts once."
        if known.count < pairs
        else ""
    )
    sentences = [f"{_count(known)}, {pairs} pairs. {known.rule}{several}"]
    if known.count == 1:
        return [*sentences, "One patient shows no spread between patients, so there is no interval."]
    meaning = (
        "The table shows the mean, the standard deviation between patients, and the 95 % bootstrap interval"
        " of the mean."
    )
    few = f" With fewer than {FEW} patients, such an interval is too narrow." if known.count < FEW else ""
    return [*sentences, meaning + few]


def _cell(value: Estimate | None, score: str) -> tuple[str, str]:
    """Format an estimate: mean and standard deviation, and the interval."""
    if value is None:
        return "n/a", ""
    form = score_info(score).short or (".1f" if abs(value.mean) >= 10 else ".2f")
    mean = number(value.mean, form)
    if value.sd is None or value.interval is None:
        return mean, ""
    low, high = (number(end, form) for end in value.interval)
    return f"{mean} ± {number(value.sd, form)}", f"{low} to {high}"


def _bland_altman(known: Patients, items: Sequence[Evaluation]) -> Scatter | None:
    """Plot the difference of the patients' means over their average; None for one patient.

    The plot is that of Bland and Altman, Lancet 327, 1986, with one point for each patient.
    """
    if known.bias is None or known.limits is None:
        return None
    biases, middles = {}, {}
    for item in items:
        if item.agreement and item.agreement.reference_mean is not None:
            biases[item.name] = item.agreement.bias
            middles[item.name] = item.agreement.reference_mean + item.agreement.bias / 2
    x, y = (by_patient(values, known.subjects) for values in (middles, biases))
    if len(y) < 2:
        return None
    unit = wording.unit_of(items[0])
    low, high = known.limits
    return draw_scatter(
        {name: (x[name], y[name]) for name in y},
        (f"Average of translation and reference, {unit}", f"Translation minus reference, {unit}"),
        {
            f"{number(high)} (upper limit)": high,
            f"{number(known.bias.mean)} (bias)": known.bias.mean,
            f"{number(low)} (lower limit)": low,
        },
    )


def _beside_facts(
    known: Patients, errors: Values, each: Mapping[str, str], first: Evaluation
) -> tuple[list[tuple[str, Scatter]], list[tuple[str, Strips]]]:
    """Draw the error of each patient beside each fact.

    Args:
        errors: mean absolute error by patient.
        each: patient of each pair.
    """
    title = wording.heading("mae", first)
    scatters, strips = [], []
    for key, column in known.columns.items():
        values = by_patient({n: v for n, v in column.items() if isinstance(v, int | float)}, each)
        places = {name: (value, errors[name]) for name, value in values.items() if name in errors}
        if len(places) > 1:
            scatters.append((f"{title}, by {key}{_rank(places)}", draw_scatter(places, (key, title))))
        kinds: dict[str, dict[str, float]] = {}
        for pair, value in column.items():
            if isinstance(value, str) and each.get(pair) in errors:
                kinds.setdefault(value, {})[each[pair]] = errors[each[pair]]
        if kinds:
            named = {f"{kind} ({len(kinds[kind])})": kinds[kind] for kind in sorted(kinds)}
            strips.append((f"{title}, by {key}", draw_strips(named)))
    return scatters, strips


def _rank(places: Mapping[str, tuple[float, float]]) -> str:
    """State Spearman's rank correlation of enough points that vary."""
    x, y = np.array(list(places.values())).T
    if len(x) < FEW or not (np.ptp(x) and np.ptp(y)):
        return ""
    from scipy.stats import spearmanr  # slow to load

    return f" (rank correlation {cast(float, spearmanr(x, y).statistic):.2f}, n {len(x)})"


def _worst(errors: Values, each: Mapping[str, str], links: Mapping[str, str]) -> dict[str, str]:
    """Find the page of each patient's pair with the largest error."""
    worst: dict[str, str] = {}
    for pair in sorted(errors, key=errors.__getitem__):
        if pair in each and pair in links:
            worst[each[pair]] = links[pair]
    return worst
