"""Whole heads from label maps, as they lie: CT in HU and MR in several contrasts, whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.quality.head_volumes import Head
from medtranslate.config.types import Contrast
from medtranslate.io import Volume
from medtranslate.io.volume import Meta
from medtranslate.metrics import Values
from medtranslate.phantom import read_label_map, rician, signal
from medtranslate.phantom.label_cuts import draw_cut, paint_cut
from medtranslate.phantom.label_maps import LabelMap
from medtranslate.phantom.tissues import CONTRASTS, column

MADE: tuple[Contrast, ...] = ("t1", "t2", "flair", "pd")

PIXEL_MM, SLICE_MM = 1.0, 3.0
CT_NOISE, MR_NOISE = 4.0, 15.0
"""In HU, and in thousandths of the fully relaxed signal."""


def label_heads(path: Path, seed: int = 0) -> Iterator[Head]:
    """Yield a head in each contrast, with the same CT.

    Args:
        path: label map in NIfTI with a table (`medtranslate.phantom.read_label_map`).
        seed: of the depths of skin, fat and tables of the skull, and of the noise.
    """
    rng = np.random.default_rng(seed)
    relaxation = column("pd"), column("t1"), column("t2")
    values = [column("hu"), *(1000 * signal(CONTRASTS[name], *relaxation) for name in MADE)]
    ct, *contrasts = painted(read_label_map(path), np.stack(values), rng)
    ct += rng.normal(0.0, CT_NOISE, ct.shape).astype(np.float32)
    affine, name = np.diag([PIXEL_MM, PIXEL_MM, SLICE_MM, 1.0]), path.name.partition(".nii")[0]
    true = Volume(ct, affine, Meta(modality="ct"))
    for contrast, mr in zip(MADE, contrasts, strict=True):
        noisy = Volume(rician(mr, rng, MR_NOISE), affine, Meta(modality="mr"))
        yield Head(f"{name} {contrast}", noisy, true, contrast)


def painted(head: LabelMap, values: Values, rng: np.random.Generator) -> Values:
    """Paint axial slices of a whole map, neither turned nor bent: [images, X, Y, Z] in RAS order.

    Args:
        values: of each tissue in each image, [images, tissues].
    """
    across, along, up = np.array(head.codes.shape) * head.spacing
    shape = round(across / PIXEL_MM), round(along / PIXEL_MM)
    places = np.indices(shape, np.float32) * PIXEL_MM
    drawn = draw_cut(head, rng, 32, lesions=False)
    slices = []
    for height in np.arange(SLICE_MM / 2, up, SLICE_MM):
        points = np.stack([*places, np.full(shape, height, np.float32)])
        cut = replace(
            drawn,
            voxels=(points / head.spacing[:, None, None]).astype(np.float32),
            step=np.array([0, 0, SLICE_MM / head.spacing[2]], np.float32),
            variant=np.zeros(shape, np.int64),
        )
        slices.append(paint_cut(head, cut, values, rng)[0])
    return np.stack(slices, axis=-1)
