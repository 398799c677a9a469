"""`medtranslate translate`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import TranslateSettings


def act(settings: TranslateSettings, quiet: bool) -> Answer:
    """Translate one input; score and report it where that is asked for."""
    from medtranslate.cli.scores import lines
    from medtranslate.evaluation import translate_and_score
    from medtranslate.result import to_json

    items, result = translate_and_score(settings, quiet=quiet)
    values: dict[str, Any] = (
        to_json(items[0]) if len(items) == 1 else {"items": [to_json(item) for item in items]}
    )
    counts = Counter(warning for item in items for warning in item.warnings)
    warnings = [
        warning if len(items) == 1 else f"{warning} ({count} of {len(items)} pictures)"
        for warning, count in counts.items()
    ]
    if card := items[0].model.summary:
        warnings.append(f"the card of the model {items[0].model.name} says: {card}")
    said = [f"written: {settings.output}"]
    if settings.uncertainty:
        said.append(f"standard deviation: {settings.uncertainty}")
    if result:
        values["result"] = to_json(result)
        said += lines(result)
        # Of a score, the translation's own warnings have been said.
        warnings += [text for text in result.warnings if text not in counts]
    if settings.report:
        said.append(f"report: {settings.report / 'report.html'}")
    return Answer(values, said, warnings)


command = SettingsCommand(
    "translate",
    TranslateSettings,
    act,
    help="""Translate INPUT slice by slice into the modality of --to and write OUTPUT: a DICOM series
    for a DICOM series, the same grid for NIfTI, pictures of the same size for pictures.

    translation.json beside the output says which model made it, from what, and with which settings;
    preview.png shows it.
    --uncertainty adds the spread of the model's posterior, --reference scores, --report makes a page.""",
    arguments=("input", "output"),
)
