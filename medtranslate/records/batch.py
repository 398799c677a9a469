"""Record of a batch of translations."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from medtranslate.records.frozen import FROZEN


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Outcome:
    """Outcome of one item.

    Attributes:
        name: path within the source; for a DICOM series, its folder and the end of its UID.
        state: doubtful items are translated, with reasons to doubt them; skipped items were finished by an
            earlier run and are not doubtful.
        output: path within the output's folder.
        slices: of the volume; 1 for a picture.
        seconds: of work on it: reading, network, writing.
        reason: of a failure or a doubt, in a sentence.
        measures: of the translation, by the names of `report.item_measures.MEASURES`; without those that
            were not measured.
    """

    name: str
    state: Literal["done", "doubtful", "skipped", "failed"]
    output: str
    slices: int = 0
    seconds: float = 0.0
    reason: str | None = None
    warnings: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Batch:
    """Outcome of a batch.

    Attributes:
        seconds: of the whole run.
        left: items not tried, after a failure (`fail_fast`) or a request to stop.
    """

    schema: Literal["medtranslate/batch/1"] = "medtranslate/batch/1"
    items: list[Outcome]
    seconds: float
    left: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def of(self, state: str) -> list[Outcome]:
        """List the items in a state."""
        return [item for item in self.items if item.state == state]
