"""Sets of paired pictures that are scored, and the cases that may choose and that report.

The folder of the data holds `paired-ct-mr/{CT,MRI}` and `paired-three/{CT,MRI-T1,MRI-T2}`, 8-bit PNG of 256 x
256 pixels. A case is a name's first two characters; each has a window of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medtranslate.config import Modality
from medtranslate.config.types import Contrast, Ends
from medtranslate.io import Volume, read_volume

WINDOW = (-20.0, 100.0)
"""HU that are black and white in the pictures that models of pictures learn from."""

PICTURE_HU = (WINDOW[1] - WINDOW[0]) / 255, WINDOW[0]
"""Slope and offset from their grey values to HU."""

WINDOWS: dict[str, Ends] = {
    **{"16": (-5, 110), "20": (-5, 60), "28": (-20, 115), "32": (0, 95), "33": (-5, 80), "41": (5, 80)},
    **{"71": (0, 85), "73": (5, 85), "74": (0, 85), "75": (5, 80), "76": (-5, 70), "77": (-10, 75)},
}
"""HU that are black and white in the CT of each case, to 5 HU, by `benchmarks.quality.windows`."""

FOLDERS: dict[Modality, str] = {"ct": "CT", "mr": "MRI"}
"""Of a set with one MR contrast."""

Whose = Literal["patient", "site"]
"""Whose picture shows the contrast to meet: the patient's own, or another patient's of the same source."""


@dataclass(frozen=True)
class PairSet:
    """Pairs of one source and MR contrast.

    Attributes:
        name: short, for tables.
        folder: of the data; it holds `CT` and `mr`.
        cases: by the use that is made of them.
        contrasts: of the cases; those of the atlas are by eye (fluid is bright in all, some are near PD).
    """

    name: str
    folder: str
    mr: str
    cases: Mapping[str, tuple[str, ...]]
    contrasts: Mapping[str, Contrast]

    def names(self, data: Path, use: str, every: int = 1) -> list[str]:
        """List every n-th picture of the cases that serve a use."""
        found = sorted(path.name for path in (data / self.folder / "CT").glob("*.png"))
        return [name for name in found if name[:2] in self.cases[use]][::every]

    def another(self, data: Path, name: str, whose: Whose) -> str | None:
        """Name the middle picture of the same patient, or of the next choosing case of the same contrast.

        It is the one before the middle if that is the picture itself; None if no other case has the contrast.
        """
        case = name[:2]
        if whose == "site":
            others = [each for each in self.cases["choosing"] if each != case]
            alike = [each for each in others if self.contrasts[each] == self.contrasts[case]]
            if not alike:
                return None
            case = next((each for each in alike if each > case), alike[0])
        pictures = sorted(path.name for path in (data / self.folder / "CT").glob(f"{case}*.png"))
        middle = len(pictures) // 2
        return pictures[middle] if pictures[middle] != name else pictures[middle - 1]

    def read(self, data: Path, name: str, modality: Modality) -> Volume:
        """Read a picture."""
        folder = "CT" if modality == "ct" else self.mr
        return read_volume(data / self.folder / folder / name, modality=modality)


_ATLAS = {"choosing": ("16", "20", "28"), "reporting": ("32", "33", "41")}
_THREE = {"choosing": ("71", "73"), "reporting": ("74", "75", "76", "77")}

_T1: dict[str, Contrast] = dict.fromkeys(("71", "73", "74", "75", "76", "77"), "t1")
_FLAIR: dict[str, Contrast] = dict.fromkeys(("71", "73", "74", "75"), "flair")
_T2: dict[str, Contrast] = dict.fromkeys(("16", "20", "28", "32", "33", "41", "76", "77"), "t2")

PAIR_SETS = (
    PairSet("atlas", "paired-ct-mr", "MRI", _ATLAS, _T2),
    PairSet("T1", "paired-three", "MRI-T1", _THREE, _T1),
    PairSet("FLAIR or T2", "paired-three", "MRI-T2", _THREE, _FLAIR | _T2),
)
