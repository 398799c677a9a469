"""What the gate says of an input, from what the networks saw of its slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from medtranslate.config import Modality
from medtranslate.io import Volume
from medtranslate.networks import HIGHEST, KINDS, MODALITIES, SliceGate
from medtranslate.records import GateVerdict
from medtranslate.transforms import VISIBLE

NO_AIR_HU = -200.0
"""A CT volume holds air (-1000 HU); one whose lowest value is above this is not in HU, or no CT."""

HU_AIR = -500.0
"""An MR whose lowest value is below this holds the air of a CT; a magnitude image has no negative values."""

NEGATIVE = 0.05
"""Share of an MR's highest value that its lowest may lie below zero, as resampling leaves it."""

FULL = 0.5
"""Share of the fullest slice's visible area from which a slice has a say: vertex and chin look odd."""

SEVERAL = 8
"""Slices from which their median is held to `HIGHEST`: a few that look odd either way do not move it."""

WORDS = {
    "ct": "an axial CT of a head",
    "mr": "an axial MR of a head",
    "turned": "a head that is turned or upside down",
    "view": "a sagittal or coronal cut of a head",
    "other": "something else than a head",
}
"""What the kinds of slices are called."""

Found = tuple[Literal["warn", "refuse"], str]


def look(gate: SliceGate, framed: Tensor, latent: Tensor, modality: Modality) -> Tensor:
    """What the gate sees in framed slices [B, 1, S, S] and their posterior means: [B, len(KINDS) + 2].

    The ratios of the kinds, the latents' distance, and the visible share of the frame.
    """
    distance = gate.distance(latent, modality)
    visible = (framed > 2 * VISIBLE - 1).float().mean(dim=(1, 2, 3))
    return torch.cat([gate.ratios(framed, modality), distance[:, None], visible[:, None]], dim=1).cpu()


def judge(looks: Sequence[Tensor], gate: SliceGate | None, source: Volume, modality: Modality) -> GateVerdict:
    """Pass, warn or refuse, from what `look` saw of the slices that show something.

    Of a volume the fuller slices speak together, by the median of each score. Whatever is beyond one of the
    limits counts, and what the values alone tell.
    """
    if gate is None or not looks:
        return GateVerdict(verdict="none", reasons=["the model has no gate: nothing was judged"])
    seen = torch.cat(list(looks))
    full = seen[seen[:, -1] >= FULL * seen[:, -1].max()]
    *ratios, distance, _ = full.quantile(0.5, dim=0).tolist()
    index = MODALITIES.index(modality)
    reach, limits = gate.reach[index].tolist(), dict(zip(KINDS, gate.limits[index].tolist(), strict=True))
    if len(full) >= SEVERAL:
        limits = {kind: list(HIGHEST) for kind in KINDS}
    scores = {kind: ratio for kind, ratio in zip(KINDS, ratios, strict=True) if kind != modality}
    # The kind that is furthest beyond its limit names what the slices look like.
    kind = min(scores, key=lambda name: scores[name] - limits[name][0])
    # The plainest reason first.
    found = [*_implausible(source, modality), *_beyond(scores[kind], limits[kind], kind, modality)]
    found += _foreign(distance, reach)
    verdicts = [verdict for verdict, _ in found]
    return GateVerdict(
        verdict="refuse" if "refuse" in verdicts else "warn" if verdicts else "pass",
        looks_like=kind if scores[kind] < limits[kind][0] else modality,
        scores={name: round(value, 3) for name, value in (scores | {"distance": distance}).items()},
        limits={
            name: (round(ends[0], 3), round(ends[1], 3))
            for name, ends in ({name: limits[name] for name in scores} | {"distance": reach}).items()
        },
        slices=len(full),
        reasons=[reason for _, reason in found],
    )


def _beyond(ratio: float, limits: Sequence[float], kind: str, modality: Modality) -> list[Found]:
    warned, refused = limits
    if ratio >= warned:
        return []
    text = f"it looks less like {WORDS[modality]} than like {WORDS[kind]} (log-ratio {ratio:.1f};"
    return [("refuse" if ratio < refused else "warn", f"{text} above {warned:.1f} is expected)")]


def _foreign(distance: float, reach: Sequence[float]) -> list[Found]:
    warned, refused = reach
    if distance <= warned:
        return []
    text = f"it is unlike what the model was trained on (distance {distance:.2f};"
    text += f" below {warned:.2f} is expected)"
    return [("refuse" if distance > refused else "warn", text)]


def _implausible(source: Volume, modality: Modality) -> list[Found]:
    """What the values alone tell; a picture's grey values tell nothing."""
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
