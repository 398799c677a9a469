"""`medtranslate cycle`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import CycleSettings


def act(settings: CycleSettings, quiet: bool) -> Answer:
    """Translate there and back, and score."""
    from medtranslate.cli.scores import lines, parted
    from medtranslate.evaluation.cycle import cycle
    from medtranslate.records import to_json

    result = cycle(settings, quiet=quiet)
    text = [*lines(result), f"these scores say {result.meaning}", f"report: {settings.out / 'report.html'}"]
    return Answer(to_json(result), text, *parted(result.warnings, result.items))


command = SettingsCommand(
    "cycle",
    CycleSettings,
    act,
    "evaluation",
    help="""Test a model without a reference: translate INPUT, of the modality --from, into the other modality
    and back by the posterior's mean, and score the result against INPUT. Pictures of a folder are tested
    one by one.

    A good score does not show that the intermediate image is right; --noise makes it harder to hide the
    source in it. Writes result.json, slices.csv, report.html, report.pdf and differences/*.png.""",
    arguments=("input",),
    sections={"Input options": ("from", "series", "select", "volume", "nan_to")},
)
