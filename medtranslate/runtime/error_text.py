"""Describes failures of the machine rather than of the program."""

from __future__ import annotations

import errno

from medtranslate.errors import MedtranslateError
from medtranslate.runtime.outputs import is_disk_full

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
"""System errors that the user, not the programmer, can remove."""
_NO_MEMORY = ("can't allocate memory", "out of memory")


def advice(error: BaseException) -> str:
    """Suggest a remedy for an error of the machine; empty for any other error."""
    name = getattr(error, "filename", None)
    where = f"{name}: " if name else ""
    if is_disk_full(error):
        return f"{where}the file system is full; free some space or write elsewhere"
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
        return "out of memory; take a smaller --batch or another --device, or close other programs"
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT:
        return f"{where}{(error.strerror or 'failed').lower()}; check the path and your rights to it"
    return ""


def reason(error: Exception) -> str:
    """Give the reason in a sentence why one of many items failed."""
    if isinstance(error, MedtranslateError):
        return str(error)
    return advice(error) or f"this is a bug: {type(error).__name__}: {error}; please report it"
