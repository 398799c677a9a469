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

    Pictures, and the headers of DICOM, come from the volumes, which are taken from where the record says.
    Name them where they lie elsewhere; each has to be the very volume whose digest was recorded.""",
    arguments=("result",),
)
