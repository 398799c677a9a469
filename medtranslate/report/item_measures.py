"""Measures of a translation without a reference, as columns of a batch's summary and plots of its page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from medtranslate.metrics.plausibility import BLACK, CLOSED, FLUID_HU, LOOSE_BONE_CM2, LOOSE_BONE_ML
from medtranslate.records import Plausibility, Translation


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Description of a measure.

    Attributes:
        title: of its plot, with the unit.
        of: its value in a record; None if it was not measured.
        limit: beyond it a translation is doubtful; None without a fixed limit.
        doubtful: side of the limit on which it is.
        scale: from the stored value to that of the plot, such as 100 for per cent.
        plotted: it has a plot of its own.
    """

    title: str
    of: Callable[[Translation], float | None]
    limit: float | None = None
    doubtful: Literal["above", "below"] = "above"
    scale: float = 1.0
    plotted: bool = True


def _plausible(name: str) -> Callable[[Translation], float | None]:
    def read(record: Translation) -> float | None:
        value: float | None = getattr(record.plausibility or Plausibility(), name)
        return value

    return read


def _distance(record: Translation) -> float | None:
    return ((record.gate and record.gate.scores) or {}).get("distance")


def _distance_limit(record: Translation) -> float | None:
    return ((record.gate and record.gate.limits) or {}).get("distance", (None,))[0]


def _contrast(record: Translation) -> float | None:
    found = record.plausibility or Plausibility()
    return None if found.fluid is None or found.brain is None else found.brain - found.fluid


def _seams(which: str) -> Callable[[Translation], float | None]:
    return lambda record: (record.seams or {}).get(which)


MEASURES: dict[str, Measure] = {
    "gate_distance": Measure(title="Distance from the training images (input gate)", of=_distance),
    "gate_distance_limit": Measure(title="Limit of the distance", of=_distance_limit, plotted=False),
    "saturated": Measure(
        title="Source beyond the model’s window, %", of=lambda record: record.saturated, scale=100
    ),
    "seams": Measure(title="Seams of the translation, % of its range", of=_seams("output"), scale=100),
    "seams_source": Measure(title="Seams of the source, % of its range", of=_seams("source"), plotted=False),
    "contrast_hu": Measure(title="Brain minus fluid, HU", of=_contrast, limit=-FLUID_HU, doubtful="below"),
    "fluid_hu": Measure(title="Fluid, HU", of=_plausible("fluid")),
    "brain_hu": Measure(title="Brain, HU", of=_plausible("brain")),
    "bone_outside_ml": Measure(title="Bone outside the head, ml", of=_plausible("bone_outside_ml")),
    "bone_inside_ml": Measure(
        title="Loose bone inside the skull, ml", of=_plausible("bone_inside_ml"), limit=LOOSE_BONE_ML
    ),
    "bone_inside_cm2": Measure(
        title="Loose bone inside the skull, cm²", of=_plausible("bone_inside_cm2"), limit=LOOSE_BONE_CM2
    ),
    "air_ml": Measure(title="Replaced by air outside the head, ml", of=_plausible("air_ml")),
    "black": Measure(
        title="Black inside the skull, % of the brain", of=_plausible("black"), limit=BLACK, scale=100
    ),
    "closed": Measure(
        title="Skull closed, % of its ring",
        of=_plausible("closed"),
        limit=CLOSED,
        doubtful="below",
        scale=100,
    ),
}
"""Measures by the name of their column; docs/batches.md explains them."""


def measures_of(record: Translation) -> dict[str, float]:
    """Collect the measures that a record has, all finite."""
    found = {name: measure.of(record) for name, measure in MEASURES.items()}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
