"""Maps the uncertainty of a model to errors: the curves in a model, and how they were tested."""

from __future__ import annotations

from dataclasses import field
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, FiniteFloat, model_validator
from pydantic.dataclasses import dataclass

from medtranslate.config import Modality
from medtranslate.records.evaluation import Coverage
from medtranslate.records.frozen import FROZEN
from medtranslate.records.uncertainty import CALIBRATED, LIMITED

_Points = Annotated[tuple[Annotated[FiniteFloat, Field(ge=0)], ...], Field(min_length=1, max_length=1024)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Curve:
    """A curve from uncertainty to error, straight between its points and level beyond them.

    All are on the range of a translation, from -1 to 1, in proportion to its unit.

    Attributes:
        value: of the translation, about which the curve holds.
        spread: standard deviations over samples, or limits that the network estimates.
        error: error limit of voxels of about that value and deviation (`Calibration.share`).
    """

    value: FiniteFloat
    spread: _Points
    error: _Points

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.spread) != len(self.error):
            raise ValueError(f"{len(self.spread)} spreads and {len(self.error)} errors; as many are needed")
        for name, points in (("spread", self.spread), ("error", self.error)):
            if any(after < before for before, after in pairwise(points)):
                raise ValueError(f"{name} falls; both have to rise")
        return self


_Curves = Annotated[tuple[Curve, ...], Field(max_length=64)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Calibration:
    """Curves of a model and direction; between their values of the translation, errors are interpolated.

    Attributes:
        curves: by rising values; a factor is one curve, a line.
        enclosed: those of what bone encloses in its slice; if there are none, `curves` hold there, too.
        on: data of the fit, in words.
        share: of the errors that lie within the limit; None for curves of root mean squares, which
            files without this field have.
    """

    curves: Annotated[_Curves, Field(min_length=1)]
    enclosed: _Curves = ()
    on: Annotated[str, Field(max_length=500)]
    share: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _rises(self) -> Self:
        for curves in (self.curves, self.enclosed):
            if any(after.value <= before.value for before, after in pairwise(curves)):
                raise ValueError("the values of the curves have to rise")
        return self

    @property
    def meaning(self) -> str:
        """Description of a calibrated map's values."""
        return LIMITED.format(share=self.share) if self.share else CALIBRATED


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class CalibrationTest:
    """Uncertainty of one direction compared with the errors of the held-out pairs.

    Attributes:
        voxels: number of voxels, of the pairs that were fitted and of those held out.
        before: standard deviations of the samples, or limits as the network estimates them.
        after: error limits, by the fitted curves.
    """

    voxels: tuple[int, int]
    before: Coverage
    after: Coverage


@dataclass(frozen=True, kw_only=True, config=FROZEN)
class CalibrationReport:
    """Calibration of a model.

    Attributes:
        model: name of the model, and `sha256` the digest of its weights.
        on: description of the pairs.
        pairs: number of pairs, fitted and held out.
        directions: tests by the modality that is made, where the range of a translation is [-1, 1].
    """

    schema: Literal["medtranslate/calibration/1"] = "medtranslate/calibration/1"
    model: str
    sha256: str
    output: str
    on: str
    pairs: tuple[int, int]
    samples: int
    seed: int
    directions: dict[Modality, CalibrationTest]
    warnings: list[str] = field(default_factory=list)
