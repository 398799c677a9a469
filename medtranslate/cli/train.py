"""`medtranslate train`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import TrainSettings


def act(settings: TrainSettings, quiet: bool) -> Answer:
    """Train a model."""
    from medtranslate.training import fit

    summary = fit(settings, quiet=quiet)
    if not summary:
        raise SystemExit(0)  # a process beside the first, which speaks for all
    return Answer(summary, [f"run: {settings.out}"])


command = SettingsCommand(
    "train",
    TrainSettings,
    act,
    "training",
    help="""Train both directions, CT to MR and MR to CT, on images without pairs.

    The run's folder grows while training: settings, log, pictures, checkpoint, model. After an
    interruption, --resume goes on from the last checkpoint.""",
)
