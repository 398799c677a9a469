"""From physical units on any grid to framed axial slices in [-1, 1], and back.

The functions hold the mathematics; the MONAI dictionary transforms below them are thin. A volume is
[1, X, Y, Z]; once laid out axially (axcodes LPS) its slices are [Z, 1, Y, X]: rows run from anterior
to posterior, columns from the patient's right to left, as a radiologist looks at them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Orientation, Randomizable
from monai.transforms.inverse import InvertibleTransform
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from medtranslate.config import AugmentSettings, Modality, ScaleSettings
from medtranslate.errors import InputRefused

AIR = -1.0
"""Value of what lies outside a frame or a picture, in the networks' range."""

VISIBLE = 0.1
"""Share of the range above which a voxel may belong to the head; above noise and below dark brain."""

SCALP = 0.05
"""Scalp that a brain window hides, as a share of the head's extent on each side.

A windowed CT shows the skull and an MR the scalp around it; without this allowance the two would be
framed at different scales and a discriminator would teach the difference as anatomy.
"""

_COARSE = 96
"""Voxels per axis on which a head is looked for; fine enough for a frame, and quick."""

_RIM = 4
"""Coarse voxels around the visible head that belong to it: fat and skin, which a brain window hides."""

_CROSS = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])[:, None, None]
"""The four neighbours in plane."""


# --- Intensity ---------------------------------------------------------------------------------


def scale_ct(values: Tensor, window: tuple[float, float]) -> Tensor:
    """HU to [-1, 1] over the window; values outside it saturate."""
    lower, upper = window
    return ((values - lower) * (2.0 / (upper - lower)) - 1.0).clamp(-1.0, 1.0)


def unscale_ct(values: Tensor, window: tuple[float, float]) -> Tensor:
    """[-1, 1] to HU: the exact inverse of `scale_ct` inside the window."""
    lower, upper = window
    return (values + 1.0) * ((upper - lower) / 2.0) + lower


def mr_top(values: Tensor, percentile: float) -> float:
    """The MR value that becomes +1: a percentile of the foreground, that is of voxels above the mean.

    Raises:
        InputRefused: the volume is constant or has no positive value.
    """
    # A percentile of 200,000 voxels is exact to a fraction of the noise, and the sort stays short.
    flat = values.flatten()
    sample = flat[:: max(1, flat.numel() // 200_000)]
    foreground = sample[sample > sample.mean()]
    top = float(np.percentile(foreground.numpy(), percentile)) if foreground.numel() else 0.0
    if top <= 0.0:
        raise InputRefused(
            f"MR values from {float(flat.min()):g} to {float(flat.max()):g} show no foreground;"
            " give an image with positive contrast"
        )
    return top


def scale_mr(values: Tensor, top: float) -> Tensor:
    """[0, top] in arbitrary units to [-1, 1]; values outside saturate."""
    return (values * (2.0 / top) - 1.0).clamp(-1.0, 1.0)


def unscale_mr(values: Tensor, output_range: tuple[float, float]) -> Tensor:
    """[-1, 1] to the model's declared arbitrary range."""
    return unscale_ct(values, output_range)


def normalise(volume: MetaTensor, modality: Modality, scale: ScaleSettings) -> tuple[Tensor, float]:
    """Physical units to [-1, 1] by the rules of the modality, and the share of voxels that saturated.

    A picture's grey values are taken to be the CT window already (8-bit CT pictures are windowed),
    so black is the window's lower end and white its upper; MR pictures go by percentile like volumes.
    """
    values = volume.as_tensor()
    if modality == "mr":
        lower, upper = 0.0, mr_top(values, scale.mr_percentile)
    elif "levels" in volume.meta:
        lower, upper = 0.0, float(volume.meta["levels"])
    else:
        lower, upper = scale.ct_window
    saturated = float(((values < lower) | (values > upper)).float().mean())
    return scale_ct(values, (lower, upper)), saturated


def denormalise(values: Tensor, modality: Modality, scale: ScaleSettings) -> Tensor:
    """[-1, 1] to the *target* scale that the model declares; the source's scale plays no part."""
    return unscale_ct(values, scale.ct_window if modality == "ct" else scale.mr_range)


# --- Layout ------------------------------------------------------------------------------------

axial_layout = Orientation(axcodes="LPS", labels=(("L", "R"), ("P", "A"), ("I", "S")))
"""Permute and flip (never resample) to the axial layout; its `inverse` gives the array back."""


def to_slices(volume: Tensor) -> Tensor:
    """[1, X, Y, Z] in axial layout to slices [Z, 1, Y, X]."""
    return volume.permute(3, 0, 2, 1)


def from_slices(slices: Tensor) -> Tensor:
    """Slices [Z, 1, Y, X] to [1, X, Y, Z]; the inverse of `to_slices`."""
    return slices.permute(1, 3, 2, 0)


# --- Framing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """A rectangle of a slice's pixels, square in millimetres, that holds the head with a margin.

    It may reach beyond the slice; what is outside is air.

    Attributes:
        top, left: first row and column.
        height, width: rows and columns.
    """

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Head:
    """Where the head lies in a stack of axial slices.

    Attributes:
        mask: coarse grid [z, y, x], the head with its holes filled and a rim around it.
        steps: voxels of the stack per voxel of the mask.
        rows, columns: first and past-the-last of the head itself, in the stack's pixels.
    """

    mask: NDArray[np.bool_]
    steps: tuple[int, int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


def find_head(slices: Tensor, modality: Modality) -> Head | None:
    """The head in slices [Z, 1, Y, X] in [-1, 1], or None where there is none.

    It is the largest connected component of what is visible, after an opening that removes headrests,
    text and noise. In MR the dark skull parts scalp from brain, so gaps of its width are closed first.
    """
    depth, _, height, width = slices.shape
    steps = (-(-depth // _COARSE), -(-height // _COARSE), -(-width // _COARSE))
    coarse = functional.avg_pool3d(slices[None, :, 0].float(), steps, ceil_mode=True, count_include_pad=False)[0]
    visible = coarse.numpy() > 2 * VISIBLE - 1
    if modality == "mr":
        visible = ndimage.binary_closing(np.pad(visible, ((0, 0), (3, 3), (3, 3))), _CROSS, iterations=3)[:, 3:-3, 3:-3]
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
    )


def isolate(slices: Tensor, head: Head) -> Tensor:
    """Slices [Z, 1, Y, X] with air in place of what is not the head: headrest, text, other objects."""
    near = torch.from_numpy(head.mask)
    for axis, (step, extent) in enumerate(zip(head.steps, (slices.shape[0], *slices.shape[2:]), strict=True)):
        near = near.repeat_interleave(step, dim=axis).narrow(axis, 0, extent)
    return slices.where(near[:, None], AIR)


def find_frame(
    slices: Tensor, modality: Modality, margin: float, pixel_mm: tuple[float, float] = (1.0, 1.0)
) -> tuple[Frame, Head]:
    """The frame of a stack of axial slices [Z, 1, Y, X] in [-1, 1], the same for all of them.

    Args:
        margin: air on each side, as a share of the frame.
        pixel_mm: row and column spacing.

    Raises:
        InputRefused: nothing that could be a head is visible.
    """
    head = find_head(slices, modality)
    if head is None:
        raise InputRefused(
            f"no head found: nothing connected above {VISIBLE:.0%} of the range in {slices.shape[0]} slices"
            f" of {slices.shape[2]} x {slices.shape[3]}; check the modality and the window"
        )
    (top, bottom), (left, right) = head.rows, head.columns
    hidden = 1 + 2 * SCALP if modality == "ct" else 1.0
    side = max((bottom - top) * pixel_mm[0], (right - left) * pixel_mm[1]) * hidden / (1 - 2 * margin)
    height, width = max(2, round(side / pixel_mm[0])), max(2, round(side / pixel_mm[1]))
    return Frame((top + bottom - height) // 2, (left + right - width) // 2, height, width), head


def into_frame(slices: Tensor, frame: Frame, size: int) -> Tensor:
    """Slices [Z, 1, Y, X] cropped (padded with air) to the frame and resized to [Z, 1, size, size]."""
    height, width = slices.shape[2:]
    bottom, right = frame.top + frame.height - height, frame.left + frame.width - width
    # Negative padding crops.
    cropped = functional.pad(slices, (-frame.left, right, -frame.top, bottom), value=AIR)
    return _resize(cropped, (size, size))


def out_of_frame(framed: Tensor, frame: Frame, shape: tuple[int, int]) -> Tensor:
    """Framed slices [Z, 1, size, size] back on the slice's own pixels [Z, 1, *shape]; air around."""
    resized = _resize(framed, (frame.height, frame.width))
    bottom, right = shape[0] - frame.top - frame.height, shape[1] - frame.left - frame.width
    return functional.pad(resized, (frame.left, right, frame.top, bottom), value=AIR)


def _resize(slices: Tensor, shape: tuple[int, int]) -> Tensor:
    if tuple(slices.shape[2:]) == shape:
        return slices
    return functional.interpolate(slices, shape, mode="bilinear", antialias=True)


# --- Augmentation ------------------------------------------------------------------------------


def augment(
    slices: Tensor, modality: Modality, settings: AugmentSettings, generator: torch.Generator
) -> Tensor:
    """Each slice [B, 1, S, S] rotated, scaled, shifted and mirrored at random; MR contrast bent.

    Random numbers are drawn on the CPU, so that a seed means the same on every device.
    """
    count = slices.shape[0]

    def uniform(bound: float) -> Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * bound

    angle = torch.deg2rad(uniform(settings.degrees))
    zoom = torch.exp(uniform(float(np.log1p(settings.scale))))
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    cosine, sine = zoom * torch.cos(angle), zoom * torch.sin(angle)
    rows = [
        torch.stack([mirror * cosine, -sine, uniform(2 * settings.shift)], dim=1),
        torch.stack([mirror * sine, cosine, uniform(2 * settings.shift)], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(slices.device)
    grid = functional.affine_grid(theta, list(slices.shape), align_corners=False)
    # Sampling pads with zeros, so air is moved to zero for it.
    moved = functional.grid_sample(slices - AIR, grid, align_corners=False) + AIR
    if modality == "mr":
        gamma = torch.exp(uniform(settings.mr_gamma)).to(slices.device).reshape(-1, 1, 1, 1)
        moved = 2 * ((moved + 1) / 2).clamp(0, 1) ** gamma - 1
    return moved


# --- MONAI dictionary transforms ---------------------------------------------------------------

Data = Mapping[Hashable, MetaTensor]


class AxialLayoutd(MapTransform, InvertibleTransform):
    """`axial_layout` on the named volumes; its inverse gives the source's array layout back."""

    def __call__(self, data: Data) -> dict[Hashable, MetaTensor]:
        return {**data, **{key: axial_layout(data[key]) for key in self.key_iterator(data)}}

    def inverse(self, data: Data) -> dict[Hashable, MetaTensor]:
        return {**data, **{key: axial_layout.inverse(data[key]) for key in self.key_iterator(data)}}


class Normalised(MapTransform, InvertibleTransform):
    """`normalise` on the named volumes; its inverse is `denormalise` with the modality's own scale.

    Args:
        keys: volumes [1, X, Y, Z] in physical units.
        modality: of these volumes.
        scale: what -1 and 1 stand for.
    """

    def __init__(self, keys: KeysCollection, modality: Modality, scale: ScaleSettings) -> None:
        super().__init__(keys)
        self.modality = modality
        self.scale = scale

    def __call__(self, data: Data) -> dict[Hashable, MetaTensor]:
        scaled = {key: normalise(data[key], self.modality, self.scale)[0] for key in self.key_iterator(data)}
        return {**data, **{key: _like(data[key], values) for key, values in scaled.items()}}

    def inverse(self, data: Data) -> dict[Hashable, MetaTensor]:
        plain = {key: denormalise(data[key].as_tensor(), self.modality, self.scale) for key in self.key_iterator(data)}
        return {**data, **{key: _like(data[key], values) for key, values in plain.items()}}


class FrameHeadd(MapTransform, InvertibleTransform):
    """`into_frame` on the named volumes, [1, X, Y, Z] axial in [-1, 1] to [1, size, size, Z].

    The inverse puts the slices back on their own pixels, with air around the frame.

    Args:
        keys: volumes in axial layout, normalised.
        modality: of these volumes.
        size: side of the frame in pixels.
        margin: air around the head, as a share of the frame.
    """

    def __init__(self, keys: KeysCollection, modality: Modality, size: int, margin: float) -> None:
        super().__init__(keys)
        self.modality = modality
        self.size = size
        self.margin = margin

    def __call__(self, data: Data) -> dict[Hashable, MetaTensor]:
        framed = dict(data)
        for key in self.key_iterator(data):
            volume = data[key]
            slices = to_slices(volume.as_tensor())
            frame, head = find_frame(slices, self.modality, self.margin, pixel_mm(volume))
            framed[key] = _like(volume, from_slices(into_frame(isolate(slices, head), frame, self.size)))
            self.push_transform(framed[key], orig_size=slices.shape[2:], extra_info={"frame": frame})
        return framed

    def inverse(self, data: Data) -> dict[Hashable, MetaTensor]:
        plain = dict(data)
        for key in self.key_iterator(data):
            volume = _like(data[key], data[key].as_tensor())
            done = self.pop_transform(volume)
            shape = tuple(int(extent) for extent in done["orig_size"])
            slices = out_of_frame(to_slices(volume.as_tensor()), done["extra_info"]["frame"], (shape[0], shape[1]))
            plain[key] = _like(volume, from_slices(slices))
        return plain


class AugmentedCopyd(MapTransform, Randomizable):
    """To each named batch [B, 1, S, S] its augmented copy is added: [2B, 1, S, S].

    Args:
        modalities: modality of each named batch.
        settings: what varies in the copy.
    """

    def __init__(self, modalities: Mapping[Hashable, Modality], settings: AugmentSettings) -> None:
        super().__init__(tuple(modalities))
        self.modalities = modalities
        self.settings = settings

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        generator = torch.Generator().manual_seed(int(self.R.randint(2**31)))
        copies = {
            key: augment(data[key], self.modalities[key], self.settings, generator) for key in self.key_iterator(data)
        }
        return {**data, **{key: torch.cat([data[key], copy]) for key, copy in copies.items()}}


def pixel_mm(volume: MetaTensor) -> tuple[float, float]:
    """Row and column spacing of the axial slices of a volume in axial layout."""
    columns, rows, _ = (float(length) for length in volume.pixdim)
    return rows, columns


def _like(volume: MetaTensor, values: Tensor) -> MetaTensor:
    return MetaTensor(values, meta=volume.meta, applied_operations=volume.applied_operations)
