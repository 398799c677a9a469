"""How the anchor's slices are shown: moved, varied as scanners and screens do, and weighted by tissue."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from medtranslate.config import AnchorWeights, Modality, TrainSettings
from medtranslate.training.rendered import as_picture
from medtranslate.transforms import (
    augment,
    in_other_units,
    noisy_ct,
    other_window,
    shaded_ct,
    shown_otherwise,
    soft_ct,
    unscale_ct,
)

PICTURED = 0.3
"""Share of the CT that is shown to the network as a windowed picture, where its scale reaches further."""

NAMES = ("anchor_ct", "anchor_mr", "anchor_wanted", "anchor_lesion")
"""Images of one head: CT, MR in a contrast of the settings, MR in the contrast that the model makes, and the
share of a pixel that lesions or deep nuclei cover, from -1 to 1. The first two have their neighbours beside
them, as further channels."""

_BONE_HU, _FLUID_HU = 91.0, (-5.0, 18.0)
"""Least HU of bone, as in a brain window, and ends of those of fluid, for `anchor_weights`."""

_AIR_HU, _CELLS = -300.0, 64
"""Highest HU of air, and cells along a slice in which the air around a head is traced."""


def moved_anchor(settings: TrainSettings, still: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Rotate, scale, shift and mirror slices by `NAMES` alike.

    `anchor_shown`, the CT to translate, is added, and so is `anchor_weight`, if tissues differ in it, in the
    place of `anchor_lesion`.

    The inputs of the translations are varied: noise, shading and window of the CT, the contrast of kept MR,
    and how MR is shown, with the brightness of tissues in it. So is the contrast that a model is told.
    """
    look = settings.augment.mr_look
    modalities: dict[str, Modality] = {"anchor_mr": "mr"} if settings.anchor_kept and not look else {}
    moved = {
        name: augment(
            still[name],
            modalities.get(name, "ct"),
            settings.augment,
            torch.Generator().manual_seed(seed),
        )
        for name in NAMES
    }
    varied = torch.Generator().manual_seed(seed)
    seen, told = still["anchor_seen"], still["anchor_told"]
    if look:
        moved["anchor_mr"], seen = shown_otherwise(moved["anchor_mr"], seen, look, varied)
    if look and settings.network.told:
        moved["anchor_wanted"], told = in_other_units(moved["anchor_wanted"], told, look, varied)
    shown, largest = moved["anchor_ct"], settings.augment.ct_window
    if settings.augment.ct_blur:
        shown = soft_ct(shown, settings.augment.ct_blur, settings.scale.ct_curve, varied)
    if settings.augment.ct_noise:
        shown = noisy_ct(shown, settings.augment.ct_noise, settings.scale.ct_curve, varied)
    if settings.augment.ct_shading:
        shown = shaded_ct(shown, settings.augment.ct_shading, settings.scale.ct_curve, varied)
    if largest > 0 and not settings.scale.ct_picture:
        shown = other_window(shown, largest, torch.Generator().manual_seed(seed))
    if settings.scale.ct_picture:
        pictured = torch.rand(len(shown), generator=torch.Generator().manual_seed(seed)) < PICTURED
        shown = torch.where(
            pictured.reshape(-1, 1, 1, 1).to(shown.device), as_picture(shown, settings, varied), shown
        )
    extras = {
        name: value
        for name, value, used in (
            ("anchor_seen", seen, settings.network.seen),
            ("anchor_told", told, settings.network.told),
            ("anchor_known", still["anchor_known"], settings.scale.ct_picture),
        )
        if used
    }
    lesion, ct = moved.pop("anchor_lesion"), moved["anchor_ct"][:, :1]
    if settings.anchor_weights != AnchorWeights():
        extras["anchor_weight"] = _weight(ct, (lesion + 1) / 2, settings)
    return {**moved, **extras, "anchor_ct": ct, "anchor_shown": shown}


def _weight(ct: Tensor, lesion: Tensor, settings: TrainSettings) -> Tensor:
    """Weight an error by the tissue of its pixel, in CT in [-1, 1] and the share that is lesion."""
    weights, hu = settings.anchor_weights, unscale_ct(ct, settings.scale.ct_curve)
    low, high = _FLUID_HU
    tissue = torch.where(
        hu >= _BONE_HU, weights.bone, torch.where((hu > low) & (hu < high), weights.fluid, 1)
    )
    if weights.air != 1:
        tissue = torch.where(surrounded(hu < _AIR_HU), weights.air, tissue)
    return tissue + lesion * (weights.lesion - tissue)


def surrounded(air: Tensor) -> Tensor:
    """Select the air in a head: what no way joins to the upper edge or the sides of its slice.

    Ways are as wide as a cell. A throat that is cut at the lower edge stays in the head.

    Args:
        air: [B, 1, S, S], True in air.
    """
    side = max(1, air.shape[-1] // _CELLS)
    free = 1 - functional.max_pool2d((~air).float(), side)
    around = functional.pad(torch.zeros_like(free), (1, 1, 1, 0), value=1.0)
    free = functional.pad(free, (1, 1, 1, 0), value=1.0)
    for _ in range(free.shape[-1] // 2):
        around = functional.max_pool2d(around, 3, 1, 1) * free
    near = functional.max_pool2d(around, 3, 1, 1)[..., 1:, 1:-1]
    reached = functional.interpolate(near, air.shape[-2:], mode="nearest")
    return air & (reached == 0)
