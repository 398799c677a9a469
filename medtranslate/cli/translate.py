"""`medtranslate translate`."""

from __future__ import annotations

from typing import Any

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import TranslateSettings


def act(settings: TranslateSettings, quiet: bool) -> Answer:
    """Translate one input; score and report it if the settings ask for it."""
    from medtranslate.cli.scores import lines, parted
    from medtranslate.records import to_json
    from medtranslate.report.doubts import measures
    from medtranslate.runtime import gathered

    if settings.reference or settings.report:
        from medtranslate.evaluation.translate_and_score import translate_and_score

        items, result = translate_and_score(settings, quiet=quiet)
    else:
        from medtranslate.translation import translate

        items, result = translate(settings, quiet=quiet), None
    values: dict[str, Any] = (
        to_json(items[0]) if len(items) == 1 else {"items": [to_json(item) for item in items]}
    )
    known = {warning for item in items for warning in item.warnings}
    warnings, notes = parted(gathered({item.output: item.warnings for item in items}, "pictures"), items)
    if card := items[0].model.summary:
        notes.append(f"the card of the model {items[0].model.name} says: {card}")
    printed = [f"written: {settings.output}"]
    if len(items) == 1:
        measured = [(term, text) for term, text in measures(items[0]) if not text.startswith("0 ")]
        printed += [f"{term[:1].lower()}{term[1:]}: {text}" for term, text in measured]
    if settings.uncertainty:
        printed.append(f"uncertainty: {settings.uncertainty}")
    if result:
        values["result"] = to_json(result)
        printed += lines(result)
        # Without the translation's own warnings, which are in the list already.
        warnings += [text for text in result.warnings if not any(before in text for before in known)]
    if settings.report:
        printed.append(f"report: {settings.report / 'report.html'}")
    return Answer(values, printed, warnings, notes)


command = SettingsCommand(
    "translate",
    TranslateSettings,
    act,
    "translation",
    help="""Translate INPUT slice by slice into the modality of --to and write OUTPUT: a DICOM series
    for a DICOM series, the same grid for NIfTI, pictures of the same size for pictures.

    translation.json beside the output records model, input and settings; preview.png shows the result.""",
    arguments=("input", "output"),
    sections={
        "Input options": ("series", "select", "volume", "stack", "spacing", "nan_to", "picture_hu", "window"),
        "Output options": ("format", "mask", "regrid", "compress", "deidentify", "burn_in", "preview"),
        "Uncertainty, scores and report": ("samples", "seed", "uncertainty", "reference", "report"),
        "Machine options": ("device", "precision", "planes", "batch"),
    },
)
