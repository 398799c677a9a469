"""Outputs that are whole or absent, progress that goes to stderr, and signals that wait for a step's end."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import permutations
from pathlib import Path
from types import FrameType
from typing import Any, Never, TypeVar

from tqdm import tqdm

from medtranslate.errors import DiskFull, OutputExists, UsageError

RECORDS = (
    *("translation.json", "conversion.json", "result.json", "settings.yaml", "phantom.json", "model.json"),
    "prepared.json",
    "report.html",
)
"""Files of which every folder that a command writes holds one.

A record beside a file (`x.translation.json`) is none of them: its folder may be the user's.
"""

Item = TypeVar("Item")
Given = TypeVar("Given")
Made = TypeVar("Made")
Done = TypeVar("Done")

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
    if filled and not any((target / name).is_file() for name in RECORDS):
        raise OutputExists(
            f"{target}: a folder that medtranslate did not write is not replaced;"
            " name another, or remove it yourself"
        )


def require_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that would replace what a command reads; None is one that was not given.

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
    """A temporary path beside `target` that takes its place when the block ends well.

    A block that raises (Ctrl-C too) leaves `target` as it was and nothing beside it, missing parent
    folders included. A folder is swapped in by two renames.

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
    """`whole_output` for the several outputs of one command: all of them, or none.

    Should one of them fail to take its place, those that already did give theirs back.

    Args:
        targets: files and folders to write, and whether each is a folder.
        overwrite: replace what exists; otherwise it is refused before the block runs.

    Raises:
        OutputExists: `check_free` refuses a target.
        UsageError: a target is, or lies in, another; or its folder can't be made or written to.
        DiskFull: a file system is full.
    """
    _check_apart(list(targets))
    for target in targets:
        check_free(target, overwrite=overwrite)
    try:
        with ExitStack() as cleared, ExitStack() as undone:
            fresh = {target: _stage(target, folder, cleared) for target, folder in targets.items()}
            yield fresh
            for target, path in fresh.items():
                _put(path, Path(os.path.abspath(target)), path.parent / "replaced", undone)
            undone.pop_all()
    except BaseException as error:
        if is_disk_full(error):
            names = ", ".join(map(str, targets))
            raise DiskFull(f"{names}: the file system is full; free some space or write elsewhere") from error
        raise


def _check_apart(targets: Sequence[Path]) -> None:
    places = [Path(os.path.abspath(target)) for target in targets]
    for one, other in permutations(range(len(places)), 2):
        if places[one].is_relative_to(places[other]):
            raise UsageError(f"{targets[one]}: is or lies in {targets[other]}, another output; name another")


def _stage(target: Path, folder: bool, cleared: ExitStack) -> Path:
    """A path of the target's name in a temporary folder beside it, which `cleared` removes."""
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
    """Move `fresh` to `place`, and what stood there `aside`; `undone` moves both back."""
    undone.callback(_put_back, fresh, place, aside)
    _keep(fresh, place, aside)
    fresh.replace(place)


def _keep(fresh: Path, place: Path, aside: Path) -> None:
    if not (fresh.is_dir() or place.is_dir()):
        # A second name for a file leaves the first in place until the very rename that replaces it.
        with suppress(OSError):
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
    """Remove folders (innermost first) that nobody has put anything into."""
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


def staged(
    items: Iterable[Item],
    read: Callable[[Item], Given],
    work: Callable[[Given], Made],
    write: Callable[[Made], Done],
) -> Iterator[Done]:
    """`write(work(read(item)))` of each item, in order: the next is read and the last written meanwhile.

    `read` and `write` have a thread each; `work` runs where the results are asked for. One item at most
    waits between two stages, so four are held at a time, however many there are. What a stage raises comes
    after the results of the items before it, and nothing is begun after it. When the iterator ends, is
    closed or interrupted, what is under way is waited for, and no thread is left.
    """
    left = iter(items)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:

        def begin() -> Future[Given] | None:
            return next((reader.submit(read, item) for item in left), None)

        going: Future[Done] | None = None
        try:
            coming = begin()
            while coming is not None:
                given = coming.result()
                coming = begin()
                made = work(given)
                del given
                if going is not None:
                    yield going.result()
                going = writer.submit(write, made)
                del made
        except Exception:
            if going is not None:
                last, going = going, None
                yield last.result()
            raise
        if going is not None:
            yield going.result()


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM be a request, which the block asks for where it can stop.

    The second does what a signal does outside: it ends the work at once. A signal that was ignored
    before stays so, as that of a shell's background job is. Python hears signals in the main thread
    alone; in others the block is never asked to stop.

    Yields:
        Whether a signal has come.
    """
    asked = threading.Event()
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in former.items() if handler not in (signal.SIG_IGN, None)]
    if threading.current_thread() is not threading.main_thread():
        heard = []

    def give_back() -> None:
        for number in heard:
            signal.signal(number, former[number])

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        give_back()

    for number in heard:
        signal.signal(number, note)
    try:
        yield asked.is_set
    finally:
        give_back()


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


def progress(total: int, unit: str, what: str, *, done: int = 0, quiet: bool = False) -> tqdm[Never]:
    """A bar on a terminal, a plain line every half minute elsewhere; always on stderr.

    Args:
        total: units of the whole work.
        unit: a singular noun: image, slice.
        what: the work in a word or two.
        done: units that were done before.
        quiet: show nothing.
    """
    style: dict[str, Any] = {
        "file": _Lines(),
        "mininterval": 30.0,
        "bar_format": "{desc}: {n_fmt} of {total_fmt} {unit}s, {elapsed} gone, {remaining} to go{postfix}",
    }
    if sys.stderr.isatty():
        style = {"mininterval": 0.2, "dynamic_ncols": True}
    return tqdm(total=total, initial=done, unit=unit, desc=what, disable=quiet, **style)
