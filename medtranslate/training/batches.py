"""The slices of a step: unpaired ones with their augmented copies, and phantoms with their truth."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from medtranslate import phantom
from medtranslate.config import Modality, TrainSettings
from medtranslate.data import Source, frame_pairs
from medtranslate.model import Batch
from medtranslate.transforms import AugmentedCopyd, augment

VALIDATION_SEED = phantom.HELD_OUT - 1_000
"""First seed of the phantom slices that validate."""

ANCHOR_SEEDS = VALIDATION_SEED - 1_000
"""The anchor's seeds end here."""

MEAN_SLICES = 128
"""Training slices, spread over the source, whose mean is the baseline of knowing only the frame."""


def draw_batch(
    settings: TrainSettings,
    sources: dict[str, Source],
    copies: AugmentedCopyd | None,
    generator: torch.Generator,
    device: torch.device,
) -> Batch:
    """The slices of one step, on the device."""
    unpaired: dict[str, Tensor] = {}
    if settings.unpaired:
        fresh = settings.batch // 2 if copies else settings.batch
        unpaired = {key: sources[key].draw(max(1, fresh), generator) for key in ("ct", "mr")}
        if copies:
            copies.set_random_state(seed=_seed(generator))
            unpaired = copies(unpaired)
    anchor: dict[str, Tensor] = {}
    if settings.loss.anchor > 0:
        count = max(1, round(settings.batch * settings.anchor_share)) if settings.unpaired else settings.batch
        anchor = anchor_slices(settings, count, _seed(generator, ANCHOR_SEEDS))
    return Batch(**{key: value.to(device) for key, value in (unpaired | anchor).items()})


def anchor_slices(settings: TrainSettings, count: int, seed: int) -> dict[str, Tensor]:
    """Phantom slices with their truth, framed alike and augmented alike.

    Returns:
        anchor_ct, anchor_mr (contrast as the settings say) and anchor_wanted (the contrast that the
        model is to speak), each [count, 1, S, S] in [-1, 1].
    """
    size = settings.network.size
    heads = phantom.slices(
        seed, count, size, contrast=settings.anchor_contrast, wanted=settings.phantom_contrast
    )
    assert heads.wanted is not None
    ct, mr, target = frame_pairs(heads.ct, heads.mr, heads.wanted, settings.network, settings.scale)
    still = replace(settings.augment, mr_gamma=0.0)
    moved = {
        name: augment(images, "ct", still, torch.Generator().manual_seed(seed))
        for name, images in (("anchor_ct", ct), ("anchor_mr", mr), ("anchor_wanted", target))
    }
    return moved


def _seed(generator: torch.Generator, bound: int = 2**31) -> int:
    return int(torch.randint(bound, (), generator=generator))


def mean_slices(settings: TrainSettings, sources: dict[str, Source]) -> dict[Modality, Tensor]:
    """Mean framed training slice of each modality, [1, S, S]."""
    if settings.unpaired:
        return {
            "ct": sources["ct"].fixed(MEAN_SLICES).mean(dim=0),
            "mr": sources["mr"].fixed(MEAN_SLICES).mean(dim=0),
        }
    known = anchor_slices(settings, MEAN_SLICES, 0)
    return {"ct": known["anchor_ct"].mean(dim=0), "mr": known["anchor_wanted"].mean(dim=0)}
