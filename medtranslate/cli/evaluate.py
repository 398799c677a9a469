"""`medtranslate evaluate`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import EvaluateSettings


def act(settings: EvaluateSettings, quiet: bool) -> Answer:
    """Score a pair, or two folders."""
    from medtranslate.cli.scores import lines
    from medtranslate.evaluation import evaluate
    from medtranslate.result import to_json

    result = evaluate(settings, quiet=quiet)
    report = f"report: {settings.out / 'report.html'}"
    return Answer(to_json(result), [*lines(result), report], result.warnings)


command = SettingsCommand(
    "evaluate",
    EvaluateSettings,
    act,
    help="""Score PREDICTION against REFERENCE, which lies on the same grid; two folders are paired by
    name. Writes result.json, slices.csv, report.html and report.pdf.""",
    arguments=("prediction", "reference"),
)
