"""`medtranslate calibrate`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import CalibrateSettings


def act(settings: CalibrateSettings, quiet: bool) -> Answer:
    """Calibrate a model."""
    from medtranslate.calibrate import calibrate
    from medtranslate.records import to_json

    report = calibrate(settings, quiet=quiet)
    fitted, held = report.pairs
    lines = [f"fitted to {fitted} pairs, tested on {held} others"]
    for to, test in report.directions.items():
        one, two = test.before.expected
        lines += [
            f"to {to}: errors within one standard deviation {test.before.within_1_sd:.1%} before,"
            f" {test.after.within_1_sd:.1%} after (normal errors: {one:.1%})",
            f"to {to}: errors within two standard deviations {test.before.within_2_sd:.1%} before,"
            f" {test.after.within_2_sd:.1%} after (normal errors: {two:.1%})",
        ]
    return Answer(to_json(report), [*lines, f"written: {report.output}"], report.warnings)


command = SettingsCommand(
    "calibrate",
    CalibrateSettings,
    act,
    "calibrate",
    help="""Calibrate the uncertainty of MODEL on pairs of CT and MR on the same grid. A curve from the spread
    of posterior samples to the error is fitted to some pairs, tested on the others, and written into the
    model. From then on `translate --uncertainty` gives expected errors.""",
    arguments=("model",),
)
