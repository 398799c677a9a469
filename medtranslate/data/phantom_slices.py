"""Slices of phantom heads, made as they are drawn, and framed as those of files are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medtranslate import phantom
from medtranslate.config import Modality, NetworkSettings, ScaleSettings, StreamContrast
from medtranslate.transforms import Frame, find_frame, into_frame, isolate, mr_top, scale_ct, scale_mr

FIELD = 1.5
"""Field of a CT that comes as it is, over that of an MR: scanners show the headrest and much air."""

BRIGHTEST = 1000.0
"""Intensity of the brightest tissue that a sequence shows, as `phantom.mr_values` has it."""


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
            images = scale_ct(heads.ct, self.scale.ct_curve)
            if self.network.frame == "slice":
                images = _in_wider_field(images)
        else:
            images = scale_mr_each(heads.mr, self.scale)
        return frame_each(images, self.modality, self.network, self.scale)


def _in_wider_field(images: Tensor) -> Tensor:
    side = images.shape[-1]
    edge = round(side * (FIELD - 1) / 2)
    return into_frame(images, Frame(-edge, -edge, side + 2 * edge, side + 2 * edge), side)


def frame_each(images: Tensor, modality: Modality, network: NetworkSettings, scale: ScaleSettings) -> Tensor:
    """Slices [B, 1, S, S] in [-1, 1], each framed to its own head."""
    return torch.cat([_framed(image[None], image[None], modality, network, scale) for image in images])


def frame_pairs(
    heads: phantom.Slices, network: NetworkSettings, scale: ScaleSettings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Aligned phantom slices in physical units to [-1, 1], all in the frame of their CT.

    The brightest tissue of the wanted MR becomes white. So a tissue is as bright in one slice as in the
    other, as in a volume, and can be foretold.

    Returns:
        CT and MR with their neighbours, the wanted MR (the same MR if there is no other), and lesions from -1
        (none) to 1.
    """
    wanted = heads.mr if heads.wanted is None else heads.wanted
    images = torch.stack(
        [
            scale_ct(heads.ct, scale.ct_curve),
            scale_mr_each(heads.mr, scale),
            scale_mr(wanted, BRIGHTEST),
            (2 * heads.lesion - 1).expand_as(heads.ct),
        ],
        1,
    )
    whole = [False] * len(images) if heads.whole is None else heads.whole.tolist()
    framed = [
        each if is_whole else _framed(each[:1, :1], each, "ct", network, scale)
        for each, is_whole in zip(images, whole, strict=True)
    ]
    ct, mr, other, lesion = torch.stack(framed).unbind(1)
    return ct, mr, other[:, :1], lesion[:, :1]


def scale_mr_each(images: Tensor, scale: ScaleSettings) -> Tensor:
    """MR slices [B, C, S, S] in arbitrary units to [-1, 1], each by its own percentile, as pictures are."""
    return torch.stack([scale_mr(image, mr_top(image, scale.mr_percentile)) for image in images])


def brightness_each(brightness: Tensor, images: Tensor, scale: ScaleSettings) -> Tensor:
    """Brightness of tissues [B, tissues] in slices that `scale_mr_each` scales, in [-1, 1].

    Args:
        brightness: where the brightest tissue is white.
        images: in arbitrary units, the brightest tissue `BRIGHTEST`.
    """
    tops = torch.tensor([mr_top(image, scale.mr_percentile) for image in images])
    return ((brightness + 1) * (BRIGHTEST / tops[:, None]) - 1).clamp(max=1)


def _framed(
    guide: Tensor, images: Tensor, modality: Modality, network: NetworkSettings, scale: ScaleSettings
) -> Tensor:
    """Images of one slice [N, C, S, S], framed to the head that `guide` [1, 1, S, S] shows."""
    frame, head = find_frame(guide, modality, network.margin, scale=scale, around=network.frame)
    return torch.cat([into_frame(isolate(image[None], head), frame, network.size) for image in images])
