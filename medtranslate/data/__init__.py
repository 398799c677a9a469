"""Where training slices come from, how they are split, and how a set of pictures is prepared.

tables      CSV files, checked
items       what lies in a folder, a CSV or a file: pictures, volumes, DICOM series
failures    how many unusable images a set may hold
split       whole groups held back for validation
stored      slices of files, decoded once
streams     slices of phantom heads, made as they are drawn
rendered    MR of the heads that slices of CT show
sources     the sources of a run
lookalikes  groups of near-identical pictures
skull       whether a picture published as MR is CT
prepare     pictures of both modalities into folders to train on
"""

from __future__ import annotations

from medtranslate.data.mr_from_ct import render
from medtranslate.data.phantom_slices import BRIGHTEST, frame_pairs, scale_mr_each
from medtranslate.data.prepare import prepare_pictures
from medtranslate.data.sources import Opened, Source, open_sources
from medtranslate.data.stored import StoredSlices

__all__ = [
    "BRIGHTEST",
    "Opened",
    "Source",
    "StoredSlices",
    "frame_pairs",
    "open_sources",
    "prepare_pictures",
    "render",
    "scale_mr_each",
]
