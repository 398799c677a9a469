"""What is normal in a run: limits of the signs of failure, and figures of runs that were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medtranslate.config import TrainSettings
from medtranslate.report.training_page import Curve
from medtranslate.training import diagnostics as limits

LOSSES = {
    "total": "Weighted sum of all terms",
    "adversarial": "Adversarial: translations against real slices",
    "cycle": "Cycle: there and back",
    "identity": "Identity: into the own modality",
    "kl": "KL: latent against its prior",
    "structure": "Structure: source against translation",
    "anchor": "Anchor: slices whose truth is known",
    "discriminator": "Discriminators (0.5: real and fake look alike)",
}
"""Titles of the columns of log.csv."""


@dataclass(frozen=True)
class Measured:
    """Errors that runs had after so many images, on digital heads, in per cent of the range.

    Attributes:
        runs: in words.
        to_ct, to_mr: mean, with its standard deviation between runs where there were several.
    """

    images: int
    size: int
    runs: str
    to_ct: str
    to_mr: str
    parent: bool = False


_NOISE, _PARENT = "three runs from noise", "three runs from a model"
MEASURED = (
    Measured(160, 48, _NOISE, "58.3 ± 13.8", "55.9 ± 21.5"),
    Measured(320, 48, _NOISE, "31.4 ± 2.1", "30.6 ± 21.6"),
    Measured(640, 48, _NOISE, "25.3 ± 0.8", "21.9 ± 10.9"),
    Measured(960, 48, _NOISE, "23.3 ± 0.4", "20.0 ± 7.8"),
    Measured(160, 128, _NOISE, "31.1 ± 1.2", "17.6 ± 0.9"),
    Measured(320, 128, _NOISE, "25.9 ± 1.0", "15.8 ± 0.5"),
    Measured(160, 48, _PARENT, "25.2 ± 0.8", "15.9 ± 0.6", parent=True),
    Measured(320, 48, _PARENT, "24.7 ± 0.4", "15.9 ± 0.1", parent=True),
    Measured(640, 48, _PARENT, "23.2 ± 1.2", "15.8 ± 0.2", parent=True),
    Measured(960, 48, _PARENT, "22.6 ± 0.3", "15.7 ± 0.2", parent=True),
    Measured(160, 128, _PARENT, "13.7 ± 0.8", "14.8 ± 0.3", parent=True),
    Measured(320, 128, _PARENT, "13.8 ± 0.7", "15.1 ± 0.4", parent=True),
    Measured(10_000, 128, "the shipped model phantom", "10.1", "11.4"),
    Measured(58_000, 256, "the shipped model brain-2d", "8.95", "6.37"),
)
"""Figures of docs/training.md, which names data, commands and commits."""


@dataclass(frozen=True)
class ScorePlot:
    """Plot of a score of validation.csv.

    Attributes:
        column: name, before `_ct` and `_mr` if there are both.
        sides: names of both curves; empty for a score without sides.
        limits: labels and heights of the limits of failure.
        from_zero: the axis begins at 0.
    """

    column: str
    title: str
    sides: tuple[str, ...] = ("to CT", "to MR")
    limits: tuple[tuple[str, float], ...] = ()
    from_zero: bool = True

    def pick(self, curves: Mapping[str, Curve]) -> dict[str, Curve]:
        """Choose the curves of the score, by side."""
        if not self.sides:
            return {"": curves[self.column]} if self.column in curves else {}
        named = zip(self.sides, (f"{self.column}_ct", f"{self.column}_mr"), strict=True)
        return {side: curves[name] for side, name in named if name in curves}


_FROM = ("from CT", "from MR")
SCORES = (
    ScorePlot("truth", "Error on validation pairs, share of the range (lower is better)"),
    ScorePlot("phantom", "Error on digital heads, share of the range (lower is better)"),
    ScorePlot("cycle", "Error of the way there and back; proves little", _FROM),
    ScorePlot(
        "likeness",
        "Likeness of the grey values to the target (higher is better)",
        _FROM,
        (("copies below", limits.NEARER),),
    ),
    ScorePlot("linear", "Correlation of source and translation", _FROM, (("copies above", limits.IDENTITY),)),
    ScorePlot(
        "bone", "Bone brighter than the head in MR", _FROM, (("turned around above", limits.BRIGHT_BONE),)
    ),
    ScorePlot(
        "size",
        "Growth of the head (1 is correct)",
        _FROM,
        (("limit", limits.RESIZED), ("limit", 1 / limits.RESIZED)),
        from_zero=False,
    ),
    ScorePlot(
        "kl", "KL of the posterior, nats per element", _FROM, (("collapsed below", limits.COLLAPSED_KL),)
    ),
    ScorePlot(
        "prior_gap",
        "Gap between latent and prior, nats per channel",
        _FROM,
        (("ignored above", limits.PRIOR_GAP),),
    ),
    ScorePlot(
        "discriminator", "Loss of the discriminators (0.5: alike)", (), (("have won below", limits.VICTORY),)
    ),
)
"""Plots of validation.csv, in their order; `latent.csv` and the columns that are left out hold more."""


def say_normal(settings: TrainSettings, images: int) -> list[str]:
    """State what can be expected after so many images, by figures that were measured."""
    sentences = []
    if images < limits.TOLD_FROM * settings.images:
        sentences.append(
            "Early translations are grey discs of any size and polarity. Identity, polarity and framing are"
            f" judged from {limits.TOLD_FROM:.0%} of the run on."
        )
    if settings.anatomy == "head":
        near = "; ".join(map(_say, nearest(settings, images)))
        sentences.append(f"Measured on digital heads (docs/training.md): {near}.")
    return sentences


def nearest(settings: TrainSettings, images: int) -> list[Measured]:
    """Choose the measured lengths next below and above, of the same start and the nearest size."""
    alike = [found for found in MEASURED if found.parent == (settings.parent is not None)]
    lengths = sorted({found.images for found in alike})
    around = [*[n for n in lengths if n <= images][-1:], *[n for n in lengths if n > images][:1]]

    def distance(found: Measured) -> int:
        return abs(found.size - settings.network.size)

    return [min((found for found in alike if found.images == n), key=distance) for n in around]


def _say(found: Measured) -> str:
    return (
        f"after {found.images:,} images at {found.size} pixels, {found.runs} had errors of {found.to_ct} %"
        f" to CT and {found.to_mr} % to MR"
    )
