"""A volume as the networks see it, and the way back onto its own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor
from torch.nn import functional

from medtranslate.checkpoint import Model
from medtranslate.config import Modality, ScaleSettings
from medtranslate.records import Source
from medtranslate.transforms import (
    AIR,
    VISIBLE,
    Frame,
    Head,
    Overview,
    coarse_steps,
    coarsen,
    denormalise,
    find_frame,
    from_axial,
    from_slices,
    input_range,
    into_frame,
    isolate,
    onto_slices,
    origin,
    out_of_frame,
    outside,
    pixel_mm,
    scale_ct,
    to_axial,
    to_slices,
    upright,
)
from medtranslate.transforms.monai_adapters import from_metatensor
from medtranslate.translation.seams import jumps, share, slabs

GREY_LEVELS = 255
"""Largest grey value of a translated picture, whatever the depth of its source."""

_OF_THE_SOURCE = ("modality", "digest", "warnings")
"""Meta that is not true of an image made from it."""


@dataclass(frozen=True)
class Stack:
    """Axial slices of one volume. Only what is asked for is normalised: no copy of the volume is kept.

    Attributes:
        source: the volume as it was read.
        modality: of the source.
        axial: the volume in axial layout, in its own units; resampled if its own slices are far from
            axial (`transforms.upright`).
        ends: values of the source that become -1 and +1.
        frame: square around the head, the same for all slices.
        head: where it lies.
        shown: indices of the slices in which something of the head is visible.
        saturated: share of voxels outside the model's input window.
    """

    source: MetaTensor
    modality: Modality
    axial: MetaTensor
    ends: tuple[float, float]
    frame: Frame
    head: Head
    shown: Tensor
    saturated: float

    @property
    def where(self) -> str:
        """Path that the source was read from, for messages."""
        return str(self.source.meta.get("path", "volume"))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        _, columns, rows, depth = self.axial.shape
        return depth, rows, columns

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns that the frame holds; around it is air."""
        return self.frame.inside(*self.shape[1:])

    def unit(self) -> Tensor:
        """Slices [Z, 1, Y, X] in [-1, 1], as they were read."""
        return scale_ct(to_slices(self.axial.as_tensor()), self.ends)

    def seams(self) -> float:
        """`jumps.seams` of the source."""
        slices, (depth, rows, columns) = to_slices(self.axial.as_tensor()), self.shape
        parts = slabs(depth, rows * columns, self.head.steps[0])
        units = (scale_ct(slices[max(0, start - 2) : stop].contiguous(), self.ends) for start, stop in parts)
        return share([jumps(unit) for unit in units])

    def framed(self, places: Tensor, size: int) -> Tensor:
        """[B, 1, size, size]: these slices in [-1, 1], the head alone, seen through the frame."""
        rows, columns = self.box
        slices = to_slices(self.axial.as_tensor())[:, :, rows, columns][places]
        at = places.numpy(), np.r_[rows], np.r_[columns]
        head = isolate(scale_ct(slices, self.ends), self.head, at)
        return into_frame(head, self.frame.seen_from(*self.box), size).contiguous()

    def unframed(self, framed: Tensor) -> Tensor:
        """[B, 1, *box]: framed slices on the source's pixels; saturated at the range's ends."""
        rows, columns = self.box
        shape = rows.stop - rows.start, columns.stop - columns.start
        return out_of_frame(framed, self.frame.seen_from(*self.box), shape).clamp_(-1, 1)

    def blank(self, value: float = AIR) -> Tensor:
        """Slices [Z, 1, Y, X] that show nothing yet."""
        depth, rows, columns = self.shape
        return torch.full((depth, 1, rows, columns), value)

    def volume(self, slices: Tensor, modality: Modality, scale: ScaleSettings) -> MetaTensor:
        """[-1, 1] to HU or MR units (grey values 0 to 255 for a picture), on the source's own grid.

        The slices [Z, 1, Y, X] are used up: the volume takes their memory.
        """
        if "levels" in self.axial.meta:
            grey = slices.add_(1).mul_(GREY_LEVELS / 2)
            return self.on_source(from_slices(grey), modality=modality, levels=GREY_LEVELS)
        for plane in slices:
            plane.copy_(denormalise(plane, modality, scale))
        return self.on_source(from_slices(slices), modality=modality)

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
    """Lay a volume out axially, find the head, and look at the slices once.

    Args:
        source: [1, X, Y, Z] in physical units, RAS+ affine.
        modality: of the source.

    Raises:
        InputRefused: no head is found.
    """
    scale, network = model.description.scale, model.description.network
    axial = to_axial(upright(source))
    ends = input_range(axial, modality, scale)
    slices = to_slices(axial.as_tensor())
    shape = slices.shape[0], slices.shape[2], slices.shape[3]
    steps = coarse_steps(shape)
    coarse, brightest, saturated = [], [], 0
    for start, stop in slabs(shape[0], shape[1] * shape[2], steps[0]):
        slab = slices[start:stop].contiguous()
        saturated += outside(slab, ends)
        unit = scale_ct(slab, ends)
        coarse.append(coarsen(unit, steps))
        brightest.append(functional.max_pool2d(unit, steps[1:], ceil_mode=True)[:, 0])
    seen = Overview(torch.cat(coarse), steps, shape)
    frame, head = find_frame(
        seen, modality, network.margin, pixel_mm(axial), origin(source), scale, network.frame
    )
    near = torch.from_numpy(head.mask)[torch.arange(shape[0]) // steps[0]]
    shown = (near & (torch.cat(brightest) > 2 * VISIBLE - 1)).flatten(1).any(dim=1).nonzero().flatten()
    return Stack(source, modality, axial, ends, frame, head, shown, saturated / slices.numel())


def describe(volume: MetaTensor) -> Source:
    """What a record says of a volume that was read."""
    return from_metatensor(volume).source()
