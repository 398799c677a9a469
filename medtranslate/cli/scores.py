"""Scores as lines for people, and warnings in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from medtranslate.metrics import score_info
from medtranslate.records import (
    WINDOWED,
    Cohort,
    Cycle,
    Evaluation,
    Scores,
    Tissue,
    Translation,
    worst_slices,
)
from medtranslate.report.ct_measures import structures
from medtranslate.report.doubts import MOST_DOUBTS, doubts_of
from medtranslate.report.patients import say_patients
from medtranslate.report.wording import clipping, say_mae, score_names, unit_of


def parted(texts: Iterable[str], items: Sequence[Translation | Evaluation]) -> tuple[list[str], list[str]]:
    """Separate warnings about an input from notes that hold for every output of a model.

    Doubts about items come before all other warnings.
    """
    remarks = list(texts)
    # Without the names of the pictures.
    notes = [text.partition(WINDOWED)[0] + WINDOWED for text in remarks if WINDOWED in text]
    return [*_doubted(items), *(text for text in remarks if WINDOWED not in text)], notes


def lines(result: Evaluation | Cohort | Cycle) -> list[str]:
    """Format the scores of a result, of its baselines, and its errors by tissue; means of several."""
    if isinstance(result, Evaluation):
        title, scores, first = f"profile {result.profile}", result.volume, result
    else:
        title, scores, first = f"mean of {len(result.items)}", result.mean, result.items[0]
    if isinstance(result, Cycle):
        title = f"{' to '.join(result.path)}, {title}"
    rows = {title: scores, **result.baselines}
    if result.unmasked:
        rows["unmasked, background included"] = result.unmasked
    table = [_line(name, row, first) for name, row in rows.items()]
    if isinstance(result, Cohort) and (over := say_patients(result)):
        table.insert(1, over)
    return [
        *table,
        *(_where_it_errs(result) if isinstance(result, Evaluation) else _by_tissue(result.tissues, first)),
    ]


def _doubted(items: Sequence[Translation | Evaluation]) -> list[str]:
    doubts = doubts_of(items)
    more = [f"and {len(doubts) - MOST_DOUBTS} more"] if len(doubts) > MOST_DOUBTS else []
    return [f"doubtful: {text}" for text in (*doubts[:MOST_DOUBTS], *more)]


def _where_it_errs(result: Evaluation) -> list[str]:
    remarks = [f"reference {result.reference[0]}"] if result.registration else []
    remarks += [*_by_tissue(result.tissues, result), *_structures(result)]
    if result.agreement:
        bias, (low, high) = result.agreement.bias, result.agreement.limits
        remarks.append(
            f"bias {bias:+.2f} {result.unit}, limits of agreement {low:+.2f} to {high:+.2f}, Wasserstein"
            f" distance of the histograms {result.agreement.wasserstein:.2f} {result.unit}" + _clipped(result)
        )
    if coverage := result.coverage:
        one, two = (f"{share:.1%}" for share in (coverage.within_1_sd, coverage.within_2_sd))
        first, second = coverage.expected
        remarks.append(
            f"errors within the error limit {one} ({first:.1%} is right), within twice it {two}"
            if coverage.share
            else f"errors within one standard deviation {one} (normal errors: {first:.1%}), within two {two}"
            f" ({second:.1%})"
        )
    worst = worst_slices(result)
    if worst:
        listed = ", ".join(f"{plane.index} ({plane.scores['mae']:.2f})" for plane in worst)
        remarks.append(f"worst slices by MAE, {unit_of(result)}: {listed}")
    return remarks


def _by_tissue(tissues: Mapping[str, Tissue], first: Evaluation) -> list[str]:
    if not tissues:
        return []
    return [", ".join(_tissue(name, tissue) for name, tissue in tissues.items()) + _clipped(first)]


def _clipped(item: Evaluation) -> str:
    return f"; values {clipping(item)}" if item.clipped else ""


def _tissue(name: str, tissue: Tissue) -> str:
    if not tissue.representable:
        error = "not representable"
    else:
        error = "none" if tissue.mae is None else f"MAE {tissue.mae:.2f} HU"
        error += "" if tissue.me is None else f" ({tissue.me:+.2f})"
    return f"{name} {error}" + ("" if tissue.dice is None else f", Dice {tissue.dice:.3f}")


def _structures(result: Evaluation) -> list[str]:
    """Format structures and path lengths, and the reasons for those that are missing."""
    lines = []
    if found := structures(result.anatomy):
        lines.append("; ".join(row.line for row in found) + _clipped(result))
    if result.paths:
        beams = (
            f"{beam} {length.mean_mm:+.2f} (SD {length.sd_mm:.2f}) mm"
            for beam, length in result.paths.items()
        )
        lines.append(f"water-equivalent path length, prediction minus reference: {', '.join(beams)}")
    return [*lines, *(f"not measured: {name}: {reason}" for name, reason in result.unmeasured.items())]


def _line(title: str, scores: Scores, first: Evaluation) -> str:
    return f"{title}: " + ", ".join(_cell(name, scores.get(name), first) for name in score_names([first]))


def _cell(name: str, value: float | None, first: Evaluation) -> str:
    info = score_info(name)
    if value is None:
        return f"{info.title} -"
    if name == "mae":
        return say_mae(value, first, form=info.digits)
    return f"{info.title} {value:{info.digits}} {info.unit_on(first.unit)}".rstrip()
