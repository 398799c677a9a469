"""A digital head: one definition for paired CT and MR volumes and for streams of slices."""

from medtranslate.phantom.head import Head, Lesion, draw_head
from medtranslate.phantom.label_maps import LabelMap, read_label_map
from medtranslate.phantom.label_mr import read_labelled_head
from medtranslate.phantom.scanner import rician, surface_gain, thick_rows
from medtranslate.phantom.stream import Slices, slices
from medtranslate.phantom.study import HELD_OUT, LesionFound, Study, study, volume, write_study
from medtranslate.phantom.tissues import (
    CONTRASTS,
    LABEL,
    PROTOCOLS,
    TISSUES,
    Protocol,
    Tissue,
    mr_values,
    signal,
)
from medtranslate.phantom.told import (
    TOLD,
    brightness,
    named_brightness,
    nearest_contrast,
    nominal_brightness,
)

__all__ = [
    "CONTRASTS",
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
    "named_brightness",
    "nearest_contrast",
    "nominal_brightness",
    "read_label_map",
    "read_labelled_head",
    "rician",
    "signal",
    "slices",
    "study",
    "surface_gain",
    "thick_rows",
    "volume",
    "write_study",
]
