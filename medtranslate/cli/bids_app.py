"""`medtranslate bids-app`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from medtranslate import __version__
from medtranslate.cli.batch import answer
from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import BidsAppSettings

_LISTS = ("--participant-label", "--session-id")
_OTHER_NAMES = {
    "--session-label": "--session-id",
    "--skip-bids-validator": "--skip-bids-validation",
    "--n-cpus": "--workers",
    "--nprocs": "--workers",
    "--nthreads": "--workers",
}
"""Options of other BIDS Apps that mean the same."""


def act(settings: BidsAppSettings, quiet: bool) -> Answer:
    """Run one level of the app, and count its results."""
    from medtranslate.batch.folder import part_of
    from medtranslate.engines.bids_app import batch_of, run_app

    batch = run_app(settings, quiet=quiet)
    part = part_of(batch_of(settings)) if settings.analysis_level == "participant" else ""
    return answer(batch, settings.output_dir, part, wrong=("failed",))


def spelled(arguments: Sequence[str]) -> Iterator[str]:
    """Spell a command line of a BIDS App as click reads it.

    Underscores in options become hyphens, and labels that are separated by spaces become a list.
    """
    labels: list[str] | None = None
    for argument in arguments:
        if labels is not None and not argument.startswith("-"):
            labels.append(argument)
            continue
        if labels is not None:
            yield ",".join(labels)
            labels = None
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            name = name.replace("_", "-")
            name = _OTHER_NAMES.get(name, name)
            argument = f"{name}{equals}{value}"
            if name in _LISTS and not equals:
                labels = []
        yield argument
    if labels is not None:
        yield ",".join(labels)


class _App(SettingsCommand[BidsAppSettings]):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(spelled(args)))


command = _App(
    "bids-app",
    BidsAppSettings,
    act,
    "engines.bids_app",
    help="""Translate the images of a BIDS dataset into a BIDS derivative, called as every BIDS App:

    \b
        bids-app BIDS_DIR OUTPUT_DIR participant --participant-label 01 02

    Options may be written with hyphens or underscores. Runs for one participant each may share OUTPUT_DIR at
    the same time. Doubtful translations are listed, and are no failure; ends with 4 if images failed.""",
    arguments=("bids_dir", "output_dir", "analysis_level"),
    sections={
        "Options for the dataset": (
            *("participant_label", "session_id", "bids_filter_file", "skip_bids_validation"),
        ),
        "Machine options": ("device", "precision", "workers"),
    },
)
click.version_option(__version__, prog_name="medtranslate")(command)
