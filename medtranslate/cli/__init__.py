"""The command line: parse, call one function, print.

Help for the whole program imports neither pydantic nor numpy nor torch: a command's module is
imported when that command is asked for.
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence

import click

from medtranslate import __version__
from medtranslate.cli.failures import aligned, explain

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("medtranslate.cli.demo", "Make a phantom study, translate it and score it."),
    "prepare": ("medtranslate.cli.prepare", "Group, clean and split pictures to train on."),
    "info": ("medtranslate.cli.info", "List what a file or folder holds, and what would be refused."),
    "train": ("medtranslate.cli.train", "Train on CT and MR images without pairs."),
    "translate": ("medtranslate.cli.translate", "Translate CT to MR or MR to CT."),
    "batch": ("medtranslate.cli.batch", "Translate many volumes; go on where it was left."),
    "bids-app": ("medtranslate.cli.bids_app", "Translate a BIDS dataset, called as a BIDS App."),
    "mercure": ("medtranslate.cli.mercure", "Translate DICOM series, called as a module of mercure."),
    "node": ("medtranslate.cli.node", "Take series from an archive, translate them, send results back."),
    "evaluate": ("medtranslate.cli.evaluate", "Score a translation against the truth."),
    "report": ("medtranslate.cli.report", "Show what was recorded: pages, a PDF, DICOM for the study."),
    "calibrate": ("medtranslate.cli.calibrate", "Fit a model's uncertainty to the errors on known pairs."),
    "cycle": ("medtranslate.cli.cycle", "Translate there and back, and score what returns."),
    "convert": ("medtranslate.cli.convert", "Convert files between formats, geometry kept."),
    "phantom": ("medtranslate.cli.phantom", "Write a digital head in both modalities."),
    "run": ("medtranslate.cli.run", "Run a command with the settings of a YAML file."),
    "models": ("medtranslate.cli.models", "List the models at hand, show a model's card."),
}
"""Command to its module, which holds it as `command`, and its line in the help."""


EXIT_CODES = """0    done
    1    a bug in medtranslate
    2    wrong usage
    3    the input is refused, nothing is written
    4    some of many items failed or are doubtful, and are listed
    5    the run failed for another reason that you can mend
    130  interrupted (143: terminated)"""


class Group(click.Group):
    """Commands, which are shown where none is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])


class _Commands(Group):
    """The commands of `COMMANDS`, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


program = _Commands(
    name="medtranslate",
    help="Translate between CT and MR images of the same anatomy. Research software, not a medical device.",
    epilog=f"""`medtranslate COMMAND --help` lists what a command takes.

    \b
    Exit codes:
    {EXIT_CODES}""",
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, prog_name="medtranslate")(program)


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; a failure is one line on stderr."""
    try:
        with program.make_context("medtranslate", list(arguments)) as context:
            program.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BaseException as error:
        if "--debug" in arguments:
            traceback.print_exc()
        code, message = explain(error)
        if message:
            print(f"error: {message}", file=sys.stderr)
        for line in aligned(getattr(error, "rows", ())):
            print(f"    {line}", file=sys.stderr)
        return code
    return 0


def main() -> int:
    """Entry point of the console script."""
    # Caught as an exception, a request to end lets half-written outputs be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if "--debug" not in sys.argv:
        # Libraries quote values of DICOM headers in what they warn of, which may identify a patient.
        warnings.simplefilter("ignore")
        logging.disable()
    return invoke(sys.argv[1:])
