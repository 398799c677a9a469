"""The slices of a run: their sources, their split, and the preparation of a set of pictures.

items            images that a folder, a pattern, a CSV or a file stands for
failures         images that cannot be used, and blank ones
split            whole groups held back for validation
stored           slices of files, decoded once
pairs            validation pairs, whose truth is known
phantom_slices   slices of phantom heads, made as they are drawn
mr_from_ct       MR rendered from slices of CT
sources          the sources of a run
look_alikes      groups of pictures without a subject
near_duplicates  groups of near-identical pictures
mislabelled_ct   CT among pictures published as MR
prepare          pictures of both modalities into folders to train on
"""

from __future__ import annotations

from medtranslate.data.mr_from_ct import render
from medtranslate.data.phantom_slices import BRIGHTEST, brightness_each, frame_pairs, scale_mr_each
from medtranslate.data.prepare import prepare_pictures
from medtranslate.data.sources import Opened, Source, open_sources
from medtranslate.data.stored import StoredSlices

__all__ = [
    "BRIGHTEST",
    "Opened",
    "Source",
    "StoredSlices",
    "brightness_each",
    "frame_pairs",
    "open_sources",
    "prepare_pictures",
    "render",
    "scale_mr_each",
]
