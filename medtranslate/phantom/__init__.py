"""A digital head: one definition for paired CT and MR volumes and for streams of slices."""

from medtranslate.phantom.head import Head, Lesion, draw_head
from medtranslate.phantom.study import (
    HELD_OUT,
    LesionFound,
    Slices,
    Study,
    slices,
    study,
    volume,
    write_study,
)
from medtranslate.phantom.tissues import PROTOCOLS, TISSUES, Protocol, Tissue, signal

__all__ = [
    "HELD_OUT",
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
    "signal",
    "slices",
    "study",
    "volume",
    "write_study",
]
