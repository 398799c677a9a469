"""Outputs that are whole or absent, and progress that goes to stderr."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Never

from tqdm import tqdm

from medtranslate.errors import DiskFull, OutputExists

RECORDS = (
    *("*translation.json", "result.json", "settings.yaml", "phantom.json", "model.json", "prepared.json"),
    "report.html",
)
"""Files of which every folder that a command writes holds one."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_free(target: Path, *, overwrite: bool) -> None:
    """Refuse an output that would replace what it should not.

    Raises:
        OutputExists: `target` is there and `overwrite` is not set; or it holds the working directory, or
            is a folder in which nothing of `RECORDS` says that medtranslate wrote it.
    """
    if Path.cwd().is_relative_to(os.path.abspath(target)):
        raise OutputExists(f"{target}: holds the working directory; name a folder of its own")
    if os.path.lexists(target) and not overwrite:
        raise OutputExists(f"{target}: exists already; give --overwrite to replace it")
    filled = target.is_dir() and not target.is_symlink() and any(target.iterdir())
    if filled and not any(next(target.glob(name), None) for name in RECORDS):
        raise OutputExists(
            f"{target}: a folder that medtranslate did not write is not replaced;"
            " name another, or remove it yourself"
        )


@contextmanager
def whole_output(target: Path, *, overwrite: bool, folder: bool) -> Iterator[Path]:
    """A temporary path beside `target` that takes its place when the block ends well.

    A block that raises (Ctrl-C too) leaves `target` as it was and nothing beside it, missing parent
    folders included. A folder is swapped in by two renames.

    Args:
        target: file or folder to write.
        overwrite: replace an existing `target`; otherwise it is refused before the block runs.
        folder: make the temporary path a folder.

    Raises:
        OutputExists: `check_free` refuses `target`.
        DiskFull: the file system of `target` is full.
    """
    check_free(target, overwrite=overwrite)
    place = Path(os.path.abspath(target))
    missing = [parent for parent in place.parents if not parent.exists()]
    work = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".medtranslate-", dir=place.parent))
        fresh = work / place.name
        if folder:
            fresh.mkdir()
        yield fresh
        _put(fresh, place, work / "replaced")
    except BaseException as error:
        _remove(work, missing)
        if is_disk_full(error):
            raise DiskFull(
                f"{target}: its file system is full; free some space or write elsewhere"
            ) from error
        raise
    _remove(work, [])


def _put(fresh: Path, place: Path, aside: Path) -> None:
    """Move `fresh` to `place`; what stood there goes `aside`, and back should the move fail."""
    if not (fresh.is_dir() or place.is_dir()):
        fresh.replace(place)
        return
    try:
        if os.path.lexists(place):
            place.replace(aside)
        fresh.replace(place)
    except BaseException:
        if os.path.lexists(aside) and not os.path.lexists(place):
            aside.replace(place)
        raise


def _remove(work: Path | None, parents: list[Path]) -> None:
    """Remove the temporary folder, and the parents (innermost first) that nobody else has used."""
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):
        for parent in parents:
            parent.rmdir()


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one behind it, says that a file system or quota is full.

    Libraries written in C++ or Rust report the system's words alone, without its number.
    """
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in _FULL or any(os.strerror(code) in str(cause) for code in _FULL):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def warn(sentences: Iterable[str]) -> None:
    """Print warnings to stderr, each in one line whatever names are in it."""
    for sentence in sentences:
        print(f"warning: {one_line(sentence)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Control characters (of file names, say) escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class _Lines:
    """Turns the redrawn bar into lines, for logs and pipes."""

    def write(self, text: str) -> None:
        if line := text.strip():
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(total: int, unit: str, what: str, *, quiet: bool = False) -> tqdm[Never]:
    """A bar on a terminal, a plain line every half minute elsewhere; always on stderr.

    `unit` is a singular noun: image, slice.
    """
    if sys.stderr.isatty():
        return tqdm(total=total, unit=unit, desc=what, disable=quiet, mininterval=0.2, dynamic_ncols=True)
    return tqdm(
        total=total,
        unit=unit,
        desc=what,
        disable=quiet,
        file=_Lines(),
        mininterval=30.0,
        bar_format="{desc}: {n_fmt} of {total_fmt} {unit}s, {elapsed} gone, {remaining} to go{postfix}",
    )
