"""Scores by name: unit, better direction, how numbers are written, and the code in a DICOM report."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Literal

from medtranslate import plugins

OF_IMAGES = "of the images"
"""Unit of a score that is counted in the unit of the images, such as HU."""


@dataclass(frozen=True, kw_only=True)
class ScoreInfo:
    """Description of a score, which console, pages, tables and DICOM objects share.

    Attributes:
        title: short name, at the head of a column.
        meaning: full name.
        code: value of the code in this package's scheme (DICOM, at most 16 characters).
        unit: `OF_IMAGES`, "dB", or "" for a number without a unit.
        better: direction of improvement; None if there is none.
        digits: format of a number on the console.
        short: format of a number on a page; None for about three digits.
        highest: largest possible value, where an axis ends; None without one.
        charted: pages draw it slice by slice and case by case.
    """

    title: str
    meaning: str
    code: str
    unit: str = ""
    better: Literal["lower", "higher"] | None
    digits: str = ".3f"
    short: str | None = ".3f"
    highest: float | None = None
    charted: bool = True

    def unit_on(self, images: str) -> str:
        """Give the unit of the score on images of a unit; empty if it has none."""
        return images if self.unit == OF_IMAGES else self.unit


SCORES: MutableMapping[str, ScoreInfo] = plugins.load(
    "medtranslate.scores",
    {
        "mae": ScoreInfo(
            title="MAE",
            meaning="Mean absolute error",
            code="MAE",
            unit=OF_IMAGES,
            better="lower",
            digits=".2f",
            short=None,
        ),
        "psnr": ScoreInfo(
            title="PSNR",
            meaning="Peak signal-to-noise ratio",
            code="PSNR",
            unit="dB",
            better="higher",
            digits=".2f",
            short=".1f",
            charted=False,  # it is the squared error, near enough to the MAE
        ),
        "ssim": ScoreInfo(
            title="SSIM", meaning="Structural similarity", code="SSIM", better="higher", highest=1.0
        ),
        "ms_ssim": ScoreInfo(
            title="MS-SSIM",
            meaning="Multi-scale structural similarity",
            code="MSSSIM",
            better="higher",
            highest=1.0,
        ),
    },
)
"""Scores by the name that records hold; others may come from other packages (docs/extending.md)."""


def score_info(name: str) -> ScoreInfo:
    """Describe a score; of a score that no installed package describes, give its bare name."""
    bare = ScoreInfo(title=name, meaning=name, code=name[:16].upper(), better=None, short=None, digits=".4g")
    return SCORES.get(name, bare)
