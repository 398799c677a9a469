"""Volume to volume, slice by slice: in memory (`translate_volume`), and from file to file (`translate`)."""

from __future__ import annotations

from medtranslate.translation.files import (
    RECORD,
    Item,
    Job,
    load_for,
    name_in,
    outputs,
    pass_gate,
    passed,
    plan,
    read_source,
    record_beside,
    translate,
    translate_each,
    write_one,
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
    "RECORD",
    "Item",
    "Job",
    "Translated",
    "as_spoken",
    "describe",
    "framed_alone",
    "is_map",
    "load_for",
    "name_in",
    "outputs",
    "pass_gate",
    "passed",
    "plan",
    "read_source",
    "record_beside",
    "sample_volume",
    "seams",
    "translate",
    "translate_each",
    "translate_volume",
    "write_one",
]
