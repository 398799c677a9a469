"""What escaped a command, as an exit code and one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from medtranslate.errors import MedtranslateError, RunFailed, UsageError
from medtranslate.interrupts import INTERRUPTED

_TERMINATED = 128 + signal.SIGTERM
_BROKEN_PIPE = 141


def explain(error: BaseException) -> tuple[int, str]:
    """Exit code and message (one line; empty for none) of whatever ended a command."""
    from medtranslate.runtime import one_line

    code, message = _explain(error)
    return code, one_line(message)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, a line a row; whatever is in a cell, it stays one."""
    from medtranslate.runtime import one_line

    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [one_line("  ".join(map(str.ljust, cells, widths)).rstrip()) for cells in rows]


def _explain(error: BaseException) -> tuple[int, str]:
    match error:
        case MedtranslateError():
            return error.exit_code, str(error)
        case KeyboardInterrupt():
            return INTERRUPTED, "interrupted"
        case SystemExit(code=int(code)):
            return code, "terminated" if code == _TERMINATED else ""
        case BrokenPipeError():
            # The reader (`| head`) has gone: nothing more to say, and no complaint at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE, ""
        case click.ClickException():
            return UsageError.exit_code, _usage(error)
    from medtranslate.runtime import advice

    if said := advice(error):
        return RunFailed.exit_code, said
    return 1, f"this is a bug: {type(error).__name__}: {error}; please report what --debug prints"


def _usage(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}; see `{context.command_path if context else 'medtranslate'} --help`"
