"""Pictures of digital heads in planes that are not axial, and without skull and scalp.

Pictures are [count, 1, size, size] in [-1, 1], head up or face up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from medtranslate import phantom
from medtranslate.config import Modality, PhantomContrast, ScaleSettings
from medtranslate.phantom import LABEL
from medtranslate.transforms import mr_top, scale_ct

VOLUME = 80
"""Voxels along each axis of a head; 3 mm each."""

CUTS = 8
"""Slices of a head along each axis."""

CONTRASTS: tuple[PhantomContrast, ...] = ("t1", "t2", "flair", "random")

BRAIN = (
    *("grey matter", "white matter", "deep nuclei", "pallidum", "brainstem", "cerebellar cortex"),
    *("tumour", "oedema", "haemorrhage", "infarct", "calcification"),
)
"""Tissues of the brain, without the fluid."""

Volume = tuple[Tensor, NDArray[np.bool_], np.random.Generator]
"""Values [X, Y, Z] in [-1, 1], mask of the brain, and generator of further choices."""


def other_views(modality: Modality, number: int, size: int, scale: ScaleSettings, first: int) -> Tensor:
    """Draw sagittal and coronal cuts of digital heads from seed `first` on; some end above the face."""
    planes = (
        _upper(plane, rng)
        for unit, _, rng in _volumes(modality, scale, first)
        for axis in (0, 1)
        for plane in _cuts(unit, axis, rng)
    )
    return _resized(islice(planes, number), size)


def bare_heads(modality: Modality, number: int, size: int, scale: ScaleSettings, first: int) -> Tensor:
    """Draw brains without skull of digital heads from seed `first` on, mostly in axial cuts."""
    planes = (
        plane
        for unit, brain, rng in _volumes(modality, scale, first)
        for axis in (2, 2, 2, 0, 1)
        for plane in _cuts(unit.where(torch.from_numpy(_outlined(brain, rng)), -1.0), axis, rng)
    )
    return _resized(islice(planes, number), size)


def _volumes(modality: Modality, scale: ScaleSettings, first: int) -> Iterator[Volume]:
    for seed in count(first):
        rng = np.random.default_rng([seed, 9])
        contrast = CONTRASTS[int(rng.integers(len(CONTRASTS)))]
        study = phantom.study(seed, size=VOLUME, spacing=240 / VOLUME, contrast=contrast)
        values = torch.from_numpy((study.ct if modality == "ct" else study.mr).values)
        ends = scale.ct_curve if modality == "ct" else (0.0, mr_top(values, scale.mr_percentile))
        tissue = np.isin(study.labels.values, [LABEL[name] for name in BRAIN])
        yield scale_ct(values, ends), tissue, rng


def _outlined(tissue: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Outline a brain with its fluid: on its own surface, or a voxel or two wider."""
    labels, _ = ndimage.label(ndimage.binary_opening(tissue))
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    closed = ndimage.binary_fill_holes(ndimage.binary_closing(largest, iterations=3))
    wider = int(rng.integers(3))
    grown: NDArray[np.bool_] = ndimage.binary_dilation(closed, iterations=wider) if wider else closed
    return grown


def _cuts(unit: Tensor, axis: int, rng: np.random.Generator) -> list[Tensor]:
    """Choose some of the fuller slices across an axis, [1, rows, columns].

    Rows from the top of the head down (axial: from the front), columns from the front or the right.
    """
    planes = unit.movedim(axis, 0).transpose(1, 2).flip(1, 2)
    visible = (planes > -0.8).float().mean(dim=(1, 2))
    full = (visible > 0.5 * visible.max()).nonzero().flatten().numpy()
    return [planes[index][None] for index in rng.choice(full, min(CUTS, len(full)), replace=False)]


def _upper(plane: Tensor, rng: np.random.Generator) -> Tensor:
    """Cut a plane off below a random height, in two of three cases."""
    share = rng.uniform(0.5, 1.0) if rng.random() < 0.67 else 1.0
    return plane[:, : round(share * plane.shape[1])]


def _resized(planes: Iterable[Tensor], size: int) -> Tensor:
    """Pad planes with air to squares and resize them to [count, 1, size, size]."""
    pictures = []
    for plane in planes:
        side = max(plane.shape[1:])
        below, beside = side - plane.shape[1], side - plane.shape[2]
        square = functional.pad(plane, (0, beside, 0, below), value=-1.0)
        pictures.append(functional.interpolate(square[None], (size, size), mode="bilinear", antialias=True))
    return torch.cat(pictures)
