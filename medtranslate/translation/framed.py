"""Frames a volume for the networks, and puts slices back onto its grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medtranslate.checkpoint import Model
from medtranslate.config import Modality, ScaleSettings
from medtranslate.io import Volume
from medtranslate.io.layout import from_axial, onto_slices, pixel_mm, to_axial, to_slices, upright
from medtranslate.transforms import (
    AIR,
    Frame,
    Head,
    Overview,
    as_shown,
    coarse_steps,
    coarsen,
    find_frame,
    input_curve,
    into_frame,
    isolate,
    out_of_frame,
    scale_ct,
    units_per_step,
    unscale_ct,
    windowed_curve,
)
from medtranslate.translation.picture_window import in_known_window
from medtranslate.translation.seams import seams

SLAB = 2**18
"""Voxels of a slab: few enough to stay in the processor's caches."""

GREY_LEVELS = 255
"""Largest grey value of a translated picture, whatever the depth of its source."""

Floats = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Framed:
    """Axial slices of one volume, which are normalised on request: no copy of the volume is kept.

    Attributes:
        source: the volume as read.
        modality: of the source.
        level: the source, resampled if its own slices are far from axial (`io.layout.upright`).
        axial: the same in axial layout, in its own units.
        curve: values of the source that become equal steps from -1 to +1.
        frame: square around the head, the same for all slices.
        head: its place.
        shown: indices of the slices in which the head is visible.
        saturated: share of voxels outside the model's input window.
        mask: voxels of the source that a mask keeps; None for all.
    """

    source: Volume
    modality: Modality
    level: Volume
    axial: Volume
    curve: tuple[float, ...]
    frame: Frame
    head: Head
    shown: Places
    saturated: float
    mask: NDArray[np.bool_] | None = None

    @property
    def where(self) -> str:
        """Path of the source, for messages."""
        return self.source.where

    @property
    def ends(self) -> tuple[float, float]:
        """Values of the source between which its contrast lies; of a picture, its grey levels at most."""
        lower, upper, levels = self.curve[0], self.curve[-1], self.axial.meta.levels
        return (lower, upper) if levels is None else (max(lower, 0.0), min(upper, float(levels)))

    @property
    def slices(self) -> Floats:
        """Axial slices [Z, Y, X] in the source's units."""
        return to_slices(self.axial.values)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        columns, rows, depth = self.axial.shape
        return depth, rows, columns

    @property
    def slice_mm(self) -> float:
        """Distance from slice to slice; infinite if empty ones lie between those that show the head."""
        return self.axial.spacing[2] if len(self.shown) > np.ptp(self.shown) else np.inf

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the frame; around it is air."""
        return self.frame.inside(*self.shape[1:])

    def unit(self) -> Floats:
        """Normalise the slices [Z, Y, X] to [-1, 1]."""
        unit = self.blank()
        for plane, own in zip(unit, self.slices, strict=True):
            plane[...] = scale_ct(own, self.curve)
        return unit

    def seams(self) -> float:
        """Compute the seams of the source."""
        return seams(scale_ct(plane, self.curve) for plane in self.slices)

    def framed(self, places: Places, size: int, neighbours: int = 0) -> Tensor:
        """Crop slices to the frame, with the head alone.

        Args:
            places: of the slices.
            size: side of the frame in pixels.
            neighbours: slices below, and above, that are shown beside each. The first and the last slice
                stand for what lies beyond them.

        Returns:
            [B, 1 + 2 neighbours, size, size] in [-1, 1]: the slices, those below from the nearest on, and
            those above likewise.
        """
        if neighbours:
            away = np.r_[0, -np.arange(1, neighbours + 1), np.arange(1, neighbours + 1)]
            asked, which = np.unique((places[:, None] + away).clip(0, self.shape[0] - 1), return_inverse=True)
            return self.framed(asked, size)[which.reshape(len(places), -1), 0]
        rows, columns = self.box
        slices = np.ascontiguousarray(self.slices[places, rows, columns])
        unit = scale_ct(torch.from_numpy(slices)[:, None], self.curve)
        head = isolate(unit, self.head, (places, np.r_[rows], np.r_[columns]))
        return into_frame(head, self.frame.seen_from(*self.box), size).contiguous()

    def unframed(self, framed: Tensor) -> Floats:
        """Put framed slices on the source's pixels, [B, *box], saturated at the range's ends."""
        rows, columns = self.box
        shape = rows.stop - rows.start, columns.stop - columns.start
        return out_of_frame(framed, self.frame.seen_from(*self.box), shape).clamp_(-1, 1)[:, 0].numpy()

    def blank(self, value: float = AIR) -> Floats:
        """Make empty slices [Z, Y, X]."""
        return np.full(self.shape, value, np.float32)

    def volume(self, slices: Floats, modality: Modality, scale: ScaleSettings) -> Volume:
        """Scale [-1, 1] to HU or MR units (grey values 0 to 255 for a picture), on the source's own grid.

        The slices [Z, Y, X] are overwritten: the volume takes their memory.
        """
        curve = self._units(modality, scale)
        for plane in slices:
            plane[...] = unscale_ct(plane, curve)
        if not self.axial.is_picture:
            return self.on_source(slices, modality=modality)
        np.clip(slices, 0, GREY_LEVELS, out=slices)
        return self.on_source(slices, modality=modality, levels=GREY_LEVELS)

    def gain(self, slices: Floats, modality: Modality, scale: ScaleSettings) -> Floats:
        """Compute the units of `volume` per unit of [-1, 1] at each voxel of slices in [-1, 1]."""
        return units_per_step(slices, self._units(modality, scale))

    def output_ends(self, modality: Modality, scale: ScaleSettings) -> tuple[float, float]:
        """Find the values of a translation that are -1 and +1; a picture saturates before it reaches them."""
        units = self._units(modality, scale)
        return units[0], units[-1]

    def in_units(self, slices: Floats, modality: Modality, scale: ScaleSettings) -> Floats:
        """Convert slices in [-1, 1] to the units of `volume`."""
        return unscale_ct(slices, self._units(modality, scale))

    def _units(self, modality: Modality, scale: ScaleSettings) -> tuple[float, ...]:
        """Find the values of a translation that are equal steps from -1 to +1."""
        if not self.axial.is_picture:
            return scale.ct_curve if modality == "ct" else scale.mr_range
        return windowed_curve(scale, GREY_LEVELS) if modality == "ct" else (0.0, GREY_LEVELS)

    def on_source(self, slices: Floats, **meta: Any) -> Volume:
        """Make a volume of slices [Z, Y, X] in the source's array layout; `meta` may name its modality."""
        # Modality, digest and warnings of the source are not true of an image made from it.
        about = replace(
            self.axial.meta, **{"modality": None, "digest": None, "warnings": (), "synthetic": False, **meta}
        )
        volume = Volume(to_slices(slices), self.axial.affine, about)
        return onto_slices(from_axial(volume, self.level), self.source)


def frame(source: Volume, modality: Modality, model: Model) -> Framed:
    """Lay a volume out axially, and find the head in one pass over the slices.

    Args:
        source: in physical units.
        modality: of the source.

    Raises:
        InputRefused: no head is found.
    """
    scale, network = model.description.scale, model.description.network
    level = upright(source)
    axial = to_axial(level)
    if model.window and modality == "ct" and axial.is_picture:
        axial = in_known_window(axial, model.window, scale)
    where = str(source.meta.path or "image")
    known = axial.meta
    curve = input_curve(axial.values, modality, scale, levels=known.levels, hu=known.hu, where=where)
    slices = to_slices(axial.values)
    depth, rows, columns = slices.shape
    steps = coarse_steps(slices.shape)
    coarse, brightest, saturated = [], [], 0
    thick = max(1, SLAB // (rows * columns * steps[0])) * steps[0]
    for start in range(0, depth, thick):
        slab = np.ascontiguousarray(slices[start : start + thick])
        saturated += int(np.count_nonzero((slab < curve[0]) | (slab > curve[-1])))
        unit = torch.from_numpy(scale_ct(slab, curve))[:, None]
        coarse.append(coarsen(unit, steps))
        brightest.append(functional.max_pool2d(unit, steps[1:], ceil_mode=True)[:, 0].numpy())
    seen = Overview(np.concatenate(coarse), steps, (depth, rows, columns))
    shows = as_shown(scale, picture=known.levels is not None and known.hu is None)
    found, head = find_frame(seen, modality, network.margin, pixel_mm(axial), where, shows, network.frame)
    near = head.mask[np.arange(depth) // steps[0]]
    shown = np.flatnonzero((near & (np.concatenate(brightest) > 2 * head.least - 1)).any(axis=(1, 2)))
    return Framed(source, modality, level, axial, curve, found, head, shown, saturated / slices.size)
