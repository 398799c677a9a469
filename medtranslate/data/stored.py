"""Slices of files, decoded once and kept framed in half precision.

They lie in a file that is mapped into memory (a 256-pixel slice is 128 KiB), so that a set may be larger
than the memory: one without a name that is gone when the run is, or one in a folder where later runs and
other processes find it. Half precision is finer than 0.4 HU in a window of 1,500 HU.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from monai.transforms import Compose
from torch import Tensor

from medtranslate import __version__
from medtranslate.config import Modality, NetworkSettings, ScaleSettings
from medtranslate.data.failures import check_failures, is_blank
from medtranslate.data.items import Item, Listing
from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused, Unreadable
from medtranslate.io import read_volume
from medtranslate.io.dicom_values import require_signal
from medtranslate.runtime import progress, whole_output
from medtranslate.transforms import AxialLayoutd, FrameHeadd, Normalised, to_slices
from medtranslate.transforms.monai_adapters import to_metatensor

MIN_VISIBLE = 0.02
"""Share of a frame that must be visible for a volume's slice to be trained on; air teaches nothing."""

_LAYOUT = 2
"""Version of the kept facts, part of their name."""

_WORKERS = 2

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class StoredSlices:
    """Slices of files, [N, 1, S, S] in half precision, and facts about them.

    Attributes:
        digests: of the images in their order, to tell whether two sources share some.
        groups: subjects or look-alikes, where known.
        record: counts, and a sentence for each image that was passed over; no identities.
        in_hu: indices [M] of the slices of CT whose HU are known, which those of most pictures are not.
    """

    images: Tensor
    digests: tuple[str, ...]
    groups: frozenset[str]
    record: dict[str, Any]
    in_hu: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.images[torch.randint(len(self.images), (count,), generator=generator)].float()

    def fixed(self, count: int) -> Tensor:
        places = torch.linspace(0, len(self.images) - 1, min(count, len(self.images)))
        return self.images[places.round().long()].float()


@dataclass(frozen=True)
class Request:
    """The images of a source, and the frame and scale that their slices are wanted in.

    Attributes:
        where: origin of the listing, as the user named it.
        out: output of the command; a long list of unusable images is written beside it.
        nan_to: value for voxels that are NaN; None counts such images as unusable.
        picture_hu: slope and offset from the grey values of CT pictures to HU.
    """

    listing: Listing
    where: str
    modality: Modality
    network: NetworkSettings
    scale: ScaleSettings
    out: Path
    nan_to: float | None = None
    picture_hu: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Decoded:
    item: Item
    slices: Tensor
    digest: str
    warnings: list[str]
    in_hu: bool


class _Blank:
    """Stands for a picture of one grey value."""


@dataclass(frozen=True)
class _Facts:
    """Facts about stored slices: the items of the listing that they are of, digests, counts.

    `in_hu` has the first slice, and that past the last, of each image of CT in HU.
    """

    decoded: list[int]
    digests: list[str]
    record: dict[str, Any]
    in_hu: list[tuple[int, int]]


def store(request: Request, *, folder: Path | None = None, quiet: bool) -> StoredSlices:
    """Decode framed slices of all images of a listing, in its order.

    Series of DICOM that are no regular volume (localizers, say) and blank pictures are passed over; so are
    other unusable images, up to the share that `check_failures` tolerates.

    Args:
        request: the images.
        folder: keep the slices there, and take them from there if files and settings are the same
            (names, sizes and times of change tell). No identities are kept.
        quiet: show no progress.

    Raises:
        InputRefused: too many images are unusable, or no slice shows a head.
        Unreadable: the kept slices are damaged.
    """
    if folder is None:
        with tempfile.TemporaryFile() as nameless:
            return _mapped(nameless, _decode_into(nameless, request, quiet=quiet), request)
    kept = folder / f"slices-{_key(request)}"
    if not kept.exists():
        with whole_output(kept, overwrite=False, folder=True) as fresh:
            with (fresh / "slices").open("wb") as file:
                text = json.dumps(asdict(_decode_into(file, request, quiet=quiet)))
            (fresh / "slices.json").write_text(text, encoding="utf-8")
    try:
        facts = _Facts(**json.loads((kept / "slices.json").read_text(encoding="utf-8")))
        with (kept / "slices").open("rb") as file:
            return _mapped(file, facts, request)
    except (IndexError, KeyError, OSError, TypeError, ValueError) as error:
        raise Unreadable(f"{kept}: damaged ({type(error).__name__}); remove it, it is made anew") from None


def _mapped(file: IO[bytes], facts: _Facts, request: Request) -> StoredSlices:
    size = request.network.size
    shape = (facts.record["slices"], 1, size, size)
    if os.fstat(file.fileno()).st_size != 2 * shape[0] * size**2:
        raise ValueError("cut")
    groups = (request.listing.items[index].group for index in facts.decoded)
    return StoredSlices(
        # Copy on write, because torch takes no read-only array; nothing is ever written.
        torch.from_numpy(np.memmap(file, np.float16, "c", shape=shape)),
        tuple(facts.digests),
        frozenset(group for group in groups if group),
        facts.record,
        torch.cat([torch.arange(0), *(torch.arange(*span) for span in facts.in_hu)]),
    )


def _key(request: Request) -> str:
    """Digest of all that the slices depend on."""

    @cache
    def files(path: Path) -> list[tuple[str, int, int]]:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        stats = [(str(file.resolve()), file.stat()) for file in found if file.is_file()]
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]

    # A text header's voxels may lie in another file.
    items = [
        (item.series, files(item.path.parent if item.path.suffix in (".mhd", ".nhdr", ".hdr") else item.path))
        for item in request.listing.items
    ]
    frame = request.network.size, request.network.margin, request.network.frame
    values = request.nan_to, request.picture_hu, asdict(request.scale)
    of = (__version__, _LAYOUT, request.modality, *frame, *values, request.listing.failures, items)
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]


def _decode_into(file: IO[bytes], request: Request, *, quiet: bool) -> _Facts:
    listing = request.listing
    failures, unsuited = list(listing.failures), list[str]()
    facts = _Facts([], [], {}, [])
    notes: Counter[str] = Counter()
    groups: set[str] = set()
    count, kept, blank = 0, 0, 0
    with progress(len(listing.items), "image", f"reading {request.modality}", quiet=quiet) as bar:
        for index, done in enumerate(_decode(request)):
            bar.update()
            if isinstance(done, _Blank):
                blank += 1
            elif isinstance(done, SeriesRefused | GeometryRefused):
                unsuited.append(str(done))
            elif isinstance(done, InputRefused):
                failures.append(str(done))
            else:
                visible = done.slices[(done.slices > -0.8).float().mean(dim=(1, 2, 3)) > MIN_VISIBLE]
                file.write(visible.numpy().tobytes())
                facts.decoded.append(index)
                facts.digests.append(done.digest)
                facts.in_hu.extend([(kept, kept + len(visible))] if done.in_hu else [])
                groups |= {done.item.group} if done.item.group else set()
                notes.update(done.warnings)
                count, kept = count + len(done.slices), kept + len(visible)
    total = len(listing.items) + len(listing.failures) - len(unsuited) - blank
    check_failures(failures, total, request.where, request.out)
    if not kept:
        raise Unreadable(_no_head(request, count, blank, unsuited))
    file.flush()
    facts.record.update(
        source=request.where,
        images=len(facts.digests),
        slices=kept,
        groups=len(groups),
        blank=blank,
        other_modality=listing.others,
        unsuited_series=unsuited,
        failures=failures,
        warnings=_by_kind(notes),
    )
    return facts


def _no_head(request: Request, count: int, blank: int, unsuited: list[str]) -> str:
    """Say why a set has no slice to train on."""
    more = f" ({blank} more pictures are of one grey value)" if blank else ""
    body = "head" if request.network.frame == "head" else "body"
    return (
        f"{request.where}: none of {count} slices shows a {body}{more}; check modality and window"
        + "".join(f"; {reason}" for reason in unsuited[:1])
    )


def _by_kind(notes: Counter[str]) -> dict[str, int]:
    """Count notes; those that differ in their numbers alone are one, that with the largest."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(_NUMBER.sub("", note), []).append(note)
    return {
        max(alike, key=lambda note: [float(number) for number in _NUMBER.findall(note)]): sum(
            notes[note] for note in alike
        )
        for alike in kinds.values()
    }


def _steps(modality: Modality, network: NetworkSettings, scale: ScaleSettings) -> Compose:
    return Compose(
        [
            AxialLayoutd("image"),
            Normalised("image", modality, scale),
            FrameHeadd("image", modality, network.size, network.margin, scale, network.frame),
        ]
    )


def _decode(request: Request) -> Iterator[_Decoded | _Blank | InputRefused]:
    """Decode the slices of each item, a few items ahead; a refusal in place of those that have none."""
    items, modality = request.listing.items, request.modality
    steps = _steps(modality, request.network, request.scale)

    def one(item: Item) -> _Decoded | _Blank | InputRefused:
        try:
            volume = read_volume(
                item.path,
                series=item.series,
                modality=modality,
                nan_to=request.nan_to,
                picture_hu=request.picture_hu,
            )
            require_signal(volume.meta)
            if is_blank(volume):
                return _Blank()
            framed = steps({"image": to_metatensor(volume)})["image"]
        except InputRefused as error:
            return error
        except RuntimeError as error:
            # MONAI wraps what a transform raises; the refusal inside says which file and why.
            if isinstance(error.__cause__, InputRefused):
                return error.__cause__
            raise
        slices = to_slices(framed.as_tensor()).half()
        in_hu = modality == "ct" and (not volume.is_picture or volume.meta.hu is not None)
        return _Decoded(item, slices, volume.meta.digest or "", list(volume.meta.warnings), in_hu)

    with ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(items), 8 * _WORKERS):
            yield from pool.map(one, items[start : start + 8 * _WORKERS])
