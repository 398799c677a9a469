"""Exit code and message of an exception that ended a command."""

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
    """Return the exit code and message (one line; empty for none) of the exception that ended a command."""
    from medtranslate.runtime import one_line

    code, message = _explain(error)
    return code, one_line(message)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the cells of a table; each row is one line, whatever its cells contain."""
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
            # The reader (`| head`) has gone: no further output, and no complaint at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE, ""
        case click.ClickException():
            return UsageError.exit_code, _usage(error)
    from medtranslate.runtime import advice

    if text := advice(error):
        return RunFailed.exit_code, text
    return 1, f"this is a bug: {type(error).__name__}: {error}; please report what --debug prints"


def _usage(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}; see `{context.command_path if context else 'medtranslate'} --help`"
