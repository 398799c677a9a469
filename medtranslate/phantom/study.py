"""A study: paired CT and MR volumes of one head."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from medtranslate.config import PhantomContrast, PhantomSettings
from medtranslate.io import Meta, Volume, write_volume
from medtranslate.phantom.canvas import Plane, field
from medtranslate.phantom.head import Head, draw_head, draw_waves
from medtranslate.phantom.paint import lesion_at, paint
from medtranslate.phantom.scanner import ct_noise, rician
from medtranslate.phantom.tissues import TISSUES, Floats, ct_values, mr_values
from medtranslate.runtime import check_free, whole_output

HELD_OUT = 900_000
"""Seeds from here on are never used in training."""


@dataclass(frozen=True)
class LesionFound:
    """A lesion in a study: `centre` in mm RAS+, mean `radius` in mm."""

    kind: str
    centre: tuple[float, float, float]
    radius: float


@dataclass(frozen=True, eq=False)
class Study:
    """CT (HU), MR (0 to about 1000) and labels of one head on one RAS+ grid."""

    ct: Volume
    mr: Volume
    labels: Volume
    lesions: tuple[LesionFound, ...]


def _planes(size: int, spacing: float) -> list[Plane]:
    low = -0.5 * (size - 1) * spacing
    step = np.eye(3, dtype=np.float32) * spacing
    return [
        Plane(np.array([low, low, low + k * spacing], np.float32) + _CENTRE, step[0], step[1], (size, size))
        for k in range(size)
    ]


_CENTRE = np.array([0.0, -15.0, -18.0], np.float32)
"""Middle of a study's grid in mm RAS+, so that head and face fit a cube of 256 mm."""


def _painted(head: Head, size: int, spacing: float, values: Floats) -> tuple[Floats, NDArray[np.uint8]]:
    images = np.empty((len(values), size, size, size), np.float32)
    labels = np.empty((size, size, size), np.uint8)

    def one(item: tuple[int, Plane]) -> None:
        index, plane = item
        canvas = paint(head, plane, values)
        images[:, :, :, index] = canvas.images
        labels[:, :, index] = canvas.labels

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, enumerate(_planes(size, spacing))))
    return images, labels


def volume(head: Head, size: int, spacing: float) -> NDArray[np.uint8]:
    """Label a head: [X, Y, Z] of a head on the grid of `study` (`TISSUES` names them)."""
    return _painted(head, size, spacing, np.empty((0, len(TISSUES)), np.float32))[1]


def study(seed: int, *, size: int = 256, spacing: float = 1.0, contrast: PhantomContrast = "t1") -> Study:
    """Make a paired study of the head of a seed.

    Args:
        seed: seed of head, tissue parameters and noise.
        size: voxels along each axis.
        spacing: voxel size in mm.
        contrast: contrast of the MR.
    """
    head = draw_head(seed)
    rng = np.random.default_rng([seed, 1])
    values = np.stack([ct_values(rng), mr_values(rng, contrast)])
    (ct, mr), labels = _painted(head, size, spacing, values)
    planes = _planes(size, spacing)
    bias = draw_waves(rng, 6, 150, 400, rng.uniform(0.03, 0.12))
    level = rng.uniform(8.0, 20.0)
    for k, plane in enumerate(planes):
        ct[:, :, k] += ct_noise(rng, (size, size), rng.uniform(3.0, 4.0) if k == 0 else 3.5)
        mr[:, :, k] = rician(mr[:, :, k] * (1.0 + field(bias, plane)), rng, level)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = planes[0].origin
    found = tuple(LesionFound(lesion.kind, *lesion_at(head, lesion)) for lesion in head.lesions)
    name = f"phantom {seed} {size} {spacing}"
    return Study(
        _volume(ct, affine, Meta(modality="ct", study=name)),
        _volume(mr, affine, Meta(modality="mr", study=name)),
        _volume(labels.astype(np.float32), affine, Meta()),
        found,
    )


def _volume(values: Floats, affine: NDArray[np.float64], meta: Meta) -> Volume:
    return Volume(np.ascontiguousarray(values), affine, meta)


def write_study(settings: PhantomSettings) -> None:
    """Write a study: `ct`, `mr`, `labels.nii.gz`, `phantom.json`, all or nothing.

    Raises:
        OutputExists: the folder is there and `overwrite` is not set.
    """
    check_free(settings.out, overwrite=settings.overwrite)
    made = study(settings.seed, size=settings.size, spacing=settings.spacing, contrast=settings.contrast)
    suffix = "" if settings.format == "dicom" else ".nii.gz"
    with whole_output(settings.out, overwrite=settings.overwrite, folder=True) as folder:
        write_volume(made.ct, folder / f"ct{suffix}", format=settings.format)
        write_volume(made.mr, folder / f"mr{suffix}", format=settings.format)
        write_volume(made.labels, folder / "labels.nii.gz", format="nifti")
        described = {
            "seed": settings.seed,
            "contrast": settings.contrast,
            "lesions": [asdict(lesion) for lesion in made.lesions],
            "labels": {tissue.name: tissue.label for tissue in TISSUES},
        }
        (folder / "phantom.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
