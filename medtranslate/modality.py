"""CT and MR: the unit of each, and the unit's code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

UNITS: Mapping[Literal["ct", "mr"], str] = {"ct": "HU", "mr": "a.u."}
"""Unit of a modality's values: Hounsfield units, and arbitrary units, since MR has no scale of its own."""
UCUM: Mapping[str, tuple[str, str]] = {
    UNITS["ct"]: ("[hnsf'U]", "Hounsfield unit"),
    UNITS["mr"]: ("[arb'U]", "arbitrary unit"),
}
"""Code and meaning of these units in UCUM 2.1, tables 25 and 17."""
