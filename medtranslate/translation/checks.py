"""What can be said against a translation before a model is loaded."""

from __future__ import annotations

from medtranslate.config import TranslateSettings
from medtranslate.errors import Unreadable, UsageError
from medtranslate.io import FORMATS, detect_format, list_volumes, output_format
from medtranslate.io.folders import several
from medtranslate.runtime import require_apart, require_input


def check_input(settings: TranslateSettings) -> str:
    """The format of the input, which is one volume, series, picture or folder of pictures.

    Raises:
        Unreadable: it is not; says what would do.
        UsageError: it is or lies in an output, or has changed places with it.
    """
    path = settings.input
    require_input(path, settings.output)
    require_apart([settings.output, settings.uncertainty, settings.report], [path, settings.reference])
    found = detect_format(path)
    if path.is_dir() and FORMATS[found].folder_from is None:
        raise Unreadable(
            f"{several(path, found, list_volumes(path))}; name one of them, or translate them all with"
            f" `medtranslate batch {path} OUT --to {settings.to}`"
        )
    return found


def check_output(settings: TranslateSettings, found: str, *, stacked: bool) -> str:
    """The format of the output, which can hold the translation of the input.

    Args:
        found: format of the input.
        stacked: the input is a folder of pictures that are taken as one volume.

    Raises:
        UsageError: it can't; says what can.
    """
    output, name = settings.output, output_format(settings.output, settings.format) or found
    if reason := cannot_become(found, name):
        raise UsageError(f"{settings.input}: {reason}")
    if stacked and name == "png" and output.suffix:
        raise UsageError(f"{output}: a picture holds one slice; name a folder for those of a stack")
    if settings.regrid and name == "dicom":
        raise UsageError("--regrid: a DICOM series keeps its own slices; name an output such as out.nii.gz")
    if settings.compress and name != "dicom":
        raise UsageError(f"--compress: is for DICOM, and {output} is to be {name}; leave it away")
    return name


def cannot_become(found: str, wanted: str) -> str:
    """Why the translation of an input of one format can't be written in another; empty if it can."""
    if wanted == "dicom" != found:
        then = "" if found == "png" else ", and make DICOM of that with `medtranslate convert --format dicom`"
        return (
            f"is {found}, and a translation becomes DICOM from a DICOM series alone, whose patient and study"
            f" it keeps; write .nii.gz{then}"
        )
    if wanted == "png" != found:
        return (
            f"is {found}, and pictures hold 256 grey levels and no geometry; write .nii.gz, and make pictures"
            " of that with `medtranslate convert --format png --window LEVEL WIDTH`"
        )
    return ""
