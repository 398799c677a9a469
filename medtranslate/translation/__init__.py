"""Volume to volume, slice by slice: in memory (`translate_volume`), and from file to file (`translate`)."""

from __future__ import annotations

from medtranslate.translation.files import (
    Item,
    load_for,
    outputs,
    plan,
    record_beside,
    translate,
    translate_each,
)
from medtranslate.translation.jumps import seams
from medtranslate.translation.spread import is_map
from medtranslate.translation.volume import (
    OTHER,
    Translated,
    as_spoken,
    describe,
    framed_alone,
    sample_volume,
    translate_volume,
)

__all__ = [
    "OTHER",
    "Item",
    "Translated",
    "as_spoken",
    "describe",
    "framed_alone",
    "is_map",
    "load_for",
    "outputs",
    "plan",
    "record_beside",
    "sample_volume",
    "seams",
    "translate",
    "translate_each",
    "translate_volume",
]
