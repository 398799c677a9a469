"""Images on a model's scale and in its frame, without its network."""

from __future__ import annotations

from medtranslate.checkpoint import Model
from medtranslate.config import Modality
from medtranslate.io import Volume
from medtranslate.translation.framed import frame

_TOGETHER = 16
"""Slices that are framed at once."""


def as_spoken(source: Volume, modality: Modality, model: Model) -> Volume:
    """Scale an image like the model's output: CT inside its window, MR by its percentile.

    The scale of an MR is arbitrary, so a translation into MR can be compared with a reference only on this
    scale.

    Raises:
        InputRefused: no head is found.
    """
    seen = frame(source, modality, model)
    return seen.volume(seen.unit(), modality, model.description.scale)


def framed_alone(source: Volume, modality: Modality, model: Model) -> Volume:
    """Pass the source through the model's frame and back without a network, which shows the frame's errors.

    Raises:
        InputRefused: no head is found.
    """
    seen = frame(source, modality, model)
    made, size = seen.blank(), model.description.network.size
    for start in range(0, len(seen.shown), _TOGETHER):
        places = seen.shown[start : start + _TOGETHER]
        made[places, *seen.box] = seen.unframed(seen.framed(places, size))
    return seen.volume(made, modality, model.description.scale)
