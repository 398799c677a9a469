"""The contrast of an MR as a model sees it, and MR made in the contrast of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medtranslate.checkpoint import Model
from medtranslate.errors import ModelRefused
from medtranslate.io import Volume
from medtranslate.phantom import named_brightness, nearest_contrast
from medtranslate.records import SeenContrast
from medtranslate.translation.framed import Floats, frame

LOOKED_AT = 16
"""Most slices of an MR whose contrast is to be met, spread over those that show the head."""


def seen_contrast(slices: Sequence[Tensor]) -> SeenContrast:
    """Describe a contrast by what a model saw in some slices, [B, 7] each."""
    brightness = _median(slices)
    return SeenContrast(nearest=nearest_contrast(brightness), brightness=named_brightness(brightness))


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
    return model.told(_median([model.generators.to_ct.seen(slices)]))


def _median(slices: Sequence[Tensor]) -> Floats:
    seen: Floats = np.median(torch.cat(list(slices)).float().cpu().numpy(), axis=0)
    return seen
