"""Checks the inputs and outputs of a translation before a model is loaded."""

from __future__ import annotations

from medtranslate.config import TranslateSettings
from medtranslate.errors import Unreadable, UsageError
from medtranslate.io import FORMATS, detect_format, list_volumes, output_format
from medtranslate.io.folders import several
from medtranslate.runtime import require_apart, require_input


def check_input(settings: TranslateSettings) -> str:
    """Find the format of the input, which is one volume, series, picture or folder of pictures.

    Raises:
        Unreadable: the input is something else; the message gives a remedy.
        UsageError: the input is an output or lies in one, or the two were exchanged.
    """
    path = settings.input
    require_input(path, settings.output)
    require_apart(
        [settings.output, settings.uncertainty, settings.report], [path, settings.reference, settings.mask]
    )
    format = detect_format(path)
    if path.is_dir() and FORMATS[format].folder_from is None:
        raise Unreadable(
            f"{several(path, format, list_volumes(path))}; name one of them, or translate them all with"
            f" `medtranslate batch {path} OUT --to {settings.to}`"
        )
    return format


def check_output(settings: TranslateSettings, source: str, *, stacked: bool) -> str:
    """Choose the format of the output, and check that it can hold the translation.

    Args:
        source: format of the input.
        stacked: the input is a folder of pictures, read as one volume.

    Raises:
        UsageError: it cannot; the message names a format that can.
    """
    output, name = settings.output, output_format(settings.output, settings.format) or source
    if reason := cannot_become(source, name):
        raise UsageError(f"{settings.input}: {reason}")
    if stacked and name == "png" and output.suffix:
        raise UsageError(f"{output}: a picture holds one slice; name a folder for those of a stack")
    if settings.regrid and name == "dicom":
        raise UsageError("--regrid: a DICOM series keeps its own slices; name an output such as out.nii.gz")
    if settings.compress and name != "dicom":
        raise UsageError(f"--compress: is for DICOM, and {output} will be {name}; leave it out")
    return name


def cannot_become(source: str, wanted: str) -> str:
    """Give the reason why a translation of a `source` format can't have another; empty if it can."""
    if wanted == "dicom" != source:
        then = (
            ", and make DICOM of that with `medtranslate convert --format dicom`" if source != "png" else ""
        )
        return (
            f"is {source}, and a translation becomes DICOM from a DICOM series alone, whose patient and study"
            f" it keeps; write .nii.gz{then}"
        )
    if wanted == "png" != source:
        return (
            f"is {source}, and pictures hold 256 grey levels and no geometry; write .nii.gz, and make"
            " pictures of that with `medtranslate convert --format png --window LEVEL WIDTH`"
        )
    return ""
