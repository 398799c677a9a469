"""A digital head: one definition for paired CT and MR volumes and for streams of slices."""

from medtranslate.phantom.head import Head, Lesion, draw_head
from medtranslate.phantom.label_maps import LabelMap, read_label_map
from medtranslate.phantom.study import (
    HELD_OUT,
    LesionFound,
    Slices,
    Study,
    rician,
    slices,
    study,
    volume,
    write_study,
)
from medtranslate.phantom.tissues import (
    LABEL,
    PROTOCOLS,
    TISSUES,
    TOLD,
    Protocol,
    Tissue,
    brightness,
    mr_values,
    signal,
)

__all__ = [
    "HELD_OUT",
    "LABEL",
    "PROTOCOLS",
    "TISSUES",
    "TOLD",
    "Head",
    "LabelMap",
    "Lesion",
    "LesionFound",
    "Protocol",
    "Slices",
    "Study",
    "Tissue",
    "brightness",
    "draw_head",
    "mr_values",
    "read_label_map",
    "rician",
    "signal",
    "slices",
    "study",
    "volume",
    "write_study",
]
