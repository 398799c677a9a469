"""Acquisitions that share one DICOM series: how they are told apart, and how one of them is taken.

Scanners and archives put echoes, phases, reconstructions and time points under one SeriesInstanceUID. That
an attribute differs does not tell acquisitions apart: a long scan counts its acquisitions along the patient.
They show by slices of one value that lie between, or in the places of, slices of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medtranslate.errors import SeriesRefused, SettingsError
from medtranslate.geometry import POSITION_MM, Floats
from medtranslate.io.dicom_files import raw_of


@dataclass(frozen=True)
class Attribute:
    """Attribute in which acquisitions may differ.

    Attributes:
        keywords: of its value; those of a frame come before those of its file, and the first present counts.
        measured: a physical quantity; values within 1 % are one.
        in_turns: one good acquisition may alternate between values, since scanners take its slices in turns.
    """

    keywords: tuple[str, ...]
    measured: bool = False
    in_turns: bool = False


ATTRIBUTES: dict[str, Attribute] = {
    "stack": Attribute(("StackID",)),
    "echo": Attribute(("EchoNumbers",)),
    "te": Attribute(("EffectiveEchoTime", "EchoTime"), measured=True),
    "time-point": Attribute(("TemporalPositionIndex", "TemporalPositionIdentifier")),
    "b-value": Attribute(("DiffusionBValue",), measured=True),
    "ti": Attribute(("InversionTimes", "InversionTime"), measured=True),
    "flip-angle": Attribute(("FlipAngle",), measured=True),
    "kvp": Attribute(("KVP",), measured=True),
    "energy": Attribute(("MonoenergeticEnergyEquivalent",), measured=True),
    "kernel": Attribute(("ConvolutionKernel",)),
    "image-type": Attribute(("ImageType",)),
    "acquisition": Attribute(("FrameAcquisitionNumber", "AcquisitionNumber"), in_turns=True),
    "contrast": Attribute(("ContrastBolusAgent",)),
    "trigger": Attribute(("NominalCardiacTriggerDelayTime", "TriggerTime"), measured=True, in_turns=True),
}
"""Attributes by the name that `--select` takes, in the order in which parts are named by them."""

ACQUISITION_TAGS = tuple(keyword for attribute in ATTRIBUTES.values() for keyword in attribute.keywords)
_TAGS = {keyword: Tag(keyword) for keyword in ACQUISITION_TAGS}
_NOTHING = "none"
_LONGEST = 200
_SHOWN = 6
_SAME_QUANTITY = 0.01
_BESIDE = 0.9
"""Least distance, in thicknesses, of slices that lie beside each other."""


def select(planes: Sequence[Dataset], chosen: str, where: str) -> list[int]:
    """Find the planes that `--select` takes: `echo=2`, or several terms separated by commas.

    Args:
        where: what the message names, such as the file.

    Raises:
        SettingsError: a term is not NAME=VALUE with a known name.
        SeriesRefused: no plane has the value; lists those that there are.
    """
    kept = list(range(len(planes)))
    for term in chosen.split(","):
        name, equals, value = (part.strip() for part in term.partition("="))
        if not equals or name.lower() not in ATTRIBUTES:
            raise SettingsError(f"--select {chosen}: write NAME=VALUE with a NAME of {', '.join(ATTRIBUTES)}")
        labels = values_of([planes[index] for index in kept], name.lower())
        wanted = _wanted(set(labels), value)
        if wanted is None:
            there = ", ".join(_first_few([f"{name.lower()}={label}" for label in labels]))
            raise SeriesRefused(f"{where}: its series has no {term.strip()} to --select; it has {there}")
        kept = [index for index, label in zip(kept, labels, strict=True) if label == wanted]
    return kept


def _wanted(labels: set[str], value: str) -> str | None:
    """Match a value to a label: the same text or number, or the only one with such a component."""
    text = value.casefold()
    same = [label for label in labels if label.casefold() == text or _number(label) == _number(value, np.inf)]
    parts = [label for label in labels if text in label.casefold().split("/")]
    if same:
        return same[0]
    return parts[0] if len(parts) == 1 else None


def tell_apart(
    differing: Mapping[str, list[str]], heights: Floats, thickness: Sequence[float] | None
) -> dict[str, list[str]]:
    """Find the attributes that tell acquisitions in one series apart.

    Args:
        differing: `differing_values` of the planes.
        heights: places [N] of the planes along their normal in mm.
        thickness: SliceThickness [N] in mm, where it is known.
    """
    thick = None if thickness is None else float(np.median(thickness))
    told = {}
    for name, labels in differing.items():
        groups = [np.sort(heights[np.array(labels) == label]) for label in dict.fromkeys(labels)]
        # That a slice lacks a value says little.
        careful = ATTRIBUTES[name].in_turns or _NOTHING in labels
        if _overlap(groups, thick) if careful else _lie_among(groups):
            told[name] = labels
    return told


def differing_values(planes: Sequence[Dataset]) -> dict[str, list[str]]:
    """Collect the value of each plane for each attribute that differs between planes."""
    differing = {}
    for name, attribute in ATTRIBUTES.items():
        if len({_raw(plane, attribute) for plane in planes}) > 1:
            labels = values_of(planes, name)
            if len(set(labels)) > 1:
                differing[name] = labels
    return differing


def describe(told: dict[str, list[str]], planes: Sequence[Dataset]) -> str:
    """Describe acquisitions for messages: the attributes that differ, their values, the options for each."""

    def keyword(name: str) -> str:
        found = (_raw(plane, ATTRIBUTES[name]) for plane in planes)
        return next(raw[0] for raw in found if raw)

    differing = " and ".join(
        f"{keyword(name)} ({', '.join(_first_few(labels))})" for name, labels in told.items()
    )
    name, labels = next(iter(told.items()))
    shown = list(dict.fromkeys(labels))[:3]
    options = " or ".join(f"--select {_quoted(f'{name}={label}')}" for label in shown)
    return f"differ in {differing}; take one with {options}"


def values_of(planes: Sequence[Dataset], name: str) -> list[str]:
    """Give an attribute of each plane as text; of measured values within 1 % the lowest."""
    attribute = ATTRIBUTES[name]
    raws = [_raw(plane, attribute) for plane in planes]
    texts = {raw: _text(plane, attribute) for raw, plane in zip(raws, planes, strict=True)}
    if attribute.measured:
        texts = _merged(texts)
    return [texts[raw] for raw in raws]


def _raw(plane: Dataset, attribute: Attribute) -> tuple[str, object] | None:
    """Give the keyword and the value as the file has them."""
    for keyword in attribute.keywords:
        if value := raw_of(plane, _TAGS[keyword]):
            return keyword, value
    return None


def _text(plane: Dataset, attribute: Attribute) -> str:
    raw = _raw(plane, attribute)
    if raw is None:
        return _NOTHING
    value = plane[_TAGS[raw[0]]].value
    parts = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    # The first two say whether the image was acquired or derived (PS3.3 C.7.6.1.1.2).
    parts = parts[2:] if raw[0] == "ImageType" else parts
    texts = (str(part).strip() if _number(str(part)) is None else f"{float(part):.12g}" for part in parts)
    clean = "".join(sign for sign in "/".join(texts).replace(",", " ") if sign.isprintable())
    return clean[:_LONGEST] or _NOTHING


def _merged(texts: dict[tuple[str, object] | None, str]) -> dict[tuple[str, object] | None, str]:
    """Texts of quantities, those that hardly differ replaced by the lowest of them."""
    numbers = sorted({number for text in texts.values() if (number := _number(text)) is not None})
    lowest: dict[float, str] = {}
    for index, number in enumerate(numbers):
        near = index and number - numbers[index - 1] <= _SAME_QUANTITY * abs(number)
        lowest[number] = lowest[numbers[index - 1]] if near else f"{number:.12g}"
    return {raw: text if (number := _number(text)) is None else lowest[number] for raw, text in texts.items()}


def _number(text: str, otherwise: float | None = None) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return otherwise
    return number if np.isfinite(number) else otherwise


def _lie_among(groups: Sequence[Floats]) -> bool:
    """Return True if slices of one group lie in the range of another.

    One slice of many does not count: neighbouring blocks of a scan may share a place at their border. Nor
    does a block between two of another group, as the skull base of a scan from neck to vertex.
    """
    if _apart(groups):
        return False
    for index, group in enumerate(groups):
        among = [_count_among(group, other) for at, other in enumerate(groups) if at != index]
        if max(among) >= (1 if len(group) <= 2 else 2):
            return True
    return False


def _count_among(group: Floats, other: Floats) -> int:
    """Count the heights of a group in the range of another, without blocks that fill its holes.

    A hole is a gap that would count as a missing slice; a block is three slices or more that lie as far from
    the slices at its ends as slices do.
    """
    inside = group[_inside(group, [other])[0]]
    if len(inside) < 3:
        return len(inside)
    gaps, places = np.diff(other), np.searchsorted(other, inside)
    filling = 0
    for place in np.unique(places[(places > 0) & (places < len(other))]):
        block = inside[places == place]
        beside = min(block[0] - other[place - 1], other[place] - block[-1])
        hole = gaps[place - 1] >= 2 * np.median(gaps)
        if hole and len(block) > 2 and beside >= _BESIDE * min(np.median(gaps), np.diff(block).min()):
            filling += len(block)
    return len(inside) - filling


def _overlap(groups: Sequence[Floats], thickness: float | None) -> bool:
    """Return True if slices of one group lie in the range of another and overlap its slices.

    Slices of one volume that were taken in turns lie beside each other.
    """
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < 2 or _apart(groups):
        return False
    near = np.inf if thickness is None else _BESIDE * thickness
    for index, group in enumerate(groups):
        inside = _inside(group, groups)
        for other in np.flatnonzero(inside.sum(1) >= 2):
            distances = [np.abs(groups[other] - height).min() for height in group[inside[other]]]
            if other != index and np.median(distances) < near:
                return True
    return False


def _apart(groups: Sequence[Floats]) -> bool:
    """Return True if the ranges of all groups are disjoint."""
    ranges = sorted((group[0], group[-1]) for group in groups)
    return all(above[0] > below[1] + POSITION_MM for below, above in pairwise(ranges))


def _inside(group: Floats, groups: Sequence[Floats]) -> NDArray[np.bool_]:
    """Find the heights [N] of a group in the range of each of the groups [K]."""
    low, high = np.array([(other[0], other[-1]) for other in groups]).T[:, :, None]
    inside: NDArray[np.bool_] = (group >= low - POSITION_MM) & (group <= high + POSITION_MM)
    return inside


def _first_few(labels: Sequence[str]) -> list[str]:
    different = list(dict.fromkeys(labels))
    more = [f"{len(different) - _SHOWN} more"] if len(different) > _SHOWN else []
    return different[:_SHOWN] + more


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
