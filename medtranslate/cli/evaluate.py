"""`medtranslate evaluate`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import EvaluateSettings


def act(settings: EvaluateSettings, quiet: bool) -> Answer:
    """Score a pair, or two folders."""
    from medtranslate.cli.scores import lines, parted
    from medtranslate.evaluation import evaluate
    from medtranslate.records import Cohort, to_json

    result = evaluate(settings, quiet=quiet)
    report = f"report: {settings.out / 'report.html'}"
    failure = ""
    if isinstance(result, Cohort) and result.failed:
        count, total = len(result.failed), len(result.failed) + len(result.items)
        failure = (
            f"{count} of {total} pairs could not be scored: {', '.join(result.failed)}; see the warnings"
        )
    remarks = parted(result.warnings, result.items if isinstance(result, Cohort) else [result])
    return Answer(to_json(result), [*lines(result), report], *remarks, failure=failure)


command = SettingsCommand(
    "evaluate",
    EvaluateSettings,
    act,
    "evaluation",
    help="""Score PREDICTION against REFERENCE, which has the same grid; files of two folders are paired by
    name. Writes result.json, slices.csv, report.html and report.pdf.""",
    arguments=("prediction", "reference"),
    sections={
        "Score options": ("profile", "mask", "range", "densities", "unmasked"),
        "Folder options": ("subjects", "table"),
        "Alignment options": ("resample_reference", "missing_is_air", "register"),
        "Input options": (
            *("source", "uncertainty", "prediction_scale", "modality", "model", "series", "select", "nan_to"),
        ),
    },
)
