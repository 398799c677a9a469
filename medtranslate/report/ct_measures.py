"""Measures of CT for tables: errors by tissue, structures of the head, and path lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import stdev

from medtranslate.records import Anatomy, Evaluation
from medtranslate.report.radiographs import Projection
from medtranslate.report.wording import number, span, tissue_note

MOST_ROWS = 200
"""Most cases in the table of a page; cases.csv has all."""


@dataclass(frozen=True)
class Measure:
    """One number of a case.

    Attributes:
        key: column of a CSV.
        title: head of a column.
        unit: of the value; empty without one.
        value: measured value; None if it is missing.
    """

    key: str
    title: str
    unit: str
    value: float | None


@dataclass(frozen=True)
class Structure:
    """Row of the table of structures: its values in prediction and reference, and their difference."""

    name: str
    prediction: str
    reference: str
    difference: str

    @property
    def line(self) -> str:
        """Row in one line."""
        sides = f" {self.prediction}, reference {self.reference}," if self.prediction else ""
        return f"{self.name}:{sides} {self.difference}"


@dataclass(frozen=True)
class CtSection:
    """Measures of CT on the page of one case.

    Attributes:
        note: sentences on the tissues.
        structures: rows of the table of structures.
        paths: sentence of each beam.
        densities: sentence on the table of densities.
        drawn: pictures of each beam.
    """

    note: str
    structures: list[Structure]
    paths: dict[str, str]
    densities: str
    drawn: list[Projection]


@dataclass(frozen=True)
class CaseTable:
    """Measures of many cases.

    Attributes:
        heads: of the columns.
        rows: of cells, by name.
        means: of the columns.
        more: number of cases without a row.
        spreads: standard deviations of the errors by tissue (`tissue_spreads`).
    """

    heads: list[str]
    rows: list[tuple[str, list[str]]]
    means: list[str]
    more: int
    spreads: dict[str, dict[str, float]]


def case_measures(item: Evaluation) -> Iterator[Measure]:
    """Yield the measures of one case, in the order of the tables."""
    for name, tissue in item.tissues.items():
        key = name.replace(" ", "_")
        yield Measure(f"{key}_mae", f"MAE, {name}", "HU", tissue.mae)
        yield Measure(f"{key}_me", f"ME, {name}", "HU", tissue.me)
        yield Measure(f"{key}_rmse", f"RMSE, {name}", "HU", tissue.rmse)
        if name == "bone":
            yield Measure("bone_dice", "Dice, bone", "", tissue.dice)
    found = item.anatomy
    if found:
        yield Measure("bone_hd95_mm", "Hausdorff distance 95 %, bone", "mm", found.bone_hd95_mm)
        for kind, text in (("prediction", "vault"), ("reference", "vault, reference")):
            yield Measure(f"vault_{kind}_mm", f"Thickness, {text}", "mm", (found.skull_mm or {}).get(kind))
        for kind, text in (("prediction", "ventricles"), ("reference", "ventricles, reference")):
            yield Measure(
                f"ventricles_{kind}_ml", f"Volume, {text}", "ml", (found.ventricles_ml or {}).get(kind)
            )
    for beam, length in item.paths.items():
        yield Measure(f"path_{beam}_mean_mm", f"Path length, {beam}, mean error", "mm", length.mean_mm)
        yield Measure(f"path_{beam}_sd_mm", f"Path length, {beam}, SD", "mm", length.sd_mm)


def ct_section(item: Evaluation, drawn: list[Projection]) -> CtSection:
    """Gather the measures of CT of one case, and its drawn projections."""
    return CtSection(
        tissue_note(item.tissues, item),
        structures(item.anatomy),
        path_sentences(item),
        density_sentence(item),
        drawn,
    )


def structures(found: Anatomy | None) -> list[Structure]:
    """List the measured structures of both images."""
    if found is None:
        return []
    rows = []
    if found.bone_hd95_mm is not None:
        apart = f"{number(found.bone_hd95_mm)} mm apart"
        rows.append(
            Structure(f"Surface of bone (above {found.bone_hu:g} HU), Hausdorff distance 95 %", "", "", apart)
        )
    if skull := found.skull_mm:
        along = f"{number(skull['difference'])} mm along a ray"
        rows.append(_compared("Thickness of the skull’s vault", skull, "mm", along))
    if fluid := found.ventricles_ml:
        rows.append(_compared("Volume of the ventricles", fluid, "ml", f"{_change(fluid):+.0%}"))
    return rows


def path_sentences(item: Evaluation) -> dict[str, str]:
    """Describe the path lengths of each beam in a sentence."""
    return {
        beam: f"{number(length.mean_mm)} mm on average (standard deviation {number(length.sd_mm)} mm) over"
        f" {length.rays} rays through the body, whose length is {number(length.reference_mm)} mm on average"
        for beam, length in item.paths.items()
    }


def density_sentence(item: Evaluation) -> str:
    """Name the table of densities."""
    if (table := item.densities) is None:
        return ""
    return (
        f"Relative electron densities: table {table.name}, {len(table.hu)} knots from"
        f" {span((table.hu[0], table.hu[-1]))} HU."
    )


def case_table(items: Sequence[Evaluation]) -> CaseTable | None:
    """Tabulate the measures of several cases; None without any."""
    found = {item.name: {measure.key: measure for measure in case_measures(item)} for item in items}
    columns = {measure.key: measure for row in found.values() for measure in row.values()}
    if not columns:
        return None
    rows = [
        (name, [number(row[key].value if key in row else None) for key in columns])
        for name, row in list(found.items())[:MOST_ROWS]
    ]
    means = []
    for key in columns:
        known = [row[key].value for row in found.values() if key in row]
        values = [value for value in known if value is not None]
        means.append(number(sum(values) / len(values) if values else None))
    heads = [f"{column.title}, {column.unit}".removesuffix(", ") for column in columns.values()]
    return CaseTable(heads, rows, means, max(0, len(found) - MOST_ROWS), tissue_spreads(items))


def tissue_spreads(items: Sequence[Evaluation]) -> dict[str, dict[str, float]]:
    """Compute standard deviations (divisor n - 1) between cases, by tissue and by MAE, ME and RMSE.

    Args:
        items: of a cohort; a measure that fewer than two of them have is left out.
    """
    spreads: dict[str, dict[str, float]] = {}
    for tissue in dict.fromkeys(name for item in items for name in item.tissues):
        of_cases = [item.tissues[tissue] for item in items if tissue in item.tissues]
        for field in ("mae", "me", "rmse"):
            values = [value for one in of_cases if (value := getattr(one, field)) is not None]
            if len(values) > 1:
                spreads.setdefault(tissue, {})[field] = stdev(values)
    return spreads


def _compared(name: str, sides: dict[str, float], unit: str, difference: str) -> Structure:
    ours, theirs = (f"{number(sides[side])} {unit}" for side in ("prediction", "reference"))
    return Structure(name, ours, theirs, difference)


def _change(sides: dict[str, float]) -> float:
    return sides["prediction"] / sides["reference"] - 1
