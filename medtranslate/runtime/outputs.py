"""Writes outputs that are complete or absent."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import permutations
from pathlib import Path

from medtranslate.errors import DiskFull, MedtranslateError, OutputExists, UsageError

RECORDS = (
    *("translation.json", "conversion.json", "result.json", "settings.yaml", "phantom.json", "model.json"),
    "prepared.json",
    "report.html",
    "export.json",
)
"""Names of records; every folder that a command writes holds one of them.

A record beside a file (`x.translation.json`) is not among them: its folder may be the user's.
"""

VIEW_SUFFIXES = (".html", ".htm", ".pdf", ".json", ".csv")
"""Suffixes of files in a folder of results; a name with such a suffix is not a folder."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_free(target: Path, *, overwrite: bool) -> None:
    """Refuse an output that would replace a foreign file or folder.

    Raises:
        OutputExists: `target` exists and `overwrite` is not set; or it holds the working directory, or
            is a folder without one of `RECORDS`, the mark of medtranslate.
    """
    if Path.cwd().is_relative_to(os.path.abspath(target)):
        raise OutputExists(f"{target}: holds the working directory; name a folder of its own")
    filled = target.is_dir() and not target.is_symlink() and any(target.iterdir())
    if filled and not any((target / name).is_file() for name in RECORDS):
        raise OutputExists(
            f"{target}: a folder that medtranslate did not write is not replaced; name a new folder or file,"
            f" such as {target / 'NAME'}"
        )
    if os.path.lexists(target) and not overwrite:
        raise OutputExists(f"{target}: exists already; give --overwrite to replace it")


def require_input(path: Path, output: Path) -> None:
    """Refuse a missing input if the output exists: the two may have been exchanged.

    Raises:
        UsageError: the input is missing and the output exists.
    """
    if not path.exists() and output.exists():
        raise UsageError(
            f"{path}: does not exist, but the output {output} does; check the path, and that the input"
            " comes before the output"
        )


def require_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that would replace an input; None is a path that was not given.

    Raises:
        UsageError: an input is, or lies in, an output; links are followed.
    """
    read = [path for path in inputs if path is not None]
    for output in (path for path in outputs if path is not None):
        for path in read:
            if path.resolve().is_relative_to(output.resolve()):
                raise UsageError(f"{output}: is or holds the input {path}; name another output")


@contextmanager
def whole_output(target: Path, *, overwrite: bool, folder: bool) -> Iterator[Path]:
    """Give a temporary path beside `target` that takes its place when the block succeeds.

    A block that raises (also by Ctrl-C) leaves `target` as before and nothing beside it, not even new
    parent folders. A folder is swapped in by two renames.

    Args:
        target: file or folder to write.
        overwrite: replace an existing `target`; otherwise it is refused before the block runs.
        folder: make the temporary path a folder.

    Raises:
        OutputExists: `check_free` refuses `target`.
        UsageError: the folder of `target` can't be made or written to.
        DiskFull: the file system of `target` is full.
    """
    with whole_outputs({target: folder}, overwrite=overwrite) as fresh:
        yield fresh[target]


@contextmanager
def whole_outputs(targets: Mapping[Path, bool], *, overwrite: bool) -> Iterator[dict[Path, Path]]:
    """Apply `whole_output` to the several outputs of one command: all of them, or none.

    If one of them cannot take its place, the others are moved back.

    Args:
        targets: files and folders to write, and whether each is a folder.
        overwrite: replace existing targets; otherwise they are refused before the block runs.

    Raises:
        OutputExists: `check_free` refuses a target.
        UsageError: a target is, or lies in, another; or its folder can't be made or written to.
        DiskFull: a file system is full.
    """
    _check_apart(list(targets))
    for target, folder in targets.items():
        if folder and target.suffix.lower() in VIEW_SUFFIXES:
            raise UsageError(
                f"{target}: names a file, but a folder is written here; leave {target.suffix} out"
            )
        check_free(target, overwrite=overwrite)
    fresh: dict[Path, Path] = {}
    try:
        with ExitStack() as cleared, ExitStack() as undone:
            fresh |= {target: _stage(target, folder, cleared) for target, folder in targets.items()}
            yield fresh
            for target, path in fresh.items():
                _put(path, Path(os.path.abspath(target)), path.parent / "replaced", undone)
            undone.pop_all()
    except BaseException as error:
        if is_disk_full(error):
            names = ", ".join(map(str, targets))
            raise DiskFull(f"{names}: the file system is full; free some space or write elsewhere") from error
        if isinstance(error, MedtranslateError):
            # The writer of a temporary path does not have the final place.
            for target, path in fresh.items():
                error.args = tuple(str(text).replace(str(path), str(target)) for text in error.args)
        raise


def _check_apart(targets: Sequence[Path]) -> None:
    places = [Path(os.path.abspath(target)) for target in targets]
    for one, other in permutations(range(len(places)), 2):
        if places[one].is_relative_to(places[other]):
            raise UsageError(f"{targets[one]}: is or lies in {targets[other]}, another output; name another")


def _stage(target: Path, folder: bool, cleared: ExitStack) -> Path:
    """Make a path of the target's name in a temporary folder beside it, which `cleared` removes."""
    place = Path(os.path.abspath(target))
    missing = [parent for parent in place.parents if not parent.exists()]
    cleared.callback(_remove_empty, missing)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".medtranslate-", dir=place.parent))
    except OSError as error:
        if is_disk_full(error):
            raise
        reason = (error.strerror or "failed").lower()
        raise UsageError(
            f"{target}: cannot be written there ({reason}); check the path and your rights to it"
        ) from error
    cleared.callback(shutil.rmtree, work, ignore_errors=True)
    fresh = work / place.name
    if folder:
        fresh.mkdir()
    return fresh


def _put(fresh: Path, place: Path, aside: Path, undone: ExitStack) -> None:
    """Move `fresh` to `place`, and the former content `aside`; `undone` moves both back."""
    undone.callback(_put_back, fresh, place, aside)
    _keep(fresh, place, aside)
    fresh.replace(place)


def _keep(fresh: Path, place: Path, aside: Path) -> None:
    if not (fresh.is_dir() or place.is_dir()):
        # A hard link keeps a file in place until the rename that replaces it.
        with suppress(OSError, NotImplementedError):  # a system without links, or without this option
            os.link(place, aside, follow_symlinks=False)
            return
    if os.path.lexists(place):
        place.replace(aside)


def _put_back(fresh: Path, place: Path, aside: Path) -> None:
    if not os.path.lexists(fresh) and os.path.lexists(place):
        place.replace(fresh)
    if os.path.lexists(aside):
        aside.replace(place)


def _remove_empty(parents: Sequence[Path]) -> None:
    """Remove empty folders, innermost first."""
    with suppress(OSError):
        for parent in parents:
            parent.rmdir()


def is_disk_full(error: BaseException) -> bool:
    """Check if an error, or its cause, reports a full file system or quota.

    Libraries in C++ or Rust report the system's message alone, without its number.
    """
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in _FULL or any(os.strerror(code) in str(cause) for code in _FULL):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
