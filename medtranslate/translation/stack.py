"""A volume as the networks see it, and the way back onto its own grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.data import MetaTensor
from torch import Tensor

from medtranslate.checkpoint import Model
from medtranslate.config import Modality, ScaleSettings
from medtranslate.transforms import (
    AIR,
    VISIBLE,
    Frame,
    denormalise,
    find_frame,
    from_axial,
    from_slices,
    into_frame,
    isolate,
    normalise,
    onto_slices,
    origin,
    out_of_frame,
    pixel_mm,
    to_axial,
    to_slices,
    upright,
)

GREY_LEVELS = 255
"""Largest grey value of a translated picture, whatever the depth of its source."""

_OF_THE_SOURCE = ("modality", "digest", "warnings")
"""Meta that is not true of an image made from it."""


@dataclass(frozen=True)
class Stack:
    """Axial slices of one volume.

    Attributes:
        source: the volume as it was read.
        axial: the volume in axial layout, in its own units; resampled if its own slices are far from
            axial (`transforms.upright`).
        unit: [1, X, Y, Z] in [-1, 1], as it was read.
        slices: [Z, 1, Y, X] in [-1, 1] with air in place of what is not the head.
        frame: square around the head, the same for all slices.
        saturated: share of voxels outside the model's input window.
    """

    source: MetaTensor
    axial: MetaTensor
    unit: Tensor
    slices: Tensor
    frame: Frame
    saturated: float

    def shown(self) -> Tensor:
        """Indices of the slices in which something is visible."""
        return (self.slices > 2 * VISIBLE - 1).flatten(1).any(dim=1).nonzero().flatten()

    def framed(self, places: Tensor, size: int) -> Tensor:
        """[B, 1, size, size]: these slices, seen through the frame."""
        return into_frame(self.slices[places], self.frame, size).contiguous()

    def unframed(self, framed: Tensor) -> Tensor:
        """[B, 1, Y, X]: framed slices on the source's pixels, air around; saturated at the range's ends."""
        return out_of_frame(framed, self.frame, (self.slices.shape[2], self.slices.shape[3])).clamp(-1, 1)

    def blank(self, value: float = AIR) -> Tensor:
        """Slices [Z, 1, Y, X] that show nothing yet."""
        return torch.full_like(self.slices, value, memory_format=torch.contiguous_format)

    def volume(self, slices: Tensor, modality: Modality, scale: ScaleSettings) -> MetaTensor:
        """[-1, 1] to HU or MR units (grey values 0 to 255 for a picture), on the source's own grid."""
        if "levels" in self.axial.meta:
            grey = (slices + 1) * (GREY_LEVELS / 2)
            return self.on_source(from_slices(grey), modality=modality, levels=GREY_LEVELS)
        return self.on_source(from_slices(denormalise(slices, modality, scale)), modality=modality)

    def gain(self, modality: Modality, scale: ScaleSettings) -> float:
        """Units of `volume` per unit of [-1, 1]."""
        lower, upper = scale.ct_window if modality == "ct" else scale.mr_range
        return (GREY_LEVELS if "levels" in self.axial.meta else upper - lower) / 2

    def on_source(self, values: Tensor, **meta: object) -> MetaTensor:
        """[1, X, Y, Z] in axial layout in the source's array layout; of no modality unless `meta` says."""
        axial = self.axial
        level = from_axial(MetaTensor(values, meta=axial.meta, applied_operations=axial.applied_operations))
        made = onto_slices(level, self.source)
        made.meta = {key: value for key, value in made.meta.items() if key not in _OF_THE_SOURCE} | meta
        return made


def stack(source: MetaTensor, modality: Modality, model: Model) -> Stack:
    """Lay a volume out axially, normalise it, and find the head.

    Args:
        source: [1, X, Y, Z] in physical units, RAS+ affine.
        modality: of the source.

    Raises:
        InputRefused: no head is found.
    """
    scale, network = model.description.scale, model.description.network
    axial = to_axial(upright(source))
    unit, saturated = normalise(axial, modality, scale)
    slices = to_slices(unit)
    frame, head = find_frame(slices, modality, network.margin, pixel_mm(axial), origin(source), scale)
    return Stack(source, axial, unit, isolate(slices, head), frame, saturated)
