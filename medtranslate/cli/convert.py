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
    keep their place. Nothing is resampled and no value changes unless an option asks for it, or a warning
    says so.

    conversion.json beside the output records the input and the settings.""",
    arguments=("input", "output"),
    sections={
        "Input options": ("series", "select", "volume", "stack", "spacing", "modality", "nan_to"),
        "Output options": ("format", "regrid", "window", "range", "deidentify"),
    },
)
