"""CT and MR: their names, the other of each, their units and what lies outside a scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Modality = Literal["ct", "mr"]
MODALITIES: tuple[Modality, Modality] = ("ct", "mr")
OTHER: Mapping[Modality, Modality] = {"ct": "mr", "mr": "ct"}
"""Modality that each is translated to."""
UNITS: Mapping[Modality, str] = {"ct": "HU", "mr": "a.u."}
"""Unit of a modality's values: Hounsfield units, and arbitrary units, since MR has no scale of its own."""
UCUM: Mapping[str, tuple[str, str]] = {
    UNITS["ct"]: ("[hnsf'U]", "Hounsfield unit"),
    UNITS["mr"]: ("[arb'U]", "arbitrary unit"),
}
"""Code and meaning of these units in UCUM 2.1, tables 25 and 17."""
PADDING: Mapping[Modality, float] = {"ct": -1024.0, "mr": 0.0}
"""Value outside a scan: air in HU, no signal."""
