"""`medtranslate demo`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import DemoSettings


def act(settings: DemoSettings, quiet: bool) -> Answer:
    """Run the demonstration."""
    from medtranslate.cli.scores import lines, parted
    from medtranslate.demo import run_demo
    from medtranslate.records import to_json

    result = run_demo(settings, quiet=quiet)
    report = f"report: {settings.out / 'report.html'}"
    return Answer(to_json(result), [*lines(result), report], *parted(result.warnings, [result]))


command = SettingsCommand(
    "demo",
    DemoSettings,
    act,
    "demo",
    help="""Make a digital head, write it as an MR DICOM series and a CT, translate the MR, score the
    translation against the CT, and write OUT/report.html: the shortest way to see everything work.""",
    arguments=("out",),
)
