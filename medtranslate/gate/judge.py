"""Verdict of the gate on an input, from scores of its slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from medtranslate.config import Anatomy, Modality
from medtranslate.io import Volume
from medtranslate.networks import HIGHEST, KINDS, MODALITIES, SliceGate
from medtranslate.records import GateVerdict
from medtranslate.transforms import VISIBLE

NO_AIR_HU = -200.0
"""Highest minimum of a CT: CT contains air (-1000 HU), so a volume above is not in HU, or no CT."""

HU_AIR = -500.0
"""Lowest minimum of an MR: a volume below contains the air of a CT; magnitudes are not negative."""

NEGATIVE = 0.05
"""Largest negative value of an MR, as a share of its highest; resampling causes small ones."""

FULL = 0.5
"""Least visible area of a slice that counts, as a share of the fullest: vertex and chin look different."""

SEVERAL = 8
"""Least number of slices whose median is held to `HIGHEST`: a few odd slices do not change it."""

WORDS: dict[Anatomy, dict[str, str]] = {
    "head": {
        "ct": "an axial CT of a head",
        "mr": "an axial MR of a head",
        "turned": "a head that is turned or upside down",
        "view": "a sagittal or coronal cut of a head",
        "other": "something else than a head",
    },
    "other": {
        "ct": "an axial CT of what the model was trained on",
        "mr": "an axial MR of what the model was trained on",
        "turned": "such a slice that is turned or upside down",
        "other": "something else",
    },
}
"""Kinds of slices that a gate knows, in words, by the anatomy of its model."""

Finding = tuple[Literal["warn", "refuse"], str]


def look(gate: SliceGate, framed: Tensor, latent: Tensor, modality: Modality) -> Tensor:
    """Score framed slices [B, C, S, S] and their posterior means for the gate; neighbours are not looked at.

    Returns:
        [B, len(KINDS) + 2]: ratios of the kinds, distance of the latent, visible share of the frame.
    """
    framed, distance = framed[:, :1], gate.distance(latent, modality)
    visible = (framed > 2 * VISIBLE - 1).float().mean(dim=(1, 2, 3))
    return torch.cat([gate.ratios(framed, modality), distance[:, None], visible[:, None]], dim=1).cpu()


def judge(
    looks: Sequence[Tensor],
    gate: SliceGate | None,
    source: Volume,
    modality: Modality,
    anatomy: Anatomy = "head",
) -> GateVerdict:
    """Decide on pass, warn or refuse, from the scores of `look` for the slices that are not empty.

    Of a volume, the median of each score over the fuller slices counts. Each score beyond a limit is a
    reason, and so is an implausible range of the source's values.
    """
    if gate is None or not looks:
        return GateVerdict(verdict="none", reasons=["the model has no gate: the input was not checked"])
    rows = torch.cat(list(looks))
    full = rows[rows[:, -1] >= FULL * rows[:, -1].max()]
    *ratios, distance, _ = full.quantile(0.5, dim=0).tolist()
    index = MODALITIES.index(modality)
    reach, limits = gate.reach[index].tolist(), dict(zip(KINDS, gate.limits[index].tolist(), strict=True))
    if len(full) >= SEVERAL:
        limits = {kind: list(HIGHEST) for kind in KINDS}
    words = WORDS[anatomy]
    scores = {
        kind: ratio for kind, ratio in zip(KINDS, ratios, strict=True) if kind in words and kind != modality
    }
    # The kind that is furthest beyond its limit names what the slices look like.
    kind = min(scores, key=lambda name: scores[name] - limits[name][0])
    # The plainest reason first.
    findings = [
        *_implausible(source, modality),
        *_beyond(scores[kind], limits[kind], words[modality], words[kind]),
    ]
    findings += _foreign(distance, reach)
    verdicts = [verdict for verdict, _ in findings]
    return GateVerdict(
        verdict="refuse" if "refuse" in verdicts else "warn" if verdicts else "pass",
        looks_like=kind if scores[kind] < limits[kind][0] else modality,
        scores={name: round(value, 3) for name, value in (scores | {"distance": distance}).items()},
        limits={
            name: (round(ends[0], 3), round(ends[1], 3))
            for name, ends in ({name: limits[name] for name in scores} | {"distance": reach}).items()
        },
        slices=len(full),
        reasons=[reason for _, reason in findings],
    )


def _beyond(ratio: float, limits: Sequence[float], declared: str, found: str) -> list[Finding]:
    warned, refused = limits
    if ratio >= warned:
        return []
    text = f"it looks less like {declared} than like {found} (log-ratio {ratio:.1f};"
    return [("refuse" if ratio < refused else "warn", f"{text} above {warned:.1f} is expected)")]


def _foreign(distance: float, reach: Sequence[float]) -> list[Finding]:
    warned, refused = reach
    if distance <= warned:
        return []
    text = f"it is unlike the images that the model was trained on (distance {distance:.2f};"
    text += f" below {warned:.2f} is expected)"
    return [("refuse" if distance > refused else "warn", text)]


def _implausible(source: Volume, modality: Modality) -> list[Finding]:
    """Check the range of the values; the grey values of a picture prove nothing."""
    if source.is_picture:
        return []
    lowest, highest = float(source.values.min()), float(source.values.max())
    span = f"its values reach from {lowest:g} to {highest:g}"
    if modality == "ct" and lowest > NO_AIR_HU:
        return [("refuse", f"{span}: without air of -1000 it is no CT in HU")]
    if modality == "mr" and lowest < HU_AIR:
        return [("refuse", f"{span}: those of a CT in HU, not of an MR; --to mr translates a CT")]
    if modality == "mr" and lowest < -NEGATIVE * highest:
        return [("warn", f"{span}, and MR has none below zero")]
    return []
