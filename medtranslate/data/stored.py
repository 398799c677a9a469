"""Slices of files, decoded once and kept framed in half precision.

They lie in a temporary file that is mapped into memory (a 256-pixel slice is 128 KiB), so that a set may
be larger than the memory; the file has no name and is gone when the run is. Half precision is finer than
0.4 HU in a window of 1,500 HU.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from torch import Tensor

from medtranslate.config import Modality, NetworkSettings, ScaleSettings
from medtranslate.data.failures import check_failures
from medtranslate.data.items import Item, Listing
from medtranslate.errors import GeometryRefused, InputRefused, SeriesRefused, Unreadable
from medtranslate.io import read_volume
from medtranslate.jobs import progress
from medtranslate.transforms import AxialLayoutd, FrameHeadd, Normalised, to_slices

MIN_VISIBLE = 0.02
"""Share of a frame that must be visible for a volume's slice to be trained on; air teaches nothing."""

_WORKERS = 2


@dataclass(frozen=True)
class StoredSlices:
    """Slices of files, [N, 1, S, S] in half precision, and what is known of them.

    Attributes:
        digests: of the images, to tell whether two sources share some.
        groups: whose they are, where known.
        record: counts, and a sentence for each image that was passed over; no identities.
    """

    images: Tensor
    digests: frozenset[str]
    groups: frozenset[str]
    record: dict[str, Any]

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.images[torch.randint(len(self.images), (count,), generator=generator)].float()

    def fixed(self, count: int) -> Tensor:
        places = torch.linspace(0, len(self.images) - 1, min(count, len(self.images)))
        return self.images[places.round().long()].float()


@dataclass(frozen=True)
class _Decoded:
    item: Item
    slices: Tensor
    digest: str
    warnings: list[str]


def store(
    listing: Listing,
    where: str,
    modality: Modality,
    network: NetworkSettings,
    scale: ScaleSettings,
    *,
    quiet: bool,
) -> StoredSlices:
    """Framed slices of all images of a listing, in its order.

    Series of DICOM that are no regular volume (localizers, say) are passed over; so are other unusable
    images, up to the share that `check_failures` tolerates.

    Args:
        where: what the listing was made from.

    Raises:
        InputRefused: too many images are unusable, or no slice shows a head.
    """
    failures, unsuited = list(listing.failures), list[str]()
    digests: list[str] = []
    groups: set[str] = set()
    notes: Counter[str] = Counter()
    count, seen, size = 0, 0, network.size
    steps = _steps(modality, network, scale)
    bar = progress(len(listing.items), "image", f"reading {modality}", quiet=quiet)
    with tempfile.TemporaryFile() as file, bar:
        for done in _decode(listing.items, steps, modality):
            bar.update()
            if isinstance(done, SeriesRefused | GeometryRefused):
                unsuited.append(str(done))
            elif isinstance(done, InputRefused):
                failures.append(str(done))
            else:
                visible = done.slices[(done.slices > -0.8).float().mean(dim=(1, 2, 3)) > MIN_VISIBLE]
                file.write(visible.numpy().tobytes())
                digests.append(done.digest)
                groups |= {done.item.group} if done.item.group else set()
                notes.update(done.warnings)
                count, seen = count + len(done.slices), seen + len(visible)
        check_failures(failures, len(listing.items) + len(listing.failures) - len(unsuited), where)
        if not seen:
            raise Unreadable(
                f"{where}: none of {count} slices shows a head; check modality and window"
                + "".join(f"; {reason}" for reason in unsuited[:1])
            )
        file.flush()
        # Copy on write, because torch takes no read-only array; nothing is ever written.
        images = torch.from_numpy(np.memmap(file, np.float16, "c", shape=(seen, 1, size, size)))
    record = {
        "source": where,
        "images": len(digests),
        "slices": seen,
        "groups": len(groups),
        "other_modality": listing.others,
        "unsuited_series": unsuited,
        "failures": failures,
        "warnings": dict(notes),
    }
    return StoredSlices(images, frozenset(digests), frozenset(groups), record)


def _steps(modality: Modality, network: NetworkSettings, scale: ScaleSettings) -> Compose:
    return Compose(
        [
            AxialLayoutd("image"),
            Normalised("image", modality, scale),
            FrameHeadd("image", modality, network.size, network.margin, scale),
        ]
    )


def _decode(items: list[Item], steps: Compose, modality: Modality) -> Iterator[_Decoded | InputRefused]:
    """Each item's slices, or why it has none; some items ahead of what is taken, so memory is bounded."""

    def one(item: Item) -> _Decoded | InputRefused:
        try:
            volume = read_volume(item.path, series=item.series, modality=modality)
            framed = steps({"image": volume})["image"]
        except InputRefused as error:
            return error
        except RuntimeError as error:
            # MONAI wraps what a transform raises; the refusal inside says which file and why.
            if isinstance(error.__cause__, InputRefused):
                return error.__cause__
            raise
        slices = to_slices(framed.as_tensor()).half()
        return _Decoded(item, slices, volume.meta["digest"], volume.meta["warnings"])

    with ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(items), 8 * _WORKERS):
            yield from pool.map(one, items[start : start + 8 * _WORKERS])
