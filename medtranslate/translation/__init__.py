"""Volume to volume, slice by slice: in memory (`translate_volume`), and from file to file (`translate`)."""

from __future__ import annotations

from medtranslate.translation.checks import cannot_become
from medtranslate.translation.files import (
    Item,
    Passed,
    load_for,
    pass_gate,
    passed,
    read_source,
    translate,
    translate_each,
    write_one,
)
from medtranslate.translation.framed import describe
from medtranslate.translation.planning import Job, Place, name_in, outputs, plan
from medtranslate.translation.preview import preview
from medtranslate.translation.records import (
    PREVIEW,
    RECORD,
    has_whole_name,
    preview_of,
    record_beside,
    record_of,
    stem_of,
)
from medtranslate.translation.seams import seams
from medtranslate.translation.uncertainty_files import is_map
from medtranslate.translation.volume import (
    OTHER,
    Translated,
    as_spoken,
    framed_alone,
    sample_volume,
    translate_volume,
)

__all__ = [
    "OTHER",
    "PREVIEW",
    "RECORD",
    "Item",
    "Job",
    "Passed",
    "Place",
    "Translated",
    "as_spoken",
    "cannot_become",
    "describe",
    "framed_alone",
    "has_whole_name",
    "is_map",
    "load_for",
    "name_in",
    "outputs",
    "pass_gate",
    "passed",
    "plan",
    "preview",
    "preview_of",
    "read_source",
    "record_beside",
    "record_of",
    "sample_volume",
    "seams",
    "stem_of",
    "translate",
    "translate_each",
    "translate_volume",
    "write_one",
]
