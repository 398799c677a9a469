"""Distributions as data of a template: histograms of one pair, scores of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtranslate.records import Histograms
from medtranslate.report.drawing import round_ticks
from medtranslate.report.scatter import thin

WIDTH, HEIGHT = 420, 150
ROW = 44
"""Height of a row of dots."""
LANES = 5
"""Lines on which overlapping dots are laid out."""
MOST_GAP = 8
"""Most bins between grey levels of a comb; wider gaps are gaps of the image."""
COMB = 0.1
"""Least share of levels that are followed by a gap, in a comb."""
LEAST_LEVELS = 8
"""Least filled bins of a comb; fewer values are shown as they are."""
FENCE = 1.5
"""Interquartile ranges beyond the quartiles; values outside are outliers (Tukey 1977)."""


@dataclass(frozen=True)
class HistogramChart:
    """Outlines of histograms by name, in a box of `width` x `height` with y downward.

    Attributes:
        smoothed: names of the images whose counts were smoothed.
    """

    width: int
    height: int
    outlines: dict[str, str]
    x_ticks: list[tuple[float, str]]
    smoothed: list[str]

    @property
    def remark(self) -> str:
        """Sentence on the smoothing, empty without."""
        if not self.smoothed:
            return ""
        return f"Smoothed: {' and '.join(self.smoothed)}, with fewer grey levels than bins."


@dataclass(frozen=True)
class Dot:
    """One case in a row of dots."""

    name: str
    value: float
    x: float
    y: float
    outlier: bool


@dataclass(frozen=True)
class Row:
    """Scores of all cases by one method, and the places of their quartiles."""

    name: str
    dots: list[Dot]
    quartiles: tuple[float, float, float]
    y: float


@dataclass(frozen=True)
class Strips:
    """Rows of dots over one axis, in a box of `width` x `height` with y downward."""

    width: int
    height: int
    rows: list[Row]
    x_ticks: list[tuple[float, str]]

    @property
    def margin(self) -> float:
        """Room for the longest name on the left, at 12 pixels a letter's height."""
        return max(122.0, 20 + 7 * max((len(row.name) for row in self.rows), default=0))


def draw_histograms(histograms: Histograms, names: Mapping[str, str]) -> HistogramChart:
    """Draw histograms over each other on one scale.

    The first and the last bin contain the saturated values. They are cut at the height of the
    highest other bin. Counts of an image with fewer grey levels than bins are smoothed (`without_comb`).

    Args:
        histograms: of the images.
        names: of the images on the page.
    """
    ends = histograms.edges[0], histograms.edges[-1]
    heights = {key: without_comb(counts) for key, counts in histograms.counts.items()}
    highest = max((max(counts[1:-1], default=0.0) for counts in heights.values()), default=0.0) or 1.0
    x = np.repeat(np.interp(histograms.edges, ends, (0, WIDTH)), 2)[1:-1]
    outlines = {}
    for key, counts in heights.items():
        y = np.repeat(HEIGHT * (1 - (np.array(counts) / highest).clip(max=1)), 2)
        outlines[names.get(key, key)] = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    ticks = [tick for tick in round_ticks(*ends, 6) if ends[0] <= tick <= ends[1]]
    marks = [(float(np.interp(tick, ends, (0, WIDTH))), f"{tick:g}") for tick in ticks]
    smoothed = [names.get(key, key) for key in heights if list(heights[key]) != list(histograms.counts[key])]
    return HistogramChart(WIDTH, HEIGHT, outlines, marks, smoothed)


def without_comb(counts: Sequence[int]) -> list[float]:
    """Smooth counts whose bins between filled neighbours are often empty; return others unchanged.

    An image of 8 bits that was scaled to HU has gaps between its levels, which look like a comb. The mean
    over one period of the gaps, taken twice, removes it. The first and the last bin stay.
    """
    inner = np.array(counts[1:-1], float)
    filled = np.flatnonzero(inner)
    gaps = np.diff(filled)
    periods = gaps[(gaps > 1) & (gaps <= MOST_GAP)]
    if filled.size < LEAST_LEVELS or periods.size < COMB * filled.size:
        return [float(count) for count in counts]
    width = round(filled.size / periods.size) + int(periods.max()) - 1  # bins from one gap to the next
    for _ in range(2):
        padded = np.pad(inner, (width // 2, width - 1 - width // 2), mode="reflect")
        inner = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    return [float(counts[0]), *inner.tolist(), float(counts[-1])]


def draw_strips(scores: Mapping[str, Mapping[str, float]], most: float | None = None) -> Strips:
    """Draw scores, {method: {case: score}}, as a row of dots for each method.

    Of very many cases, evenly chosen ones and the outliers are drawn (`thin`).

    Args:
        most: largest possible score, where the axis ends.
    """
    everything = [value for row in scores.values() for value in row.values()]
    ticks = round_ticks(min(0.0, *everything), max(everything), 6, most)
    ends = ticks[0], ticks[-1]
    rows = []
    for index, (name, row) in enumerate(scores.items()):
        middle = (index + 0.5) * ROW
        odd = set(outliers(row))
        values = list(row.values())
        cases, x = list(row), np.interp(values, ends, (0, WIDTH)).round(1)
        drawn = thin(values, range(len(cases)), [k for k, case in enumerate(cases) if case in odd])
        dots = [
            Dot(cases[k], values[k], float(x[k]), middle + lane * 5.0, cases[k] in odd)
            for k, lane in zip(drawn, lay_out(x[drawn]), strict=True)
        ]
        first, second, third = (
            float(q) for q in np.interp(np.percentile(values, (25, 50, 75)), ends, (0, WIDTH))
        )
        rows.append(Row(name, dots, (first, second, third), middle))
    return Strips(
        WIDTH,
        ROW * len(rows),
        rows,
        [(float(np.interp(tick, ends, (0, WIDTH))), f"{tick:g}") for tick in ticks],
    )


def outliers(scores: Mapping[str, float]) -> list[str]:
    """Find cases whose score lies beyond Tukey's fences, on either side; none among fewer than five."""
    if len(scores) < 5:
        return []
    first, third = np.percentile(list(scores.values()), (25, 75))
    reach = FENCE * (third - first)
    return [case for case, value in scores.items() if not first - reach <= value <= third + reach]


def lay_out(x: Sequence[float] | npt.NDArray[np.floating], count: int = LANES) -> list[int]:
    """Choose a line for each dot, 0 in the middle, so that neighbours lie on different lines.

    Args:
        x: place of each dot.
        count: of the lines, odd.
    """
    order = np.argsort(x)
    lanes = [0] * len(order)
    last = [-np.inf] * count
    by_nearness = sorted(range(-(count // 2), count // 2 + 1), key=lambda lane: (abs(lane), -lane))
    for k in order:
        free = next((lane for lane in range(count) if x[k] - last[lane] >= 7), int(np.argmin(last)))
        last[free] = x[k]
        lanes[k] = by_nearness[free]
    return lanes
