"""The contrast of an MR: as a model sees it, and as it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import BatchSettings, TranslateSettings
from medtranslate.device import choose_device, fast_precision
from medtranslate.errors import ModelRefused, UsageError
from medtranslate.io import Volume, read_volume
from medtranslate.phantom import TOLD, named_brightness, nearest_contrast
from medtranslate.records import SeenContrast
from medtranslate.transforms import denormalise
from medtranslate.translation.framed import Floats, frame

LOOKED_AT = 16
"""Most slices of an MR whose contrast is to be met, spread over those that show the head."""

_SHOWN = (
    (("grey matter", "white matter"), ("csf", "venous blood"), (22.0, 42.0)),
    (("fat",), ("diploe", "muscle"), (-130.0, -60.0)),
)
"""Tissues whose voxels are measured, those that keep their ratio to them, and their HU."""

_LEAST_VOXELS = 50
"""Voxels a slice of a tissue that is measured."""


def seen_contrast(slices: Sequence[Tensor]) -> SeenContrast:
    """Describe a contrast by what a model saw in some slices, [B, 7] each."""
    brightness = _median(slices)
    return SeenContrast(nearest=nearest_contrast(brightness), brightness=named_brightness(brightness))


def open_model(settings: TranslateSettings | BatchSettings, device: torch.device | None = None) -> Model:
    """Load the model that the settings name, with the contrast of the MR that it shall make.

    Args:
        device: to load it on (default: that of the settings).

    Raises:
        ModelRefused, RunFailed: the model or the device is not there, or it has no choice of contrast.
        InputRefused: the MR whose contrast is to be met is refused.
        UsageError: two contrasts are asked for, or one of a CT.
    """
    if settings.to == "ct" and (settings.contrast or settings.like):
        given = "--contrast" if settings.contrast else "--like"
        raise UsageError(f"{given} says which contrast a translated MR has; leave it out with --to ct")
    if settings.contrast and settings.like:
        raise UsageError("--contrast and --like name two contrasts; leave one out")
    device = device or choose_device(settings.device)
    precision = fast_precision(settings.precision, device)
    model = load_model(settings.model, device, precision, settings.contrast)
    if settings.like is None:
        return model
    return told_like(model, read_volume(settings.like, modality="mr"))


@torch.inference_mode()
def told_like(model: Model, mr: Volume) -> Model:
    """Return a model that makes MR in the contrast of another MR.

    Raises:
        ModelRefused: it has no choice of contrast, or does not see it.
        InputRefused: no head is found in the MR.
    """
    network = model.description.network
    if not (network.told and network.seen):
        raise ModelRefused(
            f"{model.description.name}: cannot meet the contrast of another MR; leave --like out, or name a"
            " model that is told contrasts and sees them"
        )
    framed = frame(mr, "mr", model)
    places = framed.shown[:: -(-len(framed.shown) // LOOKED_AT)]
    slices = framed.framed(places, network.size).to(model.device)
    made = model.generators.to_ct(slices)
    hu = denormalise(made.image.float().cpu(), "ct", model.description.scale)
    return model.told(as_bright_as(_median([made.seen]), slices.float().cpu().numpy(), hu.numpy()))


def as_bright_as(seen: Floats, mr: Floats, ct: Floats) -> Floats:
    """Correct the brightness that a model sees in an MR by that of the voxels whose CT it makes of them.

    A picture may be brighter towards its edge, and its window and gamma are unknown. So tissues of each
    `_SHOWN` are made as bright as their voxels are, and keep their ratios.

    Args:
        seen: brightness of the tissues of `TOLD`, [7] in [-1, 1].
        mr: slices, [B, 1, S, S] in [-1, 1].
        ct: of the same voxels, in HU.
    """
    share = (seen + 1) / 2
    for measured, alike, (low, high) in _SHOWN:
        where = ndimage.binary_erosion((ct > low) & (ct < high), np.ones((1, 1, 2, 2)))
        if where.sum() < _LEAST_VOXELS * len(mr):
            continue
        known = np.mean([share[TOLD.index(name)] for name in measured])
        factor = (float(np.median(mr[where])) + 1) / 2 / max(float(known), 1e-3)
        share[[TOLD.index(name) for name in (*measured, *alike)]] *= factor
    corrected: Floats = (2 * share.clip(0, 1) - 1).astype(np.float32)
    return corrected


def _median(slices: Sequence[Tensor]) -> Floats:
    seen: Floats = np.median(torch.cat(list(slices)).float().cpu().numpy(), axis=0)
    return seen
