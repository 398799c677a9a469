"""What escaped a command, as an exit code and one line."""

from __future__ import annotations

import errno
import os
import signal
import sys

import click

from medtranslate.errors import MedtranslateError, RunFailed, UsageError

_INTERRUPTED = 130
_TERMINATED = 128 + signal.SIGTERM
_BROKEN_PIPE = 141
_ENVIRONMENT = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EIO,
    errno.EFBIG,
    errno.EMFILE,
)
"""Errors of the system that the user, not the programmer, can mend."""
_NO_MEMORY = ("can't allocate memory", "out of memory")


def explain(error: BaseException) -> tuple[int, str]:
    """Exit code and message (one line; empty for none) of whatever ended a command."""
    from medtranslate.jobs import one_line

    code, message = _explain(error)
    return code, one_line(message)


def _explain(error: BaseException) -> tuple[int, str]:
    match error:
        case MedtranslateError():
            return error.exit_code, str(error)
        case KeyboardInterrupt():
            return _INTERRUPTED, "interrupted"
        case SystemExit(code=int(code)):
            return code, "terminated" if code == _TERMINATED else ""
        case BrokenPipeError():
            # The reader (`| head`) has gone: nothing more to say, and no complaint at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE, ""
        case click.ClickException():
            return UsageError.exit_code, _usage(error)
    if advice := _advice(error):
        return RunFailed.exit_code, advice
    return 1, f"this is a bug: {type(error).__name__}: {error}; please report what --debug prints"


def _usage(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}; see `{context.command_path if context else 'medtranslate'} --help`"


def _advice(error: BaseException) -> str:
    """What to do about an error of the machine rather than of the program; empty for none."""
    from medtranslate.jobs import is_disk_full

    name = getattr(error, "filename", None)
    where = f"{name}: " if name else ""
    if is_disk_full(error):
        return f"{where}the file system is full; free some space or write elsewhere"
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
        return "out of memory; take a smaller --batch or another --device, or close other programs"
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT:
        return f"{where}{(error.strerror or 'failed').lower()}; check the path and your rights to it"
    return ""
