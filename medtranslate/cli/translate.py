"""`medtranslate translate`."""

from __future__ import annotations

from collections import Counter

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import TranslateSettings


def act(settings: TranslateSettings, quiet: bool) -> Answer:
    """Translate one input."""
    from medtranslate.result import to_json
    from medtranslate.translation import translate

    done = translate(settings, quiet=quiet)
    items = done if isinstance(done, list) else [done]
    values = {"items": [to_json(item) for item in done]} if isinstance(done, list) else to_json(done)
    counts = Counter(warning for item in items for warning in item.warnings)
    warnings = [
        warning if len(items) == 1 else f"{warning} ({count} of {len(items)} pictures)"
        for warning, count in counts.items()
    ]
    return Answer(values, [f"written: {settings.output}"], warnings)


command = SettingsCommand(
    "translate",
    TranslateSettings,
    act,
    help="""Translate INPUT slice by slice into the modality of --to and write OUTPUT: a DICOM series
    for a DICOM series, the same grid for NIfTI, the same names and sizes for pictures.

    translation.json beside the output says which model made it, from what, and with which settings.""",
    arguments=("input", "output"),
)
