"""Strip plots of a batch: a row of dots for each measure, each dot a link to its item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medtranslate.records import Outcome
from medtranslate.report.charts import WIDTH, lay_out
from medtranslate.report.drawing import round_ticks
from medtranslate.report.item_measures import MEASURES, Measure
from medtranslate.report.scatter import thin

HEIGHT = 66
LANES = 11
"""Lines on which overlapping dots are laid out."""
MOST_DOTS = 300
"""Dots of a plot; of more items, doubtful ones and evenly chosen others are drawn."""


@dataclass(frozen=True)
class Dot:
    """An item: its place, its value in words, and the address of its row."""

    name: str
    x: float
    y: float
    value: str
    doubtful: bool
    address: str


@dataclass(frozen=True)
class Strip:
    """Plot of a measure in a box of `width` x `height` with y downward.

    Attributes:
        limit: place and text of the limit of doubt; None without one in the plot.
        quartiles: their places.
        items: number of items with the measure.
    """

    title: str
    width: int
    height: int
    dots: list[Dot]
    quartiles: tuple[float, float, float]
    x_ticks: list[tuple[float, str]]
    limit: tuple[float, str] | None
    items: int


def draw_measures(items: Sequence[Outcome], addresses: Sequence[str]) -> tuple[list[Strip], list[str]]:
    """Draw each measure that an item has.

    Args:
        items: of the batch.
        addresses: of their rows.

    Returns:
        The plots, and sentences on measures without one: no item has them, or all have the same value.
    """
    strips, constant, absent = [], [], []
    for name, measure in MEASURES.items():
        if not measure.plotted:
            continue
        rows = [k for k, item in enumerate(items) if name in item.measures]
        values = {items[k].measures[name] for k in rows}
        if len(values) > 1:
            strips.append(_draw(measure, name, [items[k] for k in rows], [addresses[k] for k in rows]))
        elif values:
            constant.append(f"{measure.title}: {values.pop() * measure.scale:.3g}")
        else:
            absent.append(measure.title)
    return strips, [
        *([f"The same in all: {'; '.join(constant)}."] if constant else []),
        *([f"Not measured in any: {'; '.join(absent)}."] if absent else []),
    ]


def _draw(measure: Measure, name: str, items: Sequence[Outcome], addresses: Sequence[str]) -> Strip:
    values = np.array([item.measures[name] for item in items]) * measure.scale
    limit = _limit(measure, name, items)
    ends = [*values, *([] if limit is None else [limit])]
    ticks = round_ticks(float(min(ends)), float(max(ends)), 6)
    span = ticks[0], ticks[-1]
    x = np.interp(values, span, (0, WIDTH)).round(1)
    doubtful = [k for k, item in enumerate(items) if item.state == "doubtful"]
    # Doubtful dots are drawn last, so that no other covers them.
    drawn = sorted(thin(values, range(len(items)), doubtful, MOST_DOTS), key=set(doubtful).__contains__)
    lanes = lay_out(x[drawn], LANES)
    first, second, third = np.interp(np.percentile(values, (25, 50, 75)), span, (0, WIDTH))
    side = "below" if measure.doubtful == "below" else "above"
    return Strip(
        title=measure.title,
        width=WIDTH,
        height=HEIGHT,
        dots=[
            Dot(
                items[k].name,
                float(x[k]),
                HEIGHT / 2 + 5.0 * lane,
                f"{values[k]:.3g}",
                items[k].state == "doubtful",
                addresses[k],
            )
            for k, lane in zip(drawn, lanes, strict=True)
        ],
        quartiles=(float(first), float(second), float(third)),
        x_ticks=[(float(np.interp(tick, span, (0, WIDTH))), f"{tick:g}") for tick in ticks],
        limit=None
        if limit is None
        else (float(np.interp(limit, span, (0, WIDTH))), f"doubtful {side} {limit:.3g}"),
        items=len(items),
    )


def _limit(measure: Measure, name: str, items: Sequence[Outcome]) -> float | None:
    """Give the limit of doubt: a fixed one, or that of all items (the limit of a gate is its model's)."""
    if measure.limit is not None:
        return measure.limit * measure.scale
    own: Mapping[float, None] = dict.fromkeys(
        item.measures[f"{name}_limit"] for item in items if f"{name}_limit" in item.measures
    )
    return next(iter(own)) * measure.scale if len(own) == 1 else None
