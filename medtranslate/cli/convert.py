"""`medtranslate convert`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import ConvertSettings


def act(settings: ConvertSettings, quiet: bool) -> Answer:
    """Convert one input."""
    from medtranslate.conversion import convert
    from medtranslate.records import to_json

    done = convert(settings)
    return Answer(to_json(done), [f"written: {settings.output}"], done.warnings)


command = SettingsCommand(
    "convert",
    ConvertSettings,
    act,
    "conversion",
    help="""Write INPUT in another file format: DICOM series, NIfTI, MetaImage, NRRD, MGH or pictures. Voxels
    stay where they are, nothing is resampled, and values change only where it is asked for or said.

    conversion.json beside the output says from what it was made, and with which settings.""",
    arguments=("input", "output"),
)
