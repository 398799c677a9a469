"""A digital head: one definition for paired CT and MR volumes and for streams of slices."""

from medtranslate.phantom.head import Head, Lesion, draw_head
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
from medtranslate.phantom.tissues import LABEL, PROTOCOLS, TISSUES, Protocol, Tissue, mr_values, signal

__all__ = [
    "HELD_OUT",
    "LABEL",
    "PROTOCOLS",
    "TISSUES",
    "Head",
    "Lesion",
    "LesionFound",
    "Protocol",
    "Slices",
    "Study",
    "Tissue",
    "draw_head",
    "mr_values",
    "rician",
    "signal",
    "slices",
    "study",
    "volume",
    "write_study",
]
