"""Frames the head in slices, alike in both modalities, and puts slices back.

An unpaired method that is trained on heads of different size in their frames learns the difference as
anatomy: it shrinks heads and invents faces. So every slice is cropped to a square around the head, with the
same margin, and without headrest or text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from medtranslate.config import FrameName, Modality, ScaleSettings
from medtranslate.errors import InputRefused
from medtranslate.transforms.intensity import AIR, VISIBLE

SCALP = 0.05
"""Scalp that a brain window hides, as a share of the head's extent on each side.

A windowed CT shows the skull and an MR the scalp around it; without this allowance the two would be
framed at different scales and a discriminator would teach the difference as anatomy.
"""

_FAT_HU = -100.0
"""Fat of the scalp (-120 to -90 HU); a window in which it is visible hides no scalp."""

_BRAIN = ScaleSettings()

_COARSE = 96
"""Voxels per axis for the search of a head; fine enough for a frame, and fast."""

_RIM = 4
"""Coarse voxels around the visible head that belong to it: fat and skin, which a brain window hides."""

_DARK, _FLOOR = 0.4, 0.02
"""Share of the median brightness in the middle of an MR above which a voxel may belong to the head, if
`VISIBLE` is more: scalp near the coils may be ten times as bright as brain. And the least range of noise."""

_CROSS = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])[:, None, None]
"""The four neighbours in plane."""


@dataclass(frozen=True)
class Frame:
    """Rectangle of a slice's pixels, square in millimetres, around the head with a margin.

    It may reach beyond the slice; pixels outside are air.

    Attributes:
        top, left: first row and column.
        height, width: rows and columns.
    """

    top: int
    left: int
    height: int
    width: int

    def inside(self, rows: int, columns: int) -> tuple[slice, slice]:
        """Return the rows and columns of a slice inside the frame."""
        bottom, right = min(self.top + self.height, rows), min(self.left + self.width, columns)
        return slice(max(self.top, 0), bottom), slice(max(self.left, 0), right)

    def seen_from(self, rows: slice, columns: slice) -> Frame:
        """Return the frame relative to a part of the slice."""
        return replace(self, top=self.top - rows.start, left=self.left - columns.start)


@dataclass(frozen=True)
class Overview:
    """Coarse copy of a stack of axial slices [Z, 1, Y, X] in [-1, 1].

    Attributes:
        values: means [z, y, x] over `steps` voxels along each axis.
        shape: Z, Y, X of the stack.
    """

    values: NDArray[np.float32]
    steps: tuple[int, int, int]
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Head:
    """Place of the head in a stack of axial slices.

    Attributes:
        mask: coarse grid [z, y, x], the head with its holes filled and a rim around it.
        steps: voxels of the stack per voxel of the mask.
        rows, columns: first and past-the-last of the head itself, in the stack's pixels.
        least: share of the range above which a voxel may belong to it, at most `VISIBLE`.
    """

    mask: NDArray[np.bool_]
    steps: tuple[int, int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]
    least: float = VISIBLE


def coarse_steps(shape: Sequence[int]) -> tuple[int, int, int]:
    """Choose the voxels Z, Y, X of a stack for one voxel of its overview."""
    depth, height, width = (-(-extent // _COARSE) for extent in shape)
    return depth, height, width


def coarsen(slices: Tensor, steps: tuple[int, int, int]) -> NDArray[np.float32]:
    """Average slices [Z, 1, Y, X] to [z, y, x]; slabs of whole steps may be averaged one by one."""
    planes = slices[None, :, 0].float()
    # The last slab of a stack may be thinner than a step, which no pooling takes.
    kernel = (min(steps[0], len(slices)), *steps[1:])
    means = functional.avg_pool3d(planes, kernel, ceil_mode=True, count_include_pad=False)[0]
    return means.numpy()


def overview(slices: Tensor) -> Overview:
    """Make the overview of slices [Z, 1, Y, X]."""
    shape = slices.shape[0], slices.shape[2], slices.shape[3]
    steps = coarse_steps(shape)
    return Overview(coarsen(slices, steps), steps, shape)


def find_head(coarse: Overview, modality: Modality) -> Head | None:
    """Find the head in a stack of axial slices; None if there is none.

    It is the largest connected component of the visible voxels, after an opening that removes headrests, text
    and noise. In MR the dark skull separates scalp and brain, so gaps of its width are closed first.
    """
    steps, (_, height, width) = coarse.steps, coarse.shape
    least = _least(coarse.values) if modality == "mr" else VISIBLE
    visible = coarse.values > 2 * least - 1
    if modality == "mr":
        visible = ndimage.binary_closing(np.pad(visible, ((0, 0), (3, 3), (3, 3))), _CROSS, iterations=3)[
            :, 3:-3, 3:-3
        ]
    labels, count = ndimage.label(ndimage.binary_opening(visible, np.ones((1, 3, 3), dtype=bool)))
    if count == 0:
        return None
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    head = labels == largest
    _, rows, columns = ndimage.find_objects(labels, max_label=largest)[largest - 1]
    rim = ndimage.binary_dilation(head, _CROSS, iterations=_RIM)
    return Head(
        mask=np.stack([ndimage.binary_fill_holes(plane) for plane in rim]),
        steps=steps,
        rows=(rows.start * steps[1], min(rows.stop * steps[1], height)),
        columns=(columns.start * steps[2], min(columns.stop * steps[2], width)),
        least=least,
    )


def _least(values: NDArray[np.float32]) -> float:
    """Find the share of the range above which a voxel [z, y, x] of an MR may belong to the head."""
    shares = (values + 1) / 2
    edges = shares[:, 0], shares[:, -1], shares[:, :, 0], shares[:, :, -1]
    noise = _FLOOR + 2 * float(np.median(np.concatenate([edge.ravel() for edge in edges])))
    seen = shares > noise
    rows, columns = _middle(seen.any(axis=(0, 2))), _middle(seen.any(axis=(0, 1)))
    middle = shares[:, rows, columns][seen[:, rows, columns]]
    return min(VISIBLE, max(noise, _DARK * float(np.median(middle)))) if middle.size else VISIBLE


def _middle(seen: ArrayLike) -> slice:
    """Find the middle half of the places between the first and the last that are seen."""
    places = np.flatnonzero(seen)
    if not places.size:
        return slice(0)
    quarter = (places[-1] + 1 - places[0]) // 4
    return slice(places[0] + quarter, places[-1] + 1 - quarter)


def isolate(slices: Tensor, head: Head, places: Sequence[NDArray[np.intp]] = ()) -> Tensor:
    """Replace everything but the head in slices [Z, 1, Y, X] by air: headrest, text, other objects.

    Args:
        places: indices of these slices, rows and columns in the head's stack, if they are not all.
    """
    at = places or [np.arange(extent) for extent in (slices.shape[0], *slices.shape[2:])]
    near = head.mask
    # One axis after the other is far quicker than all at once.
    for axis, (where, step) in enumerate(zip(at, head.steps, strict=True)):
        near = near.take(where // step, axis)
    return slices.where(torch.from_numpy(near)[:, None], AIR)


def find_frame(
    slices: Tensor | Overview,
    modality: Modality,
    margin: float,
    pixel_mm: tuple[float, float] = (1.0, 1.0),
    where: str = "image",
    scale: ScaleSettings = _BRAIN,
    around: FrameName = "head",
) -> tuple[Frame, Head]:
    """Find the common frame of a stack of axial slices.

    Args:
        slices: [Z, 1, Y, X] in [-1, 1], or their overview.
        margin: air on each side, as a share of the frame.
        pixel_mm: row and column spacing.
        where: origin of the slices, for the message.
        scale: meaning of -1 and 1; the scalp is visible in some CT windows.
        around: the head, or the whole slice, which then counts as the head.

    Raises:
        InputRefused: no head is visible.
    """
    coarse = slices if isinstance(slices, Overview) else overview(slices)
    head = find_head(coarse, modality)
    if head is None:
        raise InputRefused(
            f"{where}: no {'head' if around == 'head' else 'body'} found: nothing connected above"
            f" {VISIBLE:.0%} of the range in"
            f" {coarse.shape[0]} slices of {coarse.shape[1]} x {coarse.shape[2]}; check the modality and the"
            " window"
        )
    if around == "slice":
        _, height, width = coarse.shape
        head, margin = Head(np.ones_like(head.mask), coarse.steps, (0, height), (0, width)), 0.0
    return frame_around(head, modality, margin, pixel_mm, scale, around), head


def frame_around(
    head: Head,
    modality: Modality,
    margin: float,
    pixel_mm: tuple[float, float],
    scale: ScaleSettings = _BRAIN,
    around: FrameName = "head",
) -> Frame:
    """Lay the common frame around a head that was found; the arguments are those of `find_frame`."""
    (top, bottom), (left, right) = head.rows, head.columns
    least = float(np.interp(2 * VISIBLE - 1, np.linspace(-1, 1, len(scale.ct_curve)), scale.ct_curve))
    scalp_is_hidden = around == "head" and modality == "ct" and least > _FAT_HU
    hidden = 1 + 2 * SCALP if scalp_is_hidden else 1.0
    side = max((bottom - top) * pixel_mm[0], (right - left) * pixel_mm[1]) * hidden / (1 - 2 * margin)
    height, width = max(2, round(side / pixel_mm[0])), max(2, round(side / pixel_mm[1]))
    return Frame((top + bottom - height) // 2, (left + right - width) // 2, height, width)


def into_frame(slices: Tensor, frame: Frame, size: int) -> Tensor:
    """Crop slices [Z, 1, Y, X] to the frame (padded with air) and resize them to [Z, 1, size, size]."""
    height, width = slices.shape[2:]
    bottom, right = frame.top + frame.height - height, frame.left + frame.width - width
    # Negative padding crops.
    cropped = functional.pad(slices, (-frame.left, right, -frame.top, bottom), value=AIR)
    return _resize(cropped, (size, size))


def out_of_frame(framed: Tensor, frame: Frame, shape: tuple[int, int]) -> Tensor:
    """Put framed slices [Z, 1, size, size] back on the slice's own pixels [Z, 1, *shape], with air around."""
    resized = _resize(framed, (frame.height, frame.width))
    bottom, right = shape[0] - frame.top - frame.height, shape[1] - frame.left - frame.width
    return functional.pad(resized, (frame.left, right, frame.top, bottom), value=AIR)


def _resize(slices: Tensor, shape: tuple[int, int]) -> Tensor:
    if tuple(slices.shape[2:]) == shape:
        return slices
    return functional.interpolate(slices, shape, mode="bilinear", antialias=True)
