"""The brightness of seven tissues, which tells one contrast of MR from another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from medtranslate.config import Contrast
from medtranslate.phantom.tissues import CONTRASTS, ENHANCING, LABEL, Floats, column, signal

TOLD = ("fat", "muscle", "diploe", "csf", "grey matter", "white matter", "venous blood")
"""Tissues whose brightness tells one contrast of MR from another; the last takes up contrast agent."""

_ENHANCED = 0.35
"""Factor of the T1 of tissues that take up contrast agent, in the middle of the range that is drawn."""

_PICTURED: dict[Contrast, tuple[float, float, float, float, float]] = {
    "t1": (0.66, 0.17, 0.28, 0.15, 0.37),
    "t1c": (0.66, 0.17, 0.28, 0.15, 0.37),
    "flair": (0.51, 0.16, 0.15, 0.05, 0.45),
}
"""Fat, muscle, diploe, fluid, and the mean of grey and white matter in pictures, from black (0) to white (1):
medians over 63 T1 (after contrast agent) and 24 FLAIR of the published training pictures, measured by
`benchmarks.quality.contrasts`. Brain is darker there than the sequence says, because scalp is near the coils.
Scalp and diploe of FLAIR are those of the sequence, and so is all of T2, which are nearer to the scoreboard's
choosing cases."""


def nominal_brightness(contrast: Contrast) -> Floats:
    """Give the brightness of the tissues of `TOLD` in a contrast, without the variation between heads.

    As pictures show it, where they were measured; the ratios of grey and white matter and of blood are those
    of the sequence.
    """
    t1 = column("t1")
    if contrast == "t1c":
        t1[ENHANCING] *= _ENHANCED
    values = signal(CONTRASTS[contrast], column("pd"), t1, column("t2"))
    told = brightness(values * (1000.0 / values.max()))
    if contrast in _PICTURED:
        *others, brain = _PICTURED[contrast]
        told[4:] = (told[4:] + 1) * brain / (told[4:6] + 1).mean() * 2 - 1
        told[:4] = 2 * np.array(others, np.float32) - 1
    return told


def named_brightness(told: Floats) -> dict[str, float]:
    """Name the tissues of `TOLD` beside their brightness, for records."""
    return {name: round(float(value), 3) for name, value in zip(TOLD, told, strict=True)}


def nearest_contrast(told: Floats, among: Iterable[Contrast] = CONTRASTS) -> Contrast:
    """Name the contrast in which the tissues of `TOLD` are most nearly as bright, but for a common gain.

    The gain depends on the window; so the cosine of the two brightnesses, from black, decides.
    """

    def likeness(name: Contrast) -> float:
        nominal = nominal_brightness(name) + 1
        return float(nominal @ (told + 1)) / max(1e-6, float(np.linalg.norm(nominal)))

    return max(among, key=likeness)


def brightness(values: Floats) -> Floats:
    """Give the brightness in [-1, 1] of the tissues of `TOLD`, whose intensities are 0 to 1000."""
    told: Floats = (values[..., [LABEL[name] for name in TOLD]] / 500.0 - 1.0).astype(np.float32)
    return told
