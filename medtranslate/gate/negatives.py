"""Pictures that are no axial head: altered slices, and drawings.

Each maker takes slices [N, 1, S, S] in [-1, 1] and returns as many pictures of its kind, in the same form.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import Modality, NetworkSettings, ScaleSettings
from medtranslate.errors import InputRefused
from medtranslate.transforms import find_frame, into_frame, isolate, mr_top, scale_mr

Maker = Callable[[Tensor, torch.Generator], Tensor]


def offered(pictures: Tensor, modality: Modality, network: NetworkSettings, scale: ScaleSettings) -> Tensor:
    """Normalise and frame grey pictures [N, 1, S, S] in [-1, 1] as inputs of a declared modality.

    A picture without a head is only resized: it would be refused before it reaches the gate.
    """
    return torch.cat([_offered(picture[None], modality, network, scale) for picture in pictures])


def _offered(picture: Tensor, modality: Modality, network: NetworkSettings, scale: ScaleSettings) -> Tensor:
    try:
        if modality == "mr":
            picture = scale_mr(picture + 1, mr_top(picture + 1, scale.mr_percentile))
        frame, head = find_frame(picture, modality, network.margin, scale=scale, around=network.frame)
    except InputRefused:
        return functional.interpolate(picture, (network.size, network.size), mode="bilinear", antialias=True)
    return into_frame(isolate(picture, head), frame, network.size)


def turned(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate slices: seven in ten by 90, 180 or 270 degrees, the others by 60 to 300 degrees."""
    degrees = 60 + 240 * torch.rand(len(slices), generator=generator)
    quarter = 90 * torch.randint(1, 4, (len(slices),), generator=generator)
    straight = torch.rand(len(slices), generator=generator) < 0.7
    return _rotated(slices, torch.where(straight, quarter, degrees))


def noise(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Make random fields whose power falls with the frequency, from white to cloudy; some are binary."""
    count, size = len(slices), slices.shape[-1]
    frequency = torch.fft.fftfreq(size)
    radius = (frequency[:, None] ** 2 + frequency**2).sqrt().clamp_min(1 / size)
    fall = 3 * torch.rand(count, 1, 1, 1, generator=generator)
    white = torch.randn(count, 1, size, size, generator=generator)
    fields = _spread(torch.fft.ifft2(torch.fft.fft2(white) * radius**-fall).real, generator)
    cut = torch.rand(count, generator=generator) < 0.3
    fields[cut] = torch.where(fields[cut] > fields[cut].mean(dim=(1, 2, 3), keepdim=True), fields[cut], -1.0)
    return fields


def shapes(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Draw overlapping ellipses and boxes of random grey values on a random ground."""
    pictures = _uniform(generator, len(slices), 1, 1, 1).expand_as(slices).clone() * 2 - 1
    for picture in pictures:
        for _ in range(int(torch.randint(1, 14, (), generator=generator))):
            _paint(picture[0], generator, centre=1.0, radii=(0.03, 0.6), grey=(-1.0, 1.0))
    return _grained(pictures, generator)


def bodies(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one or two round bodies of even grey with dark and bright organs, like trunk and limbs."""
    pictures = torch.full_like(slices, -1.0)
    for picture in pictures:
        twins = bool(_uniform(generator) < 0.3)
        grey = float(_uniform(generator) * 1.4 - 0.6)
        for side in (-0.45, 0.45) if twins else (0.0,):
            inside = _paint(
                picture[0],
                generator,
                centre=(side, 0.1),
                radii=(0.2, 0.42) if twins else (0.45, 0.95),
                grey=(grey, grey),
                boxes=False,
            )
            for _ in range(int(torch.randint(2, 9, (), generator=generator))):
                _paint(
                    picture[0],
                    generator,
                    centre=0.7,
                    radii=(0.03, 0.4),
                    grey=(-1.0, 1.0),
                    boxes=False,
                    within=inside,
                )
    return _grained(pictures, generator)


def inverted(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Exchange black and white."""
    return -slices


def patches(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Enlarge a part of each slice by 2.5 to 5."""
    zoom = 0.2 + 0.2 * torch.rand(len(slices), generator=generator)
    shift = (torch.rand(len(slices), 2, generator=generator) - 0.5) * 0.8
    theta = torch.zeros(len(slices), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom
    theta[:, :, 2] = shift
    return _sampled(slices, theta)


def blocks(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Divide each slice into 2 to 8 parts along each side and shuffle them."""
    shuffled = []
    for picture in slices:
        side = picture.shape[-1] // int(2 ** torch.randint(1, 4, (), generator=generator))
        parts = functional.unfold(picture[None], side, stride=side)
        order = torch.randperm(parts.shape[2], generator=generator)
        shuffled.append(functional.fold(parts[:, :, order], picture.shape[-2:], side, stride=side))
    return torch.cat(shuffled)


def joined(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Join slices: one seen through another, the lower half above the upper, or two upper halves."""
    others = slices[torch.randperm(len(slices), generator=generator)]
    size = slices.shape[-1]
    through = (slices + _rotated(others, torch.full((len(slices),), 90.0))) / 2
    rolled = slices.roll(size // 2, 2)
    upper = slices[:, :, : size // 2]
    doubled = torch.cat([upper, upper.flip(2)], dim=2)
    which = torch.randint(3, (len(slices),), generator=generator).reshape(-1, 1, 1, 1)
    return torch.where(which == 0, through, torch.where(which == 1, rolled, doubled))


def warped(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Bend slices by waves, or unroll them to polar coordinates."""
    count, size = len(slices), slices.shape[-1]
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    waves = 2 + 4 * _uniform(generator, count, 2, 1, 1)
    phase = 2 * np.pi * _uniform(generator, count, 2, 1, 1)
    depth = 0.12 + 0.15 * _uniform(generator, count, 1, 1)
    bent = torch.stack(
        [
            x + depth * torch.sin(waves[:, 0] * np.pi * y + phase[:, 0]),
            y + depth * torch.sin(waves[:, 1] * np.pi * x + phase[:, 1]),
        ],
        dim=-1,
    )
    radius, angle = (y + 1) / 2, np.pi * x
    polar = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)
    unrolled = torch.rand(count, generator=generator) < 0.3
    grid = torch.where(unrolled.reshape(-1, 1, 1, 1), polar, bent)
    return functional.grid_sample(slices + 1, grid, align_corners=False) - 1


WRONG: dict[str, Maker] = {
    "noise": noise,
    "shapes": shapes,
    "bodies": bodies,
    "inverted": inverted,
    "patches": patches,
    "blocks": blocks,
    "joined": joined,
    "warped": warped,
}
"""Makers of pictures that show no head, or no whole head."""


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator)


def _rotated(slices: Tensor, degrees: Tensor) -> Tensor:
    angle = torch.deg2rad(degrees.float())
    cosine, sine = torch.cos(angle), torch.sin(angle)
    zero = torch.zeros_like(cosine)
    rows = [torch.stack([cosine, -sine, zero], 1), torch.stack([sine, cosine, zero], 1)]
    return _sampled(slices, torch.stack(rows, 1))


def _sampled(slices: Tensor, theta: Tensor) -> Tensor:
    grid = functional.affine_grid(theta, list(slices.shape), align_corners=False)
    return functional.grid_sample(slices + 1, grid, align_corners=False) - 1


def _spread(values: Tensor, generator: torch.Generator) -> Tensor:
    """Scale the values of each picture to [-1, 1], then apply a random gamma."""
    flat = values.flatten(1)
    low, high = flat.amin(1).reshape(-1, 1, 1, 1), flat.amax(1).reshape(-1, 1, 1, 1)
    gamma = torch.exp(2 * _uniform(generator, len(values), 1, 1, 1) - 1)
    return 2 * ((values - low) / (high - low)) ** gamma - 1


def _grained(pictures: Tensor, generator: torch.Generator) -> Tensor:
    level = 0.15 * _uniform(generator, len(pictures), 1, 1, 1) ** 2
    return (pictures + level * torch.randn(pictures.shape, generator=generator)).clamp(-1, 1)


def _paint(
    picture: Tensor,
    generator: torch.Generator,
    *,
    centre: float | tuple[float, float],
    radii: tuple[float, float],
    grey: tuple[float, float],
    boxes: bool = True,
    within: Tensor | None = None,
) -> Tensor:
    """Paint one ellipse or box into a picture [S, S] and return its mask.

    Args:
        centre: x and y, or their largest random distance from the middle; the picture reaches from -1 to 1.
        radii: smallest and largest radius.
        grey: darkest and brightest grey value.
        within: paint only there.
    """
    line = torch.linspace(-1, 1, picture.shape[-1])
    y, x = torch.meshgrid(line, line, indexing="ij")
    share = _uniform(generator, 7).tolist()
    if isinstance(centre, float):
        centre = (2 * share[0] - 1) * centre, (2 * share[1] - 1) * centre
    wide, high = (radii[0] + part * (radii[1] - radii[0]) for part in share[2:4])
    angle = np.pi * share[4] if boxes else 0.0
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    box = boxes and share[5] < 0.4
    place: Tensor = (u.abs() < wide) & (v.abs() < high) if box else (u / wide) ** 2 + (v / high) ** 2 < 1
    place = place if within is None else place & within
    picture[place] = grey[0] + share[6] * (grey[1] - grey[0])
    return place
