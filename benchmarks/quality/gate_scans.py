"""Makes scans of heads that are no anatomical MR or CT, for `input_gate`; none was fitted on.

Real ones come with packages: nilearn (a stripped template, shares of its tissues, a statistic), dipy and
nibabel (echo-planar images), sdcflows (a field map). Others are made of real heads and of label maps of real
heads, by other code than `medtranslate.gate` learns from.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtranslate.config import Modality
from medtranslate.io import Meta, Volume, read_volume
from medtranslate.io.layout import to_axial

Grey = NDArray[np.float32]
Flags = NDArray[np.bool_]
Scan = tuple[str, str, Volume, Modality]
"""Kind, name, volume, and what it is offered as."""

LABELS: dict[str, dict[str, tuple[int, ...]]] = {
    "brainweb-normal-10class": {"csf": (1,), "grey": (2, 8), "white": (3,)},
    "usc-19.5y-mcx-6class": {"csf": (3,), "grey": (4,), "white": (5,)},
    "colin27-mcx-6class": {"csf": (3,), "grey": (4,), "white": (5,)},
    "usc-40-44y-spm-6class": {"csf": (3,), "grey": (1,), "white": (2,)},
    "mni152-neurodot-5class": {"csf": (1,), "grey": (3,), "white": (2,)},
}
"""Which labels of a map are which part of the brain."""

VALUES = {
    "T1-weighted": (200.0, 600.0, 900.0),
    "T2-weighted": (1000.0, 450.0, 350.0),
    "ADC": (3000.0, 850.0, 750.0),
    "FA": (80.0, 180.0, 550.0),
    "T1 in ms": (4200.0, 1300.0, 830.0),
    "T2 in ms": (1500.0, 95.0, 75.0),
}
"""Fluid, grey and white matter in each contrast and map, in textbook values near 1.5 to 3 T."""

NOISE = ("T1 in ms", "T2 in ms", "ADC")
"""Maps whose air holds what a fit makes of noise."""

BRAIN_MM3 = 1.7e6
"""Volume that a brain hardly exceeds."""

REAL = {
    "EPI, real": (
        "dipy/data/files/S0_10slices.nii.gz",
        "dipy/data/files/aniso_vox.nii.gz",
        "nibabel/tests/data/example4d.nii.gz",
    ),
    "stripped, nilearn's MNI152": ("nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",),
    "maps, real": (
        "nilearn/datasets/data/mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
        "nilearn/datasets/data/mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
        "nilearn/datasets/data/image_10426.nii.gz",
        "sdcflows/data/fmap_atlas.nii.gz",
    ),
}
"""Files of packages."""

CT = ("nifti/ct-template-hu", "heads/ct-hu/invesalius-cranium", "heads/ct-hu/stanford-cthead")
MR = (
    "nifti/t1-template",
    "nifti/mr-t1-head",
    "heads/mr/flair-3d-py_synthsr",
    "heads/mr/flair-2d-torchio-fernando",
    "heads/mr/t2-brain_037",
)
SERIES: dict[str, Modality] = {"ct-head-ge-tilt": "ct", "mr-t1-sagittal-siemens": "mr"}


def whole_heads(data: Path, modality: Modality) -> Iterator[tuple[str, Volume]]:
    """Read the heads that are files."""
    for name in CT if modality == "ct" else MR:
        yield name, read_volume(data / f"{name}.nii.gz", modality=modality)


def read_series(data: Path, name: str, folder: Path) -> Volume:
    """Read a series, unpacked into a folder."""
    if not (folder / name).exists():
        with tarfile.open(data / "dicom" / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return read_volume(folder / name)


def heads(data: Path, folder: Path) -> Iterator[tuple[str, Volume, Modality]]:
    """Read all heads that are at hand."""
    for modality in ("ct", "mr"):
        for name, volume in whole_heads(data, modality):
            yield name, volume, modality
    for name, modality in SERIES.items():
        yield name, read_series(data, name, folder), modality


def scans(data: Path, packages: Path | None, folder: Path) -> Iterator[Scan]:
    """Make all scans, as volumes."""
    for kind, paths in REAL.items():
        for path in paths if packages else ():
            assert packages
            yield kind, path.rpartition("/")[2], _first(packages / path), "mr"
    for at, (name, volume, modality) in enumerate(heads(data, folder)):
        axial = _coarser(to_axial(volume))
        yield "stripped, real heads", name, _like(axial, *strip(axial, modality)), modality
        if modality == "mr":
            for kind, make in MADE.items():
                yield kind, name, _like(axial, make(axial, at), 0.0), "mr"
    for name, parts in LABELS.items():
        for contrast, values in VALUES.items():
            kind = "stripped, label maps" if "weighted" in contrast else "maps, of label maps"
            yield kind, f"{name} {contrast}", _rendered(data, name, parts, contrast, values), "mr"


def strip(axial: Volume, modality: Modality) -> tuple[Grey, float]:
    """Strip a head of skull and scalp; return the value of its surroundings too.

    What is of brain's brightness is shrunk until its largest part is no larger than a brain, and grown again.
    """
    values = axial.values
    sizes = np.array(axial.spacing)
    if modality == "ct":
        tissue = (values > 0) & (values < 90) & ~_within(values > 130, 2.5, sizes)
    else:
        top = np.percentile(values[values > values.mean()], 99)
        tissue = values > 0.22 * top
    for apart in (3.0, 4.0, 5.0, 6.5, 8.0, 10.0):
        labels, _ = ndimage.label(_within(tissue, -apart, sizes))
        middle = labels[tuple(slice(extent // 3, 2 * extent // 3) for extent in labels.shape)]
        brain = _within(labels == 1 + int(np.argmax(np.bincount(middle.ravel())[1:])), apart + 1, sizes)
        if brain.sum() * sizes.prod() < BRAIN_MM3:
            break
    closed = _within(_within(brain, 8.0, sizes), -8.0, sizes)
    brain = np.stack([ndimage.binary_fill_holes(closed[..., z]) for z in range(closed.shape[2])], axis=2)
    air = -1000.0 if modality == "ct" else 0.0
    return np.where(brain, values, air).astype(np.float32), air


def epi(axial: Volume, seed: int) -> Grey:
    """Make an echo-planar image: 3 mm voxels, bent by air near the sinuses, dark fat, a ghost, noise."""
    rng = np.random.default_rng(seed)
    values, sizes = axial.values, axial.spacing
    brain = strip(axial, "mr")[0] > 0
    top = float(np.percentile(values[brain], 99))
    # T1 becomes darkest in white matter, as it is in T2*.
    contrast = (1.2 * top - values).clip(0) if seed % 2 else values
    grey = np.where(brain, contrast, rng.uniform(0.0, 0.2) * values)
    coarse = ndimage.zoom(grey, np.array(sizes) / (3.0, 3.0, max(3.0, sizes[2])), order=1)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, extent) for extent in coarse.shape), indexing="ij")
    sinus = np.exp(-(x**2 + (y - 0.7) ** 2 + (z + 0.2) ** 2) / 0.08)
    ears = np.exp(-((np.abs(x) - 0.6) ** 2 + y**2 + (z + 0.4) ** 2) / 0.08)
    pixels = rng.uniform(2, 5) * sinus - rng.uniform(1, 3) * ears
    places = np.indices(coarse.shape).astype(np.float32)
    places[1] += pixels
    bent = ndimage.map_coordinates(coarse * (1 - 0.8 * sinus), places, order=1) * (
        1 + np.gradient(pixels, axis=1)
    )
    ghosted = bent.clip(0) + 0.05 * np.roll(bent.clip(0), bent.shape[1] // 2, axis=1)
    noisy = np.hypot(
        ghosted + 0.02 * top * rng.standard_normal(bent.shape), 0.02 * top * rng.standard_normal(bent.shape)
    )
    made: Grey = ndimage.zoom(noisy, np.array(grey.shape) / noisy.shape, order=1).astype(np.float32)
    return made


def phase(axial: Volume, seed: int) -> Grey:
    """Make the phase of a gradient echo from 0 to 4095: a bent field within the head, noise outside."""
    rng = np.random.default_rng(seed)
    values = axial.values
    head = ndimage.binary_fill_holes(values > 0.15 * np.percentile(values, 99))
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, extent) for extent in values.shape), indexing="ij")
    field = sum(
        rng.normal(0, 4) * term for term in (x, y, z, x * y, y * z, x * z, x**2, y**2, z**2, x**2 * y, y**3)
    )
    field = field + 3 * ndimage.gaussian_filter(head.astype(np.float32), 6)
    angle = np.where(head, field + rng.normal(0, 0.15, values.shape), rng.uniform(0, 2 * np.pi, values.shape))
    made: Grey = (angle % (2 * np.pi) * 4095 / (2 * np.pi)).astype(np.float32)
    return made


def flight(axial: Volume, seed: int) -> Grey:
    """Make a time of flight, each slice the projection of its neighbours: trees of vessels on dim tissue."""
    rng = np.random.default_rng(seed)
    values = axial.values
    top = float(np.percentile(values, 99.5))
    dim = rng.uniform(0.1, 0.35) * ndimage.gaussian_filter(values.clip(0, top), 1.5)
    tree = np.zeros(values.shape, np.float32)
    extent = np.array(values.shape)

    def grow(start: NDArray[np.float64], towards: NDArray[np.float64], wide: float, left: int) -> None:
        at = start
        for _ in range(7):
            towards = towards + rng.normal(0, 0.25, 3)
            at = at + 1.4 * towards / np.linalg.norm(towards)
            if (at < 2).any() or (at > extent - 3).any():
                return
            low = np.round(at - wide / 2).astype(int).clip(0)
            high = np.round(at + wide / 2).astype(int) + 1
            tree[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = top
        for _ in range(2 if left else 0):
            grow(at, towards + rng.normal(0, 0.8, 3), max(1.0, 0.8 * wide), left - 1)

    for side, forward in ((-1, 0.2), (1, 0.2), (0, 1.0), (-1, -1.0), (1, -1.0)):
        grow(extent * (0.5, 0.52, 0.42), np.array([side, forward, 0.25]), 2.5, 5)
    tree = ndimage.gaussian_filter(tree, 0.6) * (values > 0.08 * top)
    seen = ndimage.maximum_filter1d(np.maximum(dim, tree), 1 + 2 * (seed % 2) * 12, axis=2)
    made: Grey = seen.astype(np.float32)
    return made


MADE: dict[str, Callable[[Volume, int], Grey]] = {
    "EPI, made": epi,
    "phase maps, made": phase,
    "angiography, made": flight,
}
"""What is made of each MR."""


def _rendered(
    data: Path, name: str, parts: dict[str, tuple[int, ...]], contrast: str, values: tuple[float, ...]
) -> Volume:
    path = data / "heads" / "labels" / f"{name}.nii.gz"
    image: Any = nibabel.load(path)
    labels = np.asarray(image.dataobj)
    rng = np.random.default_rng(len(name + contrast))
    made = np.zeros(labels.shape, np.float32)
    for known, value in zip(parts.values(), values, strict=True):
        made[np.isin(labels, known)] = value
    made = ndimage.gaussian_filter(made, 0.5)
    made += (made > 0) * rng.normal(0, 0.04 * max(values[1:]), made.shape)
    if contrast in NOISE:
        made = np.where(made > 0, made, rng.uniform(0, max(values), made.shape) ** 2 / max(values))
    return _volume(made.clip(0), image.affine, path)


def _first(path: Path) -> Volume:
    """Read the first volume of a NIfTI file that may hold several."""
    image: Any = nibabel.load(path)
    values = np.asarray(image.dataobj, np.float32)
    return _volume(values.reshape(*values.shape[:3], -1)[..., 0], image.affine, path)


def _volume(values: NDArray[np.floating], affine: NDArray[np.float64], path: Path) -> Volume:
    return Volume(np.ascontiguousarray(values, np.float32), affine, Meta(modality="mr", path=path))


def _like(axial: Volume, values: Grey, air: float) -> Volume:
    """Put other values on a grid; one voxel is air, so that the values alone say nothing."""
    values[0, 0, 0] = air
    return axial.with_values(values)


def _coarser(axial: Volume) -> Volume:
    """Take every second or third voxel, about 2 mm apart: as much as the gate's classifier sees."""
    x, y, z = (max(1, round(2.0 / length)) for length in axial.spacing)
    return Volume(axial.values[::x, ::y, ::z], axial.affine @ np.diag([x, y, z, 1.0]), axial.meta)


def _within(mask: Flags, millimetres: float, sizes: NDArray[np.float64]) -> Flags:
    """Grow a mask by so many millimetres, or shrink it where they are negative."""
    found: Flags
    if millimetres < 0:
        depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=sizes)[1:-1, 1:-1, 1:-1]
        found = depth > -millimetres
    else:
        found = ndimage.distance_transform_edt(~mask, sampling=sizes) <= millimetres
    return found
