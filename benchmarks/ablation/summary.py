"""Summarises the results of the ablation: tables in Markdown, and errors over images seen."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import isfinite, nan
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from benchmarks.ablation.methods.train import BASELINES
from benchmarks.ablation.rows import REPORTING, Row, read

COLUMNS = {
    "MAE": ("mae", 2),
    "PSNR": ("psnr", 2),
    "SSIM": ("ssim", 3),
    "MAE matched": ("mae_matched", 2),
    "round trip": ("cycle_mae", 2),
    "SWD": ("sliced_wasserstein", 3),
    "checkerboard": ("checkerboard", 2),
    "displacement": ("displacement", 2),
    "95 %": ("displacement_95", 2),
    "lesions kept": ("kept", 2),
    "invented": ("invented", 2),
}
"""Columns of a table: a score and its decimals."""

Tables = dict[tuple[str, str, float], dict[tuple[str, float], list[Row]]]
"""Rows by dataset, direction and pixels, then by method and images seen."""


def summary(rows: list[Row], anatomy: list[Row] | None = None, *, reporting: bool = False) -> str:
    """Write tables of means over seeds, and how alike the datasets rank the methods.

    Behind ± stands the standard deviation over seeds. Lesions kept are a share of those that the source shows
    clearly, invented ones a share of slices; displacements are in pixels. Hours are of one run.

    Args:
        rows: of ablation.csv.
        anatomy: of anatomy.csv.
        reporting: show the reporting cases too, which are looked at last.
    """
    measures = {_run(row): row for row in anatomy or []}
    tables: Tables = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if reporting or row["dataset"] != REPORTING:
            more = _shares(measures.get(_run(row), {}))
            found = tables[row["dataset"], row["direction"], row["size"]]
            found[row["method"], row["images_seen"]].append(more | row)
    lines = []
    for (dataset, direction, size), methods in sorted(tables.items()):
        lines += [f"### {dataset}, {direction}, {size:.0f} pixels", ""]
        names = [name for name in COLUMNS if any(_known(found, name) for found in methods.values())]
        heads = ["method", "seeds", "images", "hours", "of a core", *names]
        lines += [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
        ranked = sorted(methods.items(), key=lambda item: _mean(item[1], "mae"))
        lines += [_line(method, images, found, names) for (method, images), found in ranked]
        lines.append("")
    return "\n".join([*lines, *_alike(tables)])


def draw_curves(folder: Path, path: Path, methods: Iterable[str]) -> Figure:
    """Draw errors over images seen, as an SVG.

    Above, what each run's log says of phantom slices that validate, where a run has one; below, the scores of
    runs of several lengths.

    Args:
        folder: of ablation.csv and runs/.
    """
    chosen = [method for method in methods if method not in BASELINES]
    logs, rows = _logs(folder / "runs"), read(folder / "ablation.csv")
    figure = Figure(figsize=(10, 7), layout="constrained")
    for column, to in zip(figure.subplots(2, 2, sharex=True).T, ("ct", "mr"), strict=True):
        column[0].set_title(f"phantoms that validate, to {to.upper()}")
        column[1].set_title(f"held-out phantoms, to {to.upper()}")
        for index, method in enumerate(chosen):
            curves = [curve for (name, _), curve in logs.items() if name == method]
            points = [
                (row["images_seen"], row["mae"])
                for row in rows
                if (row["method"], row["dataset"], row["direction"]) == (method, "phantom", f"to {to}")
            ]
            for curve in curves:
                _plot(
                    column[0], [(row["images"], 255 * row[f"phantom_{to}"]) for row in curve], index, method
                )
            _plot(column[1], sorted(points), index, method, "o")
        for plot in column:
            plot.set_xscale("log")
            plot.set_ylabel("MAE, grey values")
            if plot.has_data():
                plot.legend(fontsize=7)
        column[1].set_xlabel("images seen of each modality")
    figure.savefig(path, format="svg", metadata={"Date": None})
    return figure


def _plot(plot: Axes, points: list[tuple[float, float]], index: int, name: str, marker: str = "") -> None:
    known = {line.get_label() for line in plot.get_lines()}
    if points:
        x, y = zip(*points, strict=True)
        style = ("-", "--", ":", "-.")[index // 10 % 4]
        plot.plot(
            x, y, style, marker=marker, color=f"C{index % 10}", label=f"_{name}" if name in known else name
        )


def _logs(runs: Path) -> dict[tuple[str, str], list[dict[str, float]]]:
    """Read validations on the phantom dataset, by method and folder of the run."""
    found = {}
    for path in sorted(runs.glob("*-phantom-*-*/validation.csv")):
        name, *_ = path.parent.name.rsplit("-", 3)
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                {key: float(row[key]) for key in ("images", "phantom_ct", "phantom_mr")}
                for row in csv.DictReader(file)
            ]
        found[name.rpartition("-")[0], path.parent.name] = rows
    return found


def _run(row: Row) -> tuple[object, ...]:
    """Return the key of a run in both files; anatomy.csv has one row for all cases of a dataset."""
    return (
        *(row[name] for name in ("method", "seed", "direction", "images_seen", "size")),
        row["dataset"].split()[0],
    )


def _shares(measures: Row) -> Row:
    """Turn counts of lesions into shares."""

    def share(part: str, whole: str) -> float:
        return measures[part] / measures[whole] if measures.get(whole) else nan

    return measures | {
        "kept": share("lesions_kept", "lesions"),
        "invented": share("slices_invented", "slices"),
    }


def _line(method: str, images: float, found: list[Row], names: Iterable[str]) -> str:
    hours = [f"{fmean(row.get(name, nan) for row in found) / 3600:.2f}" for name in ("wall_s", "cpu_s")]
    cells = [method, f"{len(found)}", f"{images:.0f}", *hours, *(_cell(found, name) for name in names)]
    return f"| {' | '.join(cells)} |"


def _cell(found: list[Row], column: str) -> str:
    """Write the mean over seeds, and their spread where there are several."""
    name, decimals = COLUMNS[column]
    values = [row[name] for row in found if isfinite(row.get(name, nan))]
    if not values:
        return ""
    spread = f" ± {stdev(values):.{decimals}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{decimals}f}{spread}"


def _known(found: list[Row], column: str) -> bool:
    return any(isfinite(row.get(COLUMNS[column][0], nan)) for row in found)


def _mean(rows: list[Row], name: str) -> float:
    return fmean(row[name] for row in rows)


def _alike(tables: Tables) -> list[str]:
    """Correlate the ranks of the methods' errors on phantoms and on real pairs (Spearman)."""
    lines = []
    for (dataset, direction, size), real in sorted(tables.items()):
        known: Mapping[tuple[str, float], list[Row]] = (
            tables.get(("phantom", direction, size), {}) if dataset != "phantom" else {}
        )
        shared = sorted(key for key in real.keys() & known.keys() if key[0] not in BASELINES)
        if len(shared) > 2:
            errors = [[_mean(rows[key], "mae") for key in shared] for rows in (known, real)]
            alike = float(spearmanr(*errors).statistic)
            lines.append(
                f"{direction}: phantom and {dataset} rank {len(shared)} methods alike by {alike:.2f}"
            )
    return lines
