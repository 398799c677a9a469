"""Collects right and wrong pictures for `benchmarks.quality.input_gate`.

Wrong kinds are made of val*, of volumes cut in other planes, of the photographs that come with scikit-image,
of pydicom's test images, and of drawn chests and knees, since no real ones are at hand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks.quality.gate_scans import whole_heads
from medtranslate.config import Modality
from medtranslate.io import Meta, Volume
from medtranslate.io.layout import to_axial
from medtranslate.transforms import mr_top, scale_ct, scale_mr

Grey = NDArray[np.float32]
Offer = tuple[str, Volume, Modality]

MODALITIES: tuple[Modality, Modality] = ("ct", "mr")
BRAIN = (-20.0, 100.0)

PAIRS: dict[str, Modality] = {
    "paired-ct-mr/CT": "ct",
    "paired-ct-mr/MRI": "mr",
    "paired-three/CT": "ct",
    "paired-three/MRI-T1": "mr",
    "paired-three/MRI-T2": "mr",
}
"""Pictures of other sources than the training's."""


def kinds(data: Path) -> dict[str, list[Offer]]:
    """Collect pictures by kind, each with the modality that it is offered as."""
    pictures = data / "brain-ct-mr"
    right = {"ct": read(pictures / "valA"), "mr": read(pictures / "valB")}
    found: dict[str, list[Offer]] = {
        "right: pictures, valA": offers(right["ct"], "ct"),
        "right: pictures, valB": offers(right["mr"], "mr"),
    }
    for folder, which in PAIRS.items():
        found[f"right: pictures, {folder}"] = offers(read(data / folder), which)
    found["wrong: pictures, mislabelled as MR"] = offers(read(pictures / "mislabelled"), "mr")
    found["wrong: pictures, CT as MR"] = offers(right["ct"], "mr")
    found["wrong: pictures, MR as CT"] = offers(right["mr"], "ct")
    for which in MODALITIES:
        upper = which.upper()
        found[f"wrong: pictures, {upper} upside down"] = offers(
            {name: grey[::-1] for name, grey in right[which].items()}, which
        )
        found[f"wrong: pictures, {upper} turned 90 degrees"] = offers(
            {name: np.rot90(grey, 1 + 2 * (at % 2)) for at, (name, grey) in enumerate(right[which].items())},
            which,
        )
        found[f"wrong: pictures, {upper} inverted"] = offers(
            {name: 255 - grey for name, grey in right[which].items()}, which
        )
        found[f"wrong: pictures, {upper} sagittal, coronal"] = offers(cuts(data, which), which)
    for kind, greys in {
        "photographs": photographs(),
        "drawn chests": {f"chest {seed}": chest(seed) for seed in range(24)},
        "drawn knees": {f"knee {seed}": knee(seed) for seed in range(24)},
        "real images of other things": others(),
        "noise": noises(),
        "empty": {"black": np.zeros((256, 256), np.float32), "white": np.full((256, 256), 255, np.float32)},
    }.items():
        found[f"wrong: pictures, {kind}"] = [offer for which in MODALITIES for offer in offers(greys, which)]
    return found


def offers(greys: dict[str, Grey], modality: Modality) -> list[Offer]:
    return [(name, picture(grey, modality, name), modality) for name, grey in greys.items()]


def picture(grey: Grey, modality: Modality, name: str) -> Volume:
    """Make what `read_volume` gives for an 8-bit picture, rows front to back."""
    values = np.ascontiguousarray(grey.T, np.float32).round()[:, :, None]
    return Volume(
        values, np.diag([-1.0, -1.0, 1.0, 1.0]), Meta(modality=modality, levels=255, path=Path(name))
    )


def read(folder: Path) -> dict[str, Grey]:
    return {
        path.name: np.asarray(Image.open(path).convert("L"), np.float32)
        for path in sorted(folder.iterdir())
        if path.suffix in (".png", ".jpg")
    }


def cuts(data: Path, modality: Modality) -> dict[str, Grey]:
    """Cut sagittal and coronal slices of real heads, head up, 12 of each."""
    made: dict[str, Grey] = {}
    for name, volume in whole_heads(data, modality):
        grey, sizes = greys(volume, modality)
        for axis, plane in ((0, "sagittal"), (1, "coronal")):
            for share in np.linspace(0.3, 0.7, 12):
                cut = np.take(grey, int(share * grey.shape[axis]), axis=axis).T[::-1]
                made[f"{name} {plane} {share:.2f}"] = ndimage.zoom(cut, (sizes[2], sizes[1 - axis]), order=1)
    return made


def slices_of(volume: Volume, modality: Modality, name: str, count: int) -> dict[str, Grey]:
    """Cut axial slices, front up, of those that show at least a third of what the fullest shows."""
    grey, sizes = greys(volume, modality)
    shown = (grey > 25).mean(axis=(0, 1))
    full = np.flatnonzero(shown > shown.max() / 3)
    chosen = full[np.linspace(0, len(full) - 1, count).round().astype(int)]
    return {
        f"{name} {at}": ndimage.zoom(grey[:, :, at].T[::-1, ::-1], (sizes[1], sizes[0]), order=1)
        for at in chosen
    }


def greys(volume: Volume, modality: Modality) -> tuple[Grey, tuple[float, float, float]]:
    """Return grey values 0 to 255 in axial layout, and the voxel's size."""
    axial = to_axial(volume)
    values = axial.values
    unit = scale_ct(values, BRAIN) if modality == "ct" else scale_mr(values, mr_top(values, 99.5))
    return ((unit + 1) * 127.5).astype(np.float32), axial.spacing


def photographs() -> dict[str, Grey]:
    """Read the pictures of scikit-image: people, animals, things, textures, cells, text."""
    folder = Path(skimage.data.__file__).parent
    found = {
        path.name: np.asarray(Image.open(path).convert("L"), np.float32)
        for path in sorted(folder.iterdir())
        if path.suffix in (".png", ".jpg") and path.name != "phantom.png"
    }
    faces = skimage.data.lfw_subset()[:20]
    return found | {f"face {index}": (255 * face).astype(np.float32) for index, face in enumerate(faces)}


def others() -> dict[str, Grey]:
    """Read pydicom's test images of other anatomy and other devices, and a drawing."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    windows = {"CT_small.dcm": (-160, 240), "examples_overlay.dcm": None, "MR_small.dcm": None}
    windows |= {"JPEG2000.dcm": None, "image_dfl.dcm": None, "examples_palette.dcm": None}
    found = {}
    for name, window in windows.items():
        data = pydicom.dcmread(folder / name)
        grey = data.pixel_array.astype(np.float32)
        grey = grey * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
        low, high = window or np.percentile(grey, (1, 99.5))
        found[name] = (255 * (grey - low) / (high - low)).clip(0, 255)
    return found


def noises() -> dict[str, Grey]:
    rng = np.random.default_rng(0)
    made = {}
    for index in range(24):
        white = rng.standard_normal((200, 200))
        smooth = ndimage.gaussian_filter(white, (0, 1, 3, 8, 20, 40)[index % 6])
        low, high = smooth.min(), smooth.max()
        made[f"noise {index}"] = (255 * (smooth - low) / (high - low)).astype(np.float32)
    return made


def ellipse(shape: tuple[int, int], y: float, x: float, high: float, wide: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return ((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 < 1


def chest(seed: int) -> Grey:
    """Draw an axial chest: skin, muscle, two lungs with vessels, heart, spine, ribs."""
    rng, size = np.random.default_rng(seed), (256, 256)

    def near(value: float, by: float = 0.08) -> float:
        return value * float(rng.uniform(1 - by, 1 + by))

    grey = np.zeros(size, np.float32)
    grey[ellipse(size, 0, 0, near(0.6), near(0.88))] = near(110, 0.3)
    grey[ellipse(size, 0, 0, 0.53, 0.8)] = near(150, 0.2)
    lungs = ellipse(size, -0.02, -0.4, near(0.42), near(0.3)) | ellipse(
        size, -0.02, 0.4, near(0.42), near(0.3)
    )
    grey[lungs] = near(20, 0.5)
    for _ in range(40):
        y, x = rng.uniform(-0.4, 0.4), rng.uniform(-0.65, 0.65)
        grey[ellipse(size, y, x, *rng.uniform(0.01, 0.03, 2)) & lungs] = 120
    grey[ellipse(size, -0.1, near(0.12, 0.5), near(0.25), near(0.3))] = near(170, 0.15)
    grey[ellipse(size, 0.36, 0, near(0.14), near(0.13))] = near(235, 0.08)
    grey[ellipse(size, 0.42, 0, 0.05, 0.06)] = 130
    for angle in np.linspace(0, 2 * np.pi, 18):
        grey[ellipse(size, 0.47 * np.sin(angle), 0.72 * np.cos(angle), 0.03, 0.05)] = 240
    return finished(grey, rng)


def knee(seed: int) -> Grey:
    """Draw a knee: sagittal (femur, tibia, patella) or axial (condyles, patella), in T1's or CT's grey."""
    rng, size = np.random.default_rng(seed), (256, 256)
    fat, muscle, bone, joint = ((200, 90, 180, 60), (60, 130, 245, 110))[seed % 2]
    grey = np.zeros(size, np.float32)
    shift = float(rng.uniform(-0.08, 0.08))
    if seed % 4 < 2:
        grey[:, 60:196] = fat
        grey[:, 75:180] = muscle
        grey[ellipse(size, -0.75, shift, 0.62, 0.22)] = bone
        grey[ellipse(size, -0.28, shift, 0.26, 0.34)] = bone
        grey[ellipse(size, 0.35, shift, 0.2, 0.34)] = bone
        grey[ellipse(size, 0.85, shift, 0.6, 0.2)] = bone
        grey[ellipse(size, 0.04, shift, 0.05, 0.34)] = joint
        grey[ellipse(size, -0.25, -0.42, 0.18, 0.07)] = bone
    else:
        grey[ellipse(size, 0, 0, 0.82, 0.78)] = fat
        grey[ellipse(size, 0.25, 0, 0.5, 0.68)] = muscle
        for side in (-0.28, 0.28):
            grey[ellipse(size, shift, side, 0.34, 0.28)] = bone
        grey[ellipse(size, -0.5, 0.05, 0.13, 0.3)] = bone
        grey[ellipse(size, 0.35, 0, 0.07, 0.07)] = joint
    return finished(grey, rng)


def finished(grey: Grey, rng: np.random.Generator) -> Grey:
    soft = ndimage.gaussian_filter(grey, rng.uniform(0.8, 1.8))
    noisy = soft + (soft > 5) * rng.normal(0, rng.uniform(2, 10), grey.shape)
    made: Grey = noisy.clip(0, 255).astype(np.float32)
    return made
