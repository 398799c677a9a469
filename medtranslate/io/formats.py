"""Lists the file formats by the names that `--format` takes; each is imported when it is first used."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from medtranslate import plugins
from medtranslate.io.interface import Format

FORMATS: Mapping[str, Format] = plugins.load(
    "medtranslate.formats",
    {
        "dicom": "medtranslate.io.dicom:FORMAT",
        "nifti": "medtranslate.io.nifti:FORMAT",
        "mha": "medtranslate.io.metaimage:FORMAT",
        "nrrd": "medtranslate.io.nrrd:FORMAT",
        "mgh": "medtranslate.io.mgh:FORMAT",
        "png": "medtranslate.io.png:FORMAT",
    },
)


@cache
def image_suffixes() -> tuple[str, ...]:
    """List the suffixes of file names that promise an image, headers of pairs among them."""
    return (*(s for format in FORMATS.values() for s in format.suffixes if s), ".mhd", ".nhdr", ".hdr")
