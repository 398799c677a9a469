"""`medtranslate mercure`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import MercureSettings


def act(settings: MercureSettings, quiet: bool) -> Answer:
    """Translate the series of a task of mercure."""
    from medtranslate.engines.mercure import notification, run_module
    from medtranslate.records import Batch, to_json

    batch: Batch = run_module(settings)
    wrong = [*batch.of("failed"), *batch.of("doubtful")]
    warnings = [f"{item.state}: {item.name}: {item.reason}" for item in wrong]
    return Answer(to_json(batch), [notification(batch)], warnings)


command = SettingsCommand(
    "mercure",
    MercureSettings,
    act,
    "engines.mercure",
    help="""Translate the DICOM series of a task of mercure (0.4). The settings stand in task.json of the
    input's folder, in process.settings: to, model and others of `batch`.

    Writes the new series as [series UID]#[file UID].dcm, with a record and a preview each, and result.json.
    Ends with 0 if a series was translated; the others are listed. Ends with 3, and writes nothing, if none
    was.""",
    arguments=("input", "output"),
)
