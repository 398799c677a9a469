"""Weights for a larger generator from those of a smaller one, whose training so goes on.

It may have more blocks, which change nothing yet, or slices of twice the pixels a side. In larger slices a
cell of the latent spans as much of the head, so the body of a generator stays as it is. The first layer takes
the mean of 2 x 2 pixels for one. The way out gets a stage that hands on what the last layer gave. So training
may begin with small slices, which cost a fraction (Karras et al., "Progressive Growing of GANs", 2018), and
with few blocks (Chen et al., "Net2Net", 2016).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import exp
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import NetworkSettings

_PASSED = 4.0
"""SiLU is nearly straight about this value."""

_FOLDS: tuple[Literal[1, 2, 4, 8], ...] = (1, 2, 4, 8)

_STAGE = 3
"""Layers of a stage of the way out: upsampling, convolution, SiLU."""


def between(small: NetworkSettings, large: NetworkSettings) -> list[NetworkSettings] | None:
    """List the networks from one to another: one with all blocks, then each of twice the side and fold.

    Returns:
        None if the larger one has fewer blocks, or they differ in more than blocks, side and fold.
    """
    cells = small.size * large.fold == large.size * small.fold
    deep = replace(small, blocks=large.blocks)
    if not cells or large.blocks < small.blocks or replace(large, size=small.size, fold=small.fold) != deep:
        return None
    sides = [large.size * fold // large.fold for fold in _FOLDS]
    return [deep] * (large.blocks > small.blocks) + [
        replace(large, size=side, fold=fold)
        for side, fold in zip(sides, _FOLDS, strict=True)
        if small.fold < fold <= large.fold
    ]


def grown(
    state: Mapping[str, Tensor], fresh: Mapping[str, Tensor], small: NetworkSettings, large: NetworkSettings
) -> dict[str, Tensor]:
    """Give a generator the weights of a smaller one; `small` and `large` are neighbours in `between`.

    Args:
        state: of the smaller generator.
        fresh: of the larger generator as it is made.
    """
    if large.blocks > small.blocks:
        return deepened(state, fresh, small, large.blocks)
    return enlarged(state, fresh, small.fold)


def deepened(
    state: Mapping[str, Tensor], fresh: Mapping[str, Tensor], small: NetworkSettings, blocks: int
) -> dict[str, Tensor]:
    """Give a generator of more blocks the weights of one with few; added blocks hand on what they get.

    Args:
        state: of the smaller generator.
        fresh: of the larger generator as it is made, with `blocks` in each group.
    """
    known = {_later(name, small, blocks - small.blocks): weight for name, weight in state.items()}
    return {
        name: known[name] if name in known else torch.zeros_like(value) if ".conv2." in name else value
        for name, value in fresh.items()
    }


def _later(name: str, small: NetworkSettings, added: int) -> str:
    """Name a weight as in a network with more blocks, which are the last of their group.

    A sequence of layers is a convolution, a group of blocks, what is coarser, a second group, and a way out.
    """
    levels = len(small.channels) - 1

    def moved(found: re.Match[str]) -> str:
        layer, depth = int(found["layer"]), found.string[: found.end()].count("around")
        coarser = levels > depth or (levels > 0 and small.attention)
        groups = (layer > small.blocks) + (layer > 2 * small.blocks + coarser)
        return f"{found['part']}.{layer + added * groups}"

    return re.sub(r"\b(?P<part>encoder|decoder|around)\.(?P<layer>\d+)", moved, name)


def enlarged(state: Mapping[str, Tensor], fresh: Mapping[str, Tensor], fold: int) -> dict[str, Tensor]:
    """Give a generator for slices of twice the side the weights of a smaller one.

    Args:
        state: of the smaller generator, whose fold is `fold`.
        fresh: of the larger generator as it is made. Edges keep these weights, which change nothing yet.
    """
    found = {name: state.get(name, value) for name, value in fresh.items()}
    first = "encoder.0.conv.weight"
    found[first] = _spread(state[first], fold)
    stages = int(fold).bit_length() - 1
    last, added = f"unfold.{_STAGE * stages}", f"unfold.{_STAGE * stages + 1}"
    found |= _handed_on(state, fresh, last, added, f"unfold.{_STAGE * (stages + 1)}")
    found |= {name: fresh[name] for name in fresh if name.startswith("edges.")}
    return found


def _spread(weight: Tensor, fold: int) -> Tensor:
    """Give each of 2 x 2 pixels a quarter of the weight of the one that they replace."""
    width, channels, *kernel = weight.shape
    pixels = weight.reshape(width, channels // fold**2, fold, fold, *kernel) / 4
    return pixels.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3).flatten(1, 3)


def _handed_on(
    state: Mapping[str, Tensor], fresh: Mapping[str, Tensor], last: str, added: str, out: str
) -> dict[str, Tensor]:
    """Let the added stage give what the last layer gave, and the new last layer pass it on."""
    weight, bias = _widened(state[f"{last}.weight"]), state[f"{last}.bias"]
    outputs, narrower = len(weight), len(fresh[f"{added}.weight"])
    stage, shift = fresh[f"{added}.weight"].clone(), fresh[f"{added}.bias"].clone()
    passed, rest = torch.zeros_like(fresh[f"{out}.weight"]), torch.zeros_like(fresh[f"{out}.bias"])
    places = torch.arange(outputs)
    if narrower >= 2 * outputs:
        # SiLU(x) - SiLU(-x) = x
        stage[:outputs], stage[outputs : 2 * outputs] = weight, -weight
        shift[:outputs], shift[outputs : 2 * outputs] = bias, -bias
        passed[places, places, 1, 1], passed[places, outputs + places, 1, 1] = 1.0, -1.0
    else:
        stage[:outputs], shift[:outputs] = weight, bias + _PASSED
        sigmoid = 1 / (1 + exp(-_PASSED))
        slope = sigmoid * (1 + _PASSED * (1 - sigmoid))
        passed[places, places, 1, 1], rest[:] = 1 / slope, -_PASSED * sigmoid / slope
    return {
        f"{added}.weight": stage,
        f"{added}.bias": shift,
        f"{out}.weight": passed,
        f"{out}.bias": rest,
    }


def _widened(weight: Tensor) -> Tensor:
    """Fit a kernel, used after bilinear upsampling, to what the given one does before it (least squares)."""
    taps, pixels = torch.eye(3)[:, None], torch.eye(9)[:, None]

    def twice(signals: Tensor) -> Tensor:
        return functional.interpolate(signals, scale_factor=2, mode="linear", align_corners=False)

    wanted = twice(functional.conv1d(pixels, taps, padding=1))
    given = functional.conv1d(twice(pixels), taps, padding=1)
    fit = torch.linalg.lstsq(given.transpose(1, 2).reshape(-1, 3), wanted.transpose(1, 2).reshape(-1, 3))
    return torch.einsum("ia,jb,ocab->ocij", fit.solution, fit.solution, weight)
