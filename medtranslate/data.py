"""Where training slices come from: folders, files, or an endless stream of phantom heads.

A source gives framed slices [B, 1, S, S] in [-1, 1] of one modality; there is no pairing. Files are
read once through MONAI's `CacheDataset` and kept in half precision (a 256-pixel slice is 128 KiB).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from monai.data import CacheDataset, MetaTensor
from monai.transforms import Compose
from torch import Tensor

from medtranslate import phantom
from medtranslate.config import Modality, NetworkSettings, ScaleSettings, StreamContrast
from medtranslate.errors import MedtranslateError, SettingsError, Unreadable
from medtranslate.io import detect_format, list_pictures, read_volume
from medtranslate.transforms import (
    AxialLayoutd,
    FrameHeadd,
    Normalised,
    find_frame,
    into_frame,
    isolate,
    mr_top,
    scale_ct,
    scale_mr,
    to_slices,
)

MIN_VISIBLE = 0.02
"""Share of a frame that must be visible for a volume's slice to be trained on; air teaches nothing."""


class Source(Protocol):
    """Draws slices [count, 1, S, S] in [-1, 1]; the same generator state gives the same slices."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor: ...

    def fixed(self, count: int) -> Tensor:
        """Slices spread over the source, the same at each call; fewer where there are fewer."""
        ...


@dataclass(frozen=True)
class StoredSlices:
    """Slices of files, [N, 1, S, S] in half precision."""

    images: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.images[torch.randint(len(self.images), (count,), generator=generator)].float()

    def fixed(self, count: int) -> Tensor:
        places = torch.linspace(0, len(self.images) - 1, min(count, len(self.images)))
        return self.images[places.round().long()].float()


@dataclass(frozen=True)
class PhantomSlices:
    """Slices of phantom heads whose seeds lie in [first, last]; a head is hardly ever met twice."""

    first: int
    last: int
    modality: Modality
    contrast: StreamContrast
    network: NetworkSettings
    scale: ScaleSettings

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(self.first, self.last + 1, (), generator=generator))
        return self._slices(seed, count)

    def fixed(self, count: int) -> Tensor:
        return self._slices(self.first, count)

    def _slices(self, seed: int, count: int) -> Tensor:
        heads = phantom.slices(seed, count, self.network.size, contrast=self.contrast)
        if self.modality == "ct":
            images = scale_ct(heads.ct, self.scale.ct_window)
        else:
            images = scale_mr_each(heads.mr, self.scale)
        return frame_each(images, self.modality, self.network)


def open_source(
    text: str,
    modality: Modality,
    network: NetworkSettings,
    scale: ScaleSettings,
    contrast: StreamContrast,
    *,
    quiet: bool,
) -> Source:
    """A source by its text in the settings: `phantom:FIRST-LAST`, a file, or a folder.

    Args:
        contrast: of phantom MR slices.

    Raises:
        SettingsError: the range of phantom seeds is not one, or reaches into the held-out seeds.
        InputRefused: a file is refused, or there is none.
    """
    if not text.startswith("phantom:"):
        return StoredSlices(read_slices(Path(text), modality, network, scale, quiet=quiet))
    match = re.fullmatch(r"phantom:(\d+)-(\d+)", text)
    first, last = (int(match[1]), int(match[2])) if match else (1, 0)
    if not first <= last < phantom.HELD_OUT:
        raise SettingsError(
            f"{modality}: {text!r} is no range of phantom seeds;"
            f" write phantom:FIRST-LAST, below {phantom.HELD_OUT}"
        )
    return PhantomSlices(first, last, modality, contrast, network, scale)


def read_slices(
    path: Path, modality: Modality, network: NetworkSettings, scale: ScaleSettings, *, quiet: bool
) -> Tensor:
    """Framed slices [N, 1, S, S] of every image below `path`, in half precision, in natural order.

    Raises:
        InputRefused: a file is refused, or no slice shows a head.
    """
    steps = Compose(
        [
            lambda item: {"image": read_volume(item["path"], modality=modality)},
            AxialLayoutd("image"),
            Normalised("image", modality, scale),
            FrameHeadd("image", modality, network.size, network.margin),
        ]
    )
    items = [{"path": item} for item in list_images(path)]
    try:
        cached = CacheDataset(items, steps, num_workers=2, progress=not quiet)
        volumes: list[MetaTensor] = [cached[index]["image"] for index in range(len(cached))]
    except RuntimeError as error:
        # MONAI wraps what a transform raises; the refusal inside says which file and why.
        if isinstance(error.__cause__, MedtranslateError):
            raise error.__cause__ from None
        raise
    slices = torch.cat([to_slices(volume.as_tensor()).half() for volume in volumes])
    seen = slices[(slices > -0.8).float().mean(dim=(1, 2, 3)) > MIN_VISIBLE]
    if not len(seen):
        raise Unreadable(f"{path}: none of {len(slices)} slices shows a head; check modality and window")
    return seen


def list_images(path: Path) -> list[Path]:
    """What `read_volume` shall read below `path`: a file, pictures, NIfTI files, or DICOM series' folders.

    Raises:
        Unreadable: there is nothing.
    """
    if path.is_file():
        return [path]
    if pictures := list_pictures(path):
        return pictures
    if volumes := sorted(path.glob("*.nii*")):
        return volumes
    if detect_format(path) == "dicom":
        folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
        return folders or [path]
    raise Unreadable(f"{path}: holds no picture, NIfTI file or DICOM series")


def frame_each(images: Tensor, modality: Modality, network: NetworkSettings) -> Tensor:
    """Slices [B, 1, S, S] in [-1, 1], each framed to its own head."""
    return torch.cat([_framed(image[None], image[None], modality, network) for image in images])


def frame_pairs(
    ct: Tensor, mr: Tensor, wanted: Tensor, network: NetworkSettings, scale: ScaleSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Aligned phantom slices in physical units to [-1, 1], all in the frame of their CT.

    Args:
        ct: HU, [B, 1, S, S].
        mr: arbitrary units.
        wanted: the same slices in another contrast.
    """
    images = torch.stack(
        [scale_ct(ct, scale.ct_window), scale_mr_each(mr, scale), scale_mr_each(wanted, scale)], 1
    )
    framed = [_framed(three[:1], three, "ct", network) for three in images]
    first, second, third = torch.stack(framed).unbind(1)
    return first, second, third


def scale_mr_each(images: Tensor, scale: ScaleSettings) -> Tensor:
    """MR slices [B, 1, S, S] in arbitrary units to [-1, 1], each by its own percentile, as pictures are."""
    return torch.stack([scale_mr(image, mr_top(image, scale.mr_percentile)) for image in images])


def _framed(guide: Tensor, images: Tensor, modality: Modality, network: NetworkSettings) -> Tensor:
    """Images of one slice [N, 1, S, S], framed to the head that `guide` [1, 1, S, S] shows."""
    frame, head = find_frame(guide, modality, network.margin)
    return torch.cat([into_frame(isolate(image[None], head), frame, network.size) for image in images])
