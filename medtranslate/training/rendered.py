"""Training CT that MR is rendered from: slices in HU, and windowed pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import TrainSettings
from medtranslate.data import BRIGHTEST, StoredSlices, brightness_each, render, scale_mr_each
from medtranslate.transforms import (
    other_window,
    picture_curve,
    read_from_narrower,
    scale_ct,
    scale_mr,
    unscale_ct,
)


class Drawable(Protocol):
    """Draws slices [count, 1, S, S] in [-1, 1]."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Rendered:
    """Slices of CT that MR is rendered from.

    Attributes:
        places: of the slices in a source of files; None for all of any source.
        in_hu: their values are HU over the whole range of the scale, not those of a windowed picture.
    """

    source: Drawable
    places: Tensor | None
    in_hu: bool

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        if self.places is None or not isinstance(self.source, StoredSlices):
            return self.source.draw(count, generator)
        chosen = self.places[torch.randint(len(self.places), (count,), generator=generator)]
        return self.source.images[chosen].float()


def rendered_kinds(ct: Drawable | None, settings: TrainSettings) -> list[Rendered]:
    """List the slices to render from: those in HU, and windowed ones, where the scale tells them apart."""
    if ct is None:
        return []
    if not isinstance(ct, StoredSlices):
        return [Rendered(ct, None, True)]
    windowed = torch.ones(len(ct.images), dtype=torch.bool)
    windowed[ct.in_hu] = False
    places = {True: ct.in_hu, False: windowed.nonzero()[:, 0]}
    if settings.scale.ct_picture is None and settings.anatomy == "head":
        return [Rendered(ct, None, False)]
    return [Rendered(ct, where, in_hu) for in_hu, where in places.items() if len(where)]


def rendered_anchor(
    settings: TrainSettings, ct: Rendered, count: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw training CT by `NAMES`, with MR rendered from it."""
    slices, scale = ct.draw(count, generator), settings.scale
    if slices.shape[-1] != settings.network.size:
        slices = functional.interpolate(slices, (settings.network.size,) * 2, mode="area")
    window = scale.ct_window if ct.in_hu else scale.shown_window
    hu = unscale_ct(slices, scale.ct_curve if ct.in_hu else picture_curve(scale, 1.0))
    shown = scale_ct(hu, window if ct.in_hu else (0.0, 1.0))
    seed = int(torch.randint(2**62, (), generator=generator))
    contrasts = settings.anchor_contrast, settings.phantom_contrast
    mr, wanted, brightness = render(shown, window, *contrasts, seed)
    seen, told = brightness.unbind(1)
    return {
        "anchor_ct": slices,
        "anchor_mr": scale_mr_each(mr, scale),
        "anchor_wanted": scale_mr(wanted, BRIGHTEST),
        "anchor_lesion": torch.full_like(slices, -1.0),
        "anchor_seen": brightness_each(seen, mr, scale),
        "anchor_told": told,
        "anchor_known": scale_ct(torch.tensor(window), scale.ct_curve).repeat(count, 1),
    }


def as_picture(ct: Tensor, settings: TrainSettings, generator: torch.Generator | None = None) -> Tensor:
    """Show CT in [-1, 1] as a picture does, in [-1, 1] too, if it is taken for one in the scale's window.

    Args:
        generator: of its own window, which differs by `augment.ct_window` (default: it has the scale's).
    """
    scale = settings.scale
    grey = scale_ct(unscale_ct(ct, scale.ct_curve), scale.shown_window)
    if generator is not None and settings.augment.ct_narrow:
        grey = read_from_narrower(grey, settings.augment.ct_narrow, generator)
    if generator is not None and settings.augment.ct_window:
        grey = other_window(grey, settings.augment.ct_window, generator)
    return scale_ct((grey + 1) / 2, picture_curve(scale, 1.0))
