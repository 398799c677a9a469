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
        share, before, after = test.after.expected[0], test.before, test.after
        own = "one standard deviation of the samples" if report.samples else "the model's own limit"
        twice = "two" if report.samples else "twice it"
        lines += [
            f"to {to}: errors within {own} {before.within_1_sd:.1%}, within {twice} {before.within_2_sd:.1%}",
            f"to {to}: errors within the {share:.0%} error limit {after.within_1_sd:.1%} ({share:.1%} is"
            f" right), within twice it {after.within_2_sd:.1%}",
        ]
    return Answer(to_json(report), [*lines, f"written: {report.output}"], report.warnings)


command = SettingsCommand(
    "calibrate",
    CalibrateSettings,
    act,
    "calibrate",
    help="""Calibrate the uncertainty of MODEL on pairs of CT and MR on the same grid. A curve to the error is
    fitted to some pairs, tested on the others, and written into the model. It begins at the limit that the
    model estimates, or at the spread of posterior samples. From then on `translate --uncertainty` gives the
    error limit: 90 % of the errors of such voxels are smaller.""",
    arguments=("model",),
)
