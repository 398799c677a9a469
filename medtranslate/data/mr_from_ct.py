"""MR rendered from slices of CT: pairs whose anatomy is real and whose truth is known.

HU tell tissues apart near enough. So a slice of CT becomes an MR of the same head by giving every value the
intensity that the tissue of such HU has in a sequence, or a random one: contrast randomisation as Billot et
al. have it for label maps (SynthSeg, Medical Image Analysis 86, 2023). No MR is needed for it.

A brain window hides fat, which it shows as it shows air. What is hidden is fat where it joins the skin, and
elsewhere fat or air at random; of the scalp, a rim of random thickness is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from medtranslate.config import StreamContrast
from medtranslate.phantom import LABEL, brightness, mr_values, rician, surface_gain
from medtranslate.transforms import SCALP, VISIBLE

Floats = NDArray[np.float32]

_KNOTS = {
    "air": -250.0,
    "fat": -95.0,
    "csf": 7.0,
    "infarct": 17.0,
    "white matter": 28.0,
    "grey matter": 38.0,
    "muscle": 58.0,
    "haemorrhage": 72.0,
    "dura": 95.0,
}
"""HU at which a tissue's intensity is met; between them it changes steadily."""

_BONE = (90.0, 100.0)
"""HU from which on, and at which fully, a voxel is bone; clotted blood is below."""

_SHOWS_FAT = -200.0
"""HU of the lower end of a window from which on it shows fat as fat, and hides nothing."""

_HIDDEN = 17.0
"""HU above the window's lower end over which what is hidden fades; CSF in a brain window is above."""

_ENCLOSED_FAT = 0.4
"""Chance that an enclosed part of what is hidden is fat (orbit) and not air (sinus, mastoid)."""

_TABLE_MM = (1.0, 3.0)
"""Cortical bone of either table; what is deeper may be marrow."""

_GAP = 0.05
"""Widest gap that is closed to find the head's outline, as a share of the frame."""


def render(
    ct: Tensor,
    window: tuple[float, float],
    contrast: StreamContrast,
    wanted: StreamContrast,
    seed: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Render MR of the heads that slices of CT show.

    Args:
        ct: framed slices [B, 1, S, S] in [-1, 1] over the window.
        window: in HU; where it shows fat, nothing is hidden and nothing is guessed.
        contrast: of the first MR, as `phantom.slices` takes it; noise and shading vary.
        wanted: of the second, which has little of either.
        seed: of everything random.

    Returns:
        Both, [B, 1, S, S] in arbitrary units, air near 0, brightest tissue near 1000; and the brightness of
        tissues in both (`phantom.brightness`), [B, 2, 7].
    """
    rng = np.random.default_rng(seed)
    made, told = [], []
    for values in ct[:, 0].numpy():
        parts = _find_parts(values, window, rng)
        values = mr_values(rng, contrast)
        coils = surface_gain(rng, parts.head)
        first = _image(parts, values, rng, rng.uniform(2.0, 30.0), rng.uniform(0.0, 0.15), coils)
        intensities = mr_values(rng, wanted)
        made.append((first, _image(parts, intensities, rng, 8.0, 0.04)))
        told.append(np.stack([brightness(values), brightness(intensities)]))
    both = [torch.from_numpy(np.stack(images))[:, None] for images in zip(*made, strict=True)]
    return both[0], both[1], torch.from_numpy(np.stack(told))


@dataclass(frozen=True, eq=False)
class _Parts:
    """A slice of CT taken apart, each [S, S].

    Attributes:
        soft: HU of soft tissue, without noise.
        bone, marrow, hidden, fat, skin: shares of a pixel; marrow of the bone, fat of the hidden.
        head: False in the air around.
        blur: of the MR, in pixels.
    """

    soft: Floats
    bone: Floats
    marrow: Floats
    hidden: Floats
    fat: Floats
    skin: Floats
    head: NDArray[np.bool_]
    blur: float


def _find_parts(values: Floats, window: tuple[float, float], rng: np.random.Generator) -> _Parts:
    side, (lower, upper) = len(values), window
    millimetre = side / 256
    share = (values + 1) / 2
    hu = (share * (upper - lower) + lower).astype(np.float32)
    hides = lower > _SHOWS_FAT
    shown = share > VISIBLE if hides else hu > _KNOTS["air"]
    outline = _outline(shown, round(_GAP * side))
    rim = rng.uniform(0.0, SCALP) * side if hides else 0.0
    head = ndimage.distance_transform_edt(~outline) <= rim
    depth = ndimage.distance_transform_edt(head).astype(np.float32)
    bone = np.clip((hu - _BONE[0]) / (min(_BONE[1], upper) - _BONE[0]), 0, 1)
    hidden = np.clip((lower + _HIDDEN + 5.0 - hu) / _HIDDEN, 0, 1) * hides
    fat = head & ~shown & hides & _joins(head & ~shown, ~outline | (depth <= 1.5), rng)
    air = ~(shown | fat)
    near = [ndimage.gaussian_filter(part.astype(np.float32), 1.0) for part in (fat, air)]
    thick = ndimage.distance_transform_edt(bone > 0.5) - rng.uniform(*_TABLE_MM) * millimetre - 0.5
    return _Parts(
        soft=_without_noise(hu, shown & (bone < 0.2), rng.uniform(0.5, 1.6) * side / 128),
        bone=bone,
        marrow=np.clip(thick, 0, 1) * (rng.random() < 0.6),
        hidden=hidden,
        fat=near[0] / np.maximum(near[0] + near[1], 1e-6),
        skin=np.clip(2.5 * millimetre + 0.5 - depth, 0, 1) * (~shown if hides else shown & (hu < _BONE[0])),
        head=head,
        blur=rng.uniform(0.3, 0.8) * side / 128,
    )


def _outline(shown: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Fill the gaps and holes of the head."""
    padded = np.pad(shown, 2 * gap)
    near = ndimage.binary_fill_holes(ndimage.distance_transform_edt(~padded) <= gap)
    closed: NDArray[np.bool_] = ndimage.distance_transform_edt(near) > gap - 0.5
    return closed[2 * gap : -2 * gap, 2 * gap : -2 * gap]


def _joins(
    hidden: NDArray[np.bool_], surface: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Select the connected hidden parts that reach the surface, and some of the others at random."""
    labels, count = ndimage.label(hidden)
    chosen = rng.random(count + 1) < _ENCLOSED_FAT
    chosen[np.unique(labels[surface])] = True
    found: NDArray[np.bool_] = chosen[labels]
    return found


def _without_noise(hu: Floats, soft: NDArray[np.bool_], width: float) -> Floats:
    """HU averaged over the soft tissue within a Gaussian window; elsewhere as they are."""
    weight = ndimage.gaussian_filter(soft.astype(np.float32), width)
    mean = ndimage.gaussian_filter(np.where(soft, hu, 0), width) / np.maximum(weight, 1e-3)
    smooth: Floats = np.where(soft, mean, hu)
    return smooth


def _image(
    parts: _Parts,
    values: Floats,
    rng: np.random.Generator,
    noise: float,
    shading: float,
    gain: Floats | float = 1.0,
) -> Floats:
    """One MR, given the intensity of each tissue, and the gain of the coils, [S, S]."""
    of = {name: values[label] for name, label in LABEL.items()}
    image = np.interp(parts.soft, list(_KNOTS.values()), [of[name] for name in _KNOTS])
    image += parts.hidden * (parts.fat * of["fat"] - image)
    image += parts.bone * (of["cortical bone"] + parts.marrow * (of["diploe"] - of["cortical bone"]) - image)
    image += parts.skin * (of["skin"] - image)
    image = ndimage.gaussian_filter(np.where(parts.head, image, 0), parts.blur)
    coil = ndimage.zoom(rng.standard_normal((4, 4)), len(image) / 4, order=3)
    return rician((image * gain * (1 + shading * coil)).astype(np.float32), rng, noise)
