"""`medtranslate report`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import ReportSettings


def act(settings: ReportSettings, quiet: bool) -> Answer:
    """Render views of a record."""
    from medtranslate.evaluation import render

    done = render(settings)
    files = [str(settings.out / name) for name in done.files]
    return Answer(
        {"files": files, "left_out": done.notes}, [f"written: {file}" for file in files], done.notes
    )


command = SettingsCommand(
    "report",
    ReportSettings,
    act,
    "evaluation",
    help="""Show RESULT, a record that evaluate, cycle or translate wrote, as a page to scroll through, a
    PDF, a table, or DICOM objects for the patient's study: the PDF, the scores (SR, TID 1500) and the
    uncertainty (Parametric Map).

    Pictures and DICOM headers come from the volumes, at the paths in the record. If a volume has moved, name
    it by an option; its digest has to be the recorded one.""",
    arguments=("result",),
    sections={
        "Volume options": ("prediction", "reference", "source", "mask", "uncertainty", "series", "select")
    },
)
