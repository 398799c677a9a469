"""Scatter plots as data of a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from medtranslate.report.drawing import round_ticks

WIDTH, HEIGHT = 420, 200
MOST_DOTS = 400
"""Dots of a row or a plot; of more cases, evenly chosen ones and the outliers are drawn."""


@dataclass(frozen=True)
class Point:
    """One patient or case; `x` and `y` are its values, `across` and `down` its place."""

    name: str
    x: float
    y: float
    across: float
    down: float


@dataclass(frozen=True)
class Scatter:
    """Points in a box of `width` x `height` with y downward.

    Attributes:
        levels: horizontal lines, as height and label.
    """

    x_title: str
    y_title: str
    width: int
    height: int
    points: list[Point]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    levels: list[tuple[float, str]] = field(default_factory=list)


def draw_scatter(
    places: Mapping[str, tuple[float, float]],
    titles: tuple[str, str],
    levels: Mapping[str, float] | None = None,
) -> Scatter:
    """Draw points by name over round axes that hold them all.

    Args:
        places: x and y by name, all finite, at least one.
        titles: of the two axes.
        levels: values of y at which a line is drawn, by label.
    """
    levels = levels or {}
    across, down = np.array(list(places.values()), np.float64).T
    x_ticks = round_ticks(float(across.min()), float(across.max()), 6)
    heights = [*down, *levels.values()]
    y_ticks = round_ticks(float(min(heights)), float(max(heights)))
    x = np.interp(across, (x_ticks[0], x_ticks[-1]), (0, WIDTH))
    y = np.interp(down, (y_ticks[0], y_ticks[-1]), (HEIGHT, 0))
    names = list(places)
    points = [
        Point(names[k], *places[names[k]], float(x[k]), float(y[k])) for k in thin(down, range(len(names)))
    ]
    return Scatter(
        x_title=titles[0],
        y_title=titles[1],
        width=WIDTH,
        height=HEIGHT,
        points=points,
        x_ticks=_marks(x_ticks, (0, WIDTH)),
        y_ticks=_marks(y_ticks, (HEIGHT, 0)),
        levels=[
            (float(np.interp(value, (y_ticks[0], y_ticks[-1]), (HEIGHT, 0))), label)
            for label, value in levels.items()
        ],
    )


def thin(
    values: npt.ArrayLike, rows: Sequence[int], always: Sequence[int] = (), most: int = MOST_DOTS
) -> list[int]:
    """Choose at most `most` rows: the extremes of `always`, the others evenly by value.

    Args:
        values: by row.
        rows: to choose from.
        always: rows that are drawn first; of more than half of `most`, those farthest from the median.
        most: rows that are chosen.
    """
    if len(rows) <= most:
        return list(rows)
    array = np.asarray(values, np.float64)
    far = sorted(always, key=lambda row: -abs(array[row] - np.median(array)))[: most // 2]
    rest = sorted(set(rows) - set(far), key=array.__getitem__)
    chosen = np.linspace(0, len(rest) - 1, most - len(far)).round().astype(int)
    return sorted({*far, *(rest[k] for k in chosen)})


def _marks(ticks: Sequence[float], ends: tuple[float, float]) -> list[tuple[float, str]]:
    return [(float(np.interp(tick, (ticks[0], ticks[-1]), ends)), f"{tick:g}") for tick in ticks]
