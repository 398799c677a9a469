"""What a batch of translations came to."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from medtranslate.records.translation import FROZEN


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Outcome:
    """What became of one item.

    Attributes:
        name: path within the source; of a DICOM series its folder and the end of its UID.
        state: doubtful is one that was translated, with reasons to doubt it; skipped is one that was
            finished before and is not doubtful.
        output: path within the output's folder.
        slices: of the volume; 1 of a picture.
        seconds: of work on it: reading, network, writing.
        reason: why it failed or is doubtful, in a sentence.
    """

    name: str
    state: Literal["done", "doubtful", "skipped", "failed"]
    output: str
    slices: int = 0
    seconds: float = 0.0
    reason: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class Batch:
    """What became of many.

    Attributes:
        seconds: of the whole run.
        left: items that were not tried, because of an earlier one (`fail_fast`) or a request to stop.
    """

    schema: Literal["medtranslate/batch/1"] = "medtranslate/batch/1"
    items: list[Outcome]
    seconds: float
    left: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def of(self, state: str) -> list[Outcome]:
        """List the items in a state."""
        return [item for item in self.items if item.state == state]
