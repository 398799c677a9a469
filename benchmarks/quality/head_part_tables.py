"""Tables of `head_parts`: mean and range over seeds of each variant, with what differs in bold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import fmean

from benchmarks.ablation.rows import Row


@dataclass(frozen=True)
class Column:
    """A score, averaged over the sets and contrasts whose name begins with `sets`."""

    heading: str
    sets: str
    to: str
    score: str
    digits: int = 1


TABLES = {
    "The label map that was left out, and lesions in it": (
        Column("to CT: MAE", "label map", "ct", "mae"),
        Column("bone", "label map", "ct", "bone", 3),
        Column("bone 300", "label map", "ct", "bone 300", 3),
        Column("ventricles", "label map", "ct", "ventricles", 3),
        Column("lesions kept, %", "lesions", "ct", "kept", 0),
        Column("to MR: MAE", "label map", "mr", "mae"),
    ),
    "Pictures of patients": (
        Column("to CT: MAE", "pictures", "ct", "mae"),
        Column("bone", "pictures", "ct", "bone", 3),
        Column("fluid", "pictures", "ct", "fluid"),
        Column("fluid Dice", "pictures", "ct", "fluid dice", 3),
        Column("SWD", "pictures", "ct", "swd", 0),
        Column("to MR: MAE", "pictures", "mr", "mae"),
        Column("matched", "pictures", "mr", "mae matched"),
        Column("SWD", "pictures", "mr", "swd", 0),
    ),
}

Found = Mapping[str, Sequence[float]]
"""The values of one column: those of the seeds, by variant."""


def tables(rows: Sequence[Row], variants: Sequence[str]) -> str:
    """Lay out the tables of some variants in Markdown."""
    seeds = {name: {row["seed"] for row in rows if row["variant"] == name} for name in variants}
    shown = [name for name in variants if seeds[name]]
    lines = []
    for title, columns in TABLES.items():
        found = [values_of(rows, column) for column in columns]
        lines += [f"**{title}**", ""]
        lines.append("| variant | seeds | " + " | ".join(column.heading for column in columns) + " |")
        lines.append("| --- | --- |" + " --- |" * len(columns))
        for name in shown:
            cells = (cell(values, name, column.digits) for values, column in zip(found, columns, strict=True))
            lines.append(f"| {name} | {len(seeds[name])} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def values_of(rows: Sequence[Row], column: Column) -> dict[str, list[float]]:
    """Average a score over the sets of a column: a value for each seed of each variant."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["set"].startswith(column.sets) and row["to"] == column.to:
            value = float(row.get(column.score, nan))
            if not isnan(value):  # a model of the brain window has no bone of 300 HU
                found[row["variant"], row["seed"]].append(value)
    by_variant: dict[str, list[float]] = defaultdict(list)
    for (variant, _), values in sorted(found.items()):
        by_variant[variant].append(fmean(values))
    return dict(by_variant)


def cell(found: Found, variant: str, digits: int) -> str:
    """Write mean and range over seeds; bold where the variant differs from that which it is compared with."""
    values = found.get(variant, [])
    if not values:
        return ""
    text = f"{fmean(values):.{digits}f}"
    text = f"**{text}**" if differs(values, found.get(compared_with(variant), [])) else text
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def compared_with(variant: str) -> str:
    """Name the variant from which another differs in one part."""
    return "base" if variant.endswith(" alone") else "all"


def differs(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Tell if two means are further apart than the seeds of either; one seed tells nothing."""
    if min(len(ours), len(theirs)) < 2:
        return False
    return abs(fmean(ours) - fmean(theirs)) > max(max(each) - min(each) for each in (ours, theirs))
