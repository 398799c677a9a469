"""Describes how large errors are where posterior samples differ by a known amount; part of a model."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import ConfigDict, Field, FiniteFloat, model_validator
from pydantic.dataclasses import dataclass

_Points = Annotated[tuple[Annotated[FiniteFloat, Field(ge=0)], ...], Field(min_length=1, max_length=1024)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Calibration:
    """A curve from standard deviation to error, straight between its points and level beyond them.

    Attributes:
        spread: standard deviations over samples, where the range of a translation is [-1, 1].
        error: root mean square error of voxels of about that deviation, on the same range.
        on: data of the fit, in words.
    """

    spread: _Points
    error: _Points
    on: Annotated[str, Field(max_length=500)]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.spread) != len(self.error):
            raise ValueError(f"{len(self.spread)} spreads and {len(self.error)} errors; as many are needed")
        for name, points in (("spread", self.spread), ("error", self.error)):
            if any(after < before for before, after in pairwise(points)):
                raise ValueError(f"{name} falls; both have to rise")
        return self
