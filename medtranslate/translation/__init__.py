"""Translation of volumes.

`Translator` reads, translates and writes; `translate` is the command; `translate_volume` works in memory.
"""

from __future__ import annotations

from medtranslate.records.places import (
    PREVIEW,
    RECORD,
    has_whole_name,
    preview_of,
    record_beside,
    record_of,
    stem_of,
)
from medtranslate.translation.checks import cannot_become
from medtranslate.translation.planning import Job, Outputs, Place, name_in, places, plan
from medtranslate.translation.preview import preview
from medtranslate.translation.seams import seams
from medtranslate.translation.translate import Again, Observer, translate, write_translated
from medtranslate.translation.translator import (
    Translator,
    Written,
    open_translator,
    pass_gate,
    read_source,
    sheet_of,
    translate_jobs,
    write_translation,
)
from medtranslate.translation.uncertainty_files import is_map
from medtranslate.translation.untranslated import as_spoken, framed_alone
from medtranslate.translation.volume import Translated, sample_volume, translate_volume

__all__ = [
    "PREVIEW",
    "RECORD",
    "Again",
    "Job",
    "Observer",
    "Outputs",
    "Place",
    "Translated",
    "Translator",
    "Written",
    "as_spoken",
    "cannot_become",
    "framed_alone",
    "has_whole_name",
    "is_map",
    "name_in",
    "open_translator",
    "pass_gate",
    "places",
    "plan",
    "preview",
    "preview_of",
    "read_source",
    "record_beside",
    "record_of",
    "sample_volume",
    "seams",
    "sheet_of",
    "stem_of",
    "translate",
    "translate_jobs",
    "translate_volume",
    "write_translated",
    "write_translation",
]
