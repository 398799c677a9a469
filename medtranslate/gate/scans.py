"""Scans of heads that are no anatomical MR or CT: bare brains, echo-planar images, angiograms, maps.

They are computed from ordinary slices. Each maker takes slices [N, 1, S, S] in [-1, 1] and returns as many
pictures of its kind, like the makers of `negatives`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from scipy.special import expit
from torch import Tensor

from medtranslate.config import Modality
from medtranslate.gate.brain import Cut, Floats, cut_out
from medtranslate.gate.negatives import Maker

BARE = 0.35
"""Least share of brain in a head; slices with less show vertex or face and are not used."""


Draw = Callable[[Cut, np.random.Generator], Floats]


def bare(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Remove skull and scalp."""
    return _drawn(slices, generator, lambda cut, rng: np.where(cut.brain, cut.grey, 0.0))


def echo_planar(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Simulate echo-planar images: coarse, bent along the phase-encoding axis, with ghosts, dark near air.

    Jezzard and Balaban (MRM 34 (1995) 65) describe the distortion; the ghost lies half a field of view
    away. Fat is suppressed, so the scalp is dark. Some are also without skull, like atlases of such images.
    """
    return _drawn(slices, generator, _echo_planar)


def angiograms(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Draw bright vessels on a suppressed background: projections, and slices of time of flight."""
    return _drawn(slices, generator, _angiogram)


def maps(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Draw computed maps: diffusion, relaxation, share of a tissue, statistics, phase."""
    return _drawn(slices, generator, lambda cut, rng: _MAPS[int(rng.integers(len(_MAPS)))](cut, rng))


def _drawn(slices: Tensor, generator: torch.Generator, draw: Draw) -> Tensor:
    """Draw one picture for each slice, from the slices that show enough brain, or from all if none does."""
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    cuts = [cut_out(picture[0], rng) for picture in slices]
    usable = [cut for cut in cuts if cut.share > BARE] or cuts
    pictures = [draw(usable[index % len(usable)], rng) for index in range(len(cuts))]
    return 2 * torch.from_numpy(np.stack(pictures).astype(np.float32))[:, None].clamp(0, 1) - 1


def _echo_planar(cut: Cut, rng: np.random.Generator) -> Floats:
    size = len(cut.grey)
    y, x = _coordinates(size)
    grey = _other_contrast(cut, rng) if rng.random() < 0.5 else cut.grey
    rim = np.where(cut.brain, 1.0, rng.uniform(0.0, 0.4) if rng.random() < 0.7 else 0.0)
    grey = grey * np.where(cut.head, rim, 1.0)
    stretch = np.ones_like(grey)
    shift = np.zeros_like(grey)
    # Air in the sinuses (front) and in the ears (sides) bends and darkens what lies beside it.
    for place in ((0.0, -0.6), (-0.55, 0.05), (0.55, 0.05), tuple(rng.uniform(-0.6, 0.6, 2))):
        near = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / rng.uniform(0.02, 0.12))
        grey = grey * (1 - rng.uniform(0, 0.9) * (rng.random() < 0.5) * near)
        shift += rng.uniform(-0.16, 0.16) * near
    shift += rng.uniform(-0.05, 0.05) * np.sin(rng.uniform(1, 4) * x + rng.uniform(0, 6))
    rows, columns = np.indices(grey.shape)
    along = 0 if rng.random() < 0.8 else 1
    pixels = shift * size / 2
    stretch += np.gradient(pixels, axis=along)
    places = (rows + pixels, columns) if along == 0 else (rows, columns + pixels)
    bent = ndimage.map_coordinates(grey, places, order=1, mode="constant") * stretch.clip(0.2, 2.5)
    ghost = np.roll(bent, size // 2, axis=along)
    image = bent + rng.uniform(0, 0.15) * ghost
    coarse = size / rng.uniform(40, 80)
    image = ndimage.gaussian_filter(image, 0.5 * coarse)
    return _grained(image / max(float(image.max()), 0.1) * rng.uniform(0.9, 1.2), 0.06, rng)


def _angiogram(cut: Cut, rng: np.random.Generator) -> Floats:
    size = len(cut.grey)
    smooth = ndimage.gaussian_filter(cut.grey, rng.uniform(0.005, 0.03) * size)
    ground = rng.uniform(0.05, 0.35) * smooth
    if rng.random() < 0.5:  # a projection: even ground that fades towards the rim
        depth = ndimage.distance_transform_edt(cut.head)
        ground = rng.uniform(0.0, 0.3) * np.sqrt(depth / max(float(depth.max()), 1.0))
    if rng.random() < 0.4:
        ground = ground * cut.brain
    vessels = _vessels(size, rng)
    if rng.random() < 0.5:
        vessels = np.maximum(vessels, vessels[:, ::-1])
    return _grained(np.maximum(ground, vessels * (cut.head | (rng.random() < 0.2))), 0.05, rng)


def _vessels(size: int, rng: np.random.Generator) -> Floats:
    """Draw winding, branching lines of different width [S, S], 0 to 1."""
    canvas = np.zeros((size, size), np.float32)
    tips = [
        (0.5 + rng.normal(0, 0.06), 0.5 + rng.normal(0, 0.1), rng.uniform(0, 6.3), rng.uniform(0.008, 0.02))
    ]
    tips = tips * int(rng.integers(3, 9))
    for _ in range(int(rng.integers(10, 40))):
        x, y, angle, width = tips[int(rng.integers(len(tips)))]
        angle += rng.normal(0, 1.2)
        for _ in range(int(rng.integers(8, 40))):
            angle += rng.normal(0, 0.35)
            x, y = x + 0.012 * np.cos(angle), y + 0.012 * np.sin(angle)
            if not (0.02 < x < 0.98 and 0.02 < y < 0.98):
                break
            half = max(1, round(width * size))
            row, column = round(y * (size - 1)), round(x * (size - 1))
            canvas[
                max(0, row - half // 2) : row + half // 2 + 1,
                max(0, column - half // 2) : column + half // 2 + 1,
            ] = 1
        tips.append((x, y, angle, 0.75 * width))
    soft: Floats = ndimage.gaussian_filter(canvas, 0.003 * size) * rng.uniform(0.7, 1.0)
    return soft


def _diffusivity(cut: Cut, rng: np.random.Generator) -> Floats:
    """Draw an even brain with bright fluid; outside zero, or the noise of a quotient."""
    fluid = _steep(cut.grey if rng.random() < 0.6 else 1 - cut.grey, rng)
    inside = rng.uniform(0.25, 0.5) + rng.uniform(0.3, 0.7) * fluid
    return _grained(np.where(cut.brain, inside, _outside(cut, rng)), 0.1, rng)


def _anisotropy(cut: Cut, rng: np.random.Generator) -> Floats:
    """Draw bright edges, like fibre tracts, on a grainy dark ground."""
    soft = ndimage.gaussian_filter(cut.grey, 0.012 * len(cut.grey))
    edges = ndimage.gaussian_gradient_magnitude(soft, 0.008 * len(cut.grey))
    edges = edges / max(float(np.percentile(edges[cut.brain], 98)) if cut.brain.any() else 1.0, 1e-3)
    tracts = 0.6 * edges + 0.5 * _steep(cut.grey, rng)
    return _grained(np.where(cut.brain, tracts * rng.uniform(0.7, 1.2), _outside(cut, rng)), 0.12, rng)


def _relaxation(cut: Cut, rng: np.random.Generator) -> Floats:
    """Draw another contrast, with noise of any size where there is no signal."""
    return np.where(cut.head, _other_contrast(cut, rng), _outside(cut, rng, always=True))


def _tissue(cut: Cut, rng: np.random.Generator) -> Floats:
    """Draw the fraction of one tissue, nearly black and white."""
    middle = float(np.quantile(cut.grey[cut.brain], rng.uniform(0.15, 0.85))) if cut.brain.any() else 0.5
    apart = cut.grey - middle
    width = rng.uniform(0.02, 0.12)
    share = np.exp(-((apart / width) ** 2)) if rng.random() < 0.4 else expit(4 * apart / width)
    share = share if rng.random() < 0.5 else share.max() - share
    return np.where(cut.brain, ndimage.gaussian_filter(share, rng.uniform(0, 0.012) * len(share)), 0.0)


def _statistic(cut: Cut, rng: np.random.Generator) -> Floats:
    """Draw smooth noise within a brain, signed or as absolute values."""
    field = ndimage.gaussian_filter(
        rng.standard_normal(cut.grey.shape).astype(np.float32), rng.uniform(0.01, 0.06) * len(cut.grey)
    )
    field = (
        0.5 + 0.2 * field / max(float(field.std()), 1e-6)
        if rng.random() < 0.5
        else np.abs(field) / np.abs(field).max()
    )
    return np.where(cut.brain, field + rng.uniform(0, 0.3) * cut.grey, 0.0)


def _phase(cut: Cut, rng: np.random.Generator) -> Floats:
    """Draw phase wrapped at -pi and pi; noise where there is no signal, or zero if that is masked."""
    y, x = _coordinates(len(cut.grey))
    slope = rng.normal(0, 3.0, 5)
    angle = slope[0] * x + slope[1] * y + slope[2] * x * y + slope[3] * x**2 + slope[4] * y**2
    angle = angle * rng.uniform(0.1, 2.5) + rng.uniform(0, 3) * cut.grey + rng.normal(0, 0.1, x.shape)
    wrapped = (angle / (2 * np.pi)) % 1.0
    masked = rng.random() < 0.3
    within = cut.brain if masked and rng.random() < 0.5 else cut.head
    ground = rng.choice((0.0, 0.5)) if masked else rng.random(x.shape)
    phase: Floats = np.where(within, wrapped, ground)
    return phase


_MAPS = (_diffusivity, _anisotropy, _relaxation, _tissue, _statistic, _phase)


def _outside(cut: Cut, rng: np.random.Generator, *, always: bool = False) -> Floats:
    """Draw the values of a map outside the brain: zero, or noise of a random distribution."""
    if not always and rng.random() < 0.6:
        return np.zeros_like(cut.grey)
    noise: Floats = rng.random(cut.grey.shape).astype(np.float32) ** rng.uniform(0.5, 4.0)
    return noise * rng.uniform(0.4, 1.0)


def _other_contrast(cut: Cut, rng: np.random.Generator) -> Floats:
    """Map the grey values of a slice along a curve of six random points."""
    curve = rng.random(6)
    return np.where(cut.head, np.interp(cut.grey, np.linspace(0, 1, 6), curve), 0.0).astype(np.float32)


def _steep(grey: Floats, rng: np.random.Generator) -> Floats:
    """Select the brightest tissue, which is fluid in T2 and white matter in T1."""
    middle = rng.uniform(0.5, 0.8)
    share: Floats = expit(rng.uniform(8, 25) * (grey - middle))
    return share


def _grained(grey: Floats, most: float, rng: np.random.Generator) -> Floats:
    """Add the noise of a magnitude image: Rician, so that air is not black."""
    level = most * rng.random() ** 2
    noise = rng.standard_normal((2, *grey.shape)) * level
    noisy: Floats = np.hypot(grey + noise[0], noise[1]).astype(np.float32)
    return noisy


def _coordinates(size: int) -> tuple[Floats, Floats]:
    """Compute the rows and columns of the pixels, from -1 to 1."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    y, x = np.meshgrid(line, line, indexing="ij")
    return y, x


SCANS: dict[Modality, dict[str, Maker]] = {
    "ct": {"bare": bare},
    "mr": {"bare": bare, "echo planar": echo_planar, "angiograms": angiograms, "maps": maps},
}
"""Makers of head scans of each modality that the model does not know."""
