"""Series that arrive: each image is on the disk before its sender gets an answer.

A series is complete when every association that brought images of it has ended and no further image has come
for the quiet time. After an association that was cut, or in which an image of the series was refused, the
series waits for another one, up to a limit.

`FOLDER/incoming/NAME/` holds the images of a series. NAME is a digest of the sender and the
SeriesInstanceUID. The hidden file `.open` is there while images may be missing, so that a node that was
killed finds out which series were cut.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydicom import dcmread

from medtranslate.io.dicom_files import without_comment
from medtranslate.node.durable import put, sync_folder

State = Literal["receiving", "queued", "sending", "done", "refused", "ignored"]
OPEN = ".open"
"""Mark of a series of which images may be missing."""


@dataclass
class Series:
    """Series of one sender.

    Attributes:
        name: digest of sender and SeriesInstanceUID.
        folder: of its images.
        caller: AE title of the sender.
        last: time of the last image or association, in seconds of the monotonic clock.
        held: associations that brought images and are still open.
        cut: an association ended without a release or lacked an image, and none has brought images since.
        due: time of the next try after a failure of the machine, in the same clock.
        key: digest of the images and their rule, once it is queued.
        reason: of a refusal, or of the last failure to translate or to send.
    """

    name: str
    folder: Path
    caller: str
    images: int = 0
    last: float = 0.0
    held: set[int] = field(default_factory=set)
    cut: bool = False
    state: State = "receiving"
    due: float = 0.0
    failures: int = 0
    key: str = ""
    reason: str = ""
    received: float = field(default_factory=time.time)


class Inbox:
    """Series on the disk and in memory; may be used by several threads.

    Args:
        folder: of the series.
        quiet: seconds without a new image that make a series complete.
        patience: seconds to wait for the rest of a series that was cut.
        free: bytes of the disk that stay free.
    """

    def __init__(self, folder: Path, *, quiet: float, patience: float, free: float) -> None:
        self.folder, self.quiet, self.patience, self.free = folder, quiet, patience, free
        self.lock = threading.RLock()
        self.series: dict[str, Series] = {}
        self.lacking: set[tuple[int, str]] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                self._find(path)

    def _find(self, folder: Path) -> None:
        """Take up a series that an earlier run received."""
        for part in folder.glob(".*.part"):
            part.unlink()
        images = sorted(folder.glob("*.dcm"))
        if not images:
            shutil.rmtree(folder)
            return
        with without_comment():
            caller = dcmread(images[0], specific_tags=[]).file_meta.get("SourceApplicationEntityTitle", "")
        found = Series(folder.name, folder, str(caller), len(images), time.monotonic())
        found.cut = (folder / OPEN).exists()
        found.received = folder.stat().st_mtime
        self.series[folder.name] = found

    def store(self, caller: str, association: int, series_uid: str, instance_uid: str, file: bytes) -> None:
        """Put an image on the disk; one that is there already, byte for byte, changes nothing.

        Args:
            association: number of the association that brought it.
            file: the whole DICOM file.

        Raises:
            OSError: the disk is full.
        """
        name = digest_of(f"{caller}\0{series_uid}")
        with self.lock:
            series = self.series.get(name) or Series(name, self.folder / name, caller)
            path = series.folder / f"{digest_of(instance_uid)}.dcm"
            known = path.is_file()
            if known and path.stat().st_size == len(file) and path.read_bytes() == file:
                if series.state == "receiving" or series.cut:
                    series.state = "receiving"
                    self._hold(series, association)
                return
            if shutil.disk_usage(self.folder).free < self.free + len(file):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
            self.series[name] = series
            series.folder.mkdir(exist_ok=True)
            self._hold(series, association)
            series.state, series.last = "receiving", time.monotonic()
        put(path, file)
        with self.lock:
            series.images += not known
            series.last = time.monotonic()

    def _hold(self, series: Series, association: int) -> None:
        """Note that an association brings images of a series."""
        if association in series.held:
            return
        mark = series.folder / OPEN
        if not mark.exists():
            mark.touch()
            sync_folder(series.folder)
        series.held.add(association)
        series.cut = False

    def lack(self, caller: str, association: int, series_uid: str) -> None:
        """Note that an image was refused; without a series it may be of any that came with it."""
        with self.lock:
            self.lacking.add((association, digest_of(f"{caller}\0{series_uid}") if series_uid else ""))

    def end(self, association: int, *, released: bool) -> None:
        """Note the end of an association.

        Args:
            released: it ended as agreed, so its sender has sent everything.
        """
        with self.lock:
            for series in self.series.values():
                if association not in series.held:
                    continue
                series.held.discard(association)
                series.last = time.monotonic()
                lacks = not self.lacking.isdisjoint({(association, series.name), (association, "")})
                series.cut |= lacks or not released
                if not series.held and not series.cut:
                    (series.folder / OPEN).unlink(missing_ok=True)
            self.lacking = {each for each in self.lacking if each[0] != association}

    def take(self) -> Series | None:
        """Take the next series that is complete or was given up, and set it to `queued`."""
        now = time.monotonic()
        with self.lock:
            waiting = [
                series
                for series in self.series.values()
                if series.state == "receiving"
                and series.images
                and not series.held
                and now >= series.due
                and now - series.last >= (self.patience if series.cut else self.quiet)
            ]
            first = min(waiting, key=lambda series: series.last, default=None)
            if first:
                first.state = "queued"
            return first

    def forget(self, keep: float) -> None:
        """Remove series that have been settled for `keep` seconds, and those without images."""
        now = time.monotonic()
        with self.lock:
            for series in list(self.series.values()):
                settled = series.state in ("done", "refused", "ignored") and now - series.last > keep
                if not series.held and (settled or not series.images):
                    shutil.rmtree(series.folder, ignore_errors=True)
                    del self.series[series.name]


def digest_of(text: str) -> str:
    """Give the name of a file or a folder for a text from a header."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
